"""What an invocation of either function does around its own work: the records in turn, the answer to SQS."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from operator import attrgetter
from typing import Any, Final, NamedTuple, assert_never

import boto3
from botocore.config import Config

from gluebrake import announcing, answering, onward, reading
from gluebrake.events import Events
from gluebrake.glue import Glue, Pace
from gluebrake.model import (
    Asked,
    Count,
    Home,
    Ignored,
    Invalid,
    Message,
    MessageResult,
    Outcome,
    Queue,
    Result,
)
from gluebrake.onward import IDS_IN_A_MESSAGE, Backoff, Policy
from gluebrake.planning import Limits
from gluebrake.queues import Queues
from gluebrake.reading import arrivals
from gluebrake.settings import Settings, settings
from gluebrake.telemetry import Telemetry

SUSPICIOUS_RECEIVE_COUNT: Final = 3
"""A message delivered this often may be what makes the function crash."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a handler is wired from."""

    home: Home
    glue: Glue
    queues: Queues
    events: Events
    telemetry: Telemetry
    limits: Limits
    policy: Policy
    max_attempts: int
    queue: Queue
    """The queue whose messages come in."""
    own_senders: frozenset[str]
    """Whose messages are ours: IAM's ids of the functions' roles."""
    jitter: Callable[[], float] = random.random
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)


class Settled(NamedTuple):
    """What became of messages; `undelivered` are the ids of those whose consequences could not be handed on."""

    results: Sequence[Result] = ()
    message_results: Sequence[MessageResult] = ()
    counts: Mapping[Count, int] = {}
    undelivered: frozenset[str] = frozenset()


Work = Callable[[Sequence[Message], Parts, Pace], Settled]
"""Does what the messages ask."""


class NotHandedOnError(RuntimeError):
    """Something that a direct invocation led to could not be handed on: it must be invoked again."""


def invoke(work: Work, event: Any, context: Any, parts: Parts) -> dict[str, Any]:
    """Work on whatever came; answer a queue with the messages to deliver again, anybody else with each run."""
    parts.telemetry.begin(context)
    pace = Pace(lambda: context.get_remaining_time_in_millis() / 1000)
    came = arrivals.arrival(
        event,
        request_id=context.aws_request_id,
        now=parts.clock(),
        max_attempts=parts.max_attempts,
        own_senders=parts.own_senders,
    )
    settled: list[Settled] = []
    for some, more in in_turn(came.messages, pace):
        settled.append(_attempt(work, some, parts, pace))
        # When no more call will start, none of the others can crash the function.
        if more and not pace.is_spent():
            _let_go(some, settled[-1].undelivered, parts)
    parts.telemetry.end(_calls(pace))
    return _answer(came, settled)


def _answer(came: arrivals.Arrival, settled: Sequence[Settled]) -> dict[str, Any]:
    # SQS may deliver a message twice at once: it is named once all the same.
    undelivered = sorted({message_id for some in settled for message_id in some.undelivered})
    if came.from_queue:
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in undelivered]}
    if undelivered:
        raise NotHandedOnError("not everything that this led to could be sent on; invoke the function again")
    return answering.answer(
        [result for some in settled for result in some.results],
        [result for some in settled for result in some.message_results],
    )


def in_turn(messages: Sequence[Message], pace: Pace) -> Iterator[tuple[list[Message], bool]]:
    """Yield the messages to work on together, then each suspect alone, and whether more are to come.

    Every other time the suspects come in the opposite order, so that each is once before the one that crashes.
    When no more call will start, none of them can be the one, and the rest is put off together.
    """
    trusted = [m for m in messages if m.receive_count < SUSPICIOUS_RECEIVE_COUNT]
    suspects = [m for m in messages if m.receive_count >= SUSPICIOUS_RECEIVE_COUNT]
    turn = max((m.receive_count for m in suspects), default=0)
    suspects.sort(key=attrgetter("message_id"), reverse=turn % 2 == 1)
    if trusted:
        yield trusted, bool(suspects)
    while suspects:
        some = suspects if pace.is_spent() else suspects[:1]
        suspects = suspects[len(some) :]
        yield some, bool(suspects)


def _let_go(messages: Iterable[Message], failed: AbstractSet[str], parts: Parts) -> None:
    """Acknowledge what is done before a suspect is worked on: after a crash SQS would hear nothing of it."""
    done = [m.receipt_handle for m in messages if m.message_id not in failed and m.receipt_handle]
    parts.queues.acknowledge(parts.queue, done)


def _attempt(work: Work, messages: Sequence[Message], parts: Parts, pace: Pace) -> Settled:
    """Work on the messages; when that raises they come back, and what was done for others stays done."""
    try:
        return work(messages, parts, pace)
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not bring the other messages back
        parts.telemetry.crashed(error)
        return Settled(undelivered=frozenset(message.message_id for message in messages))


def read(messages: Iterable[Message], home: Home) -> tuple[list[Asked], list[MessageResult]]:
    """Read each message; what asks for nothing or cannot be used is settled by that."""
    asked, settled = [], []
    for message in messages:
        match reading.read(message, home):
            case Asked() as one:
                asked.append(one)
            case Ignored(_, why):
                settled.append(MessageResult(message, Outcome.IGNORED, why))
            case Invalid(_, why):
                settled.append(MessageResult(message, Outcome.INVALID_REQUEST, why))
            case never:
                assert_never(never)
    return asked, settled


def hand_on(settled: Settled, parts: Parts, pace: Pace, now: datetime) -> Settled:
    """Send what the outcomes lead to, account for them, and publish those that are final."""
    results, message_results, counts, _ = settled
    messages = onward.sends(results, message_results, parts.policy, now=now, jitter=parts.jitter)
    undelivered = parts.queues.send(messages)
    parts.telemetry.account(results, message_results, counts, undelivered)
    final = announcing.outcomes(results, message_results, undelivered, parts.clock())
    parts.telemetry.events_lost(parts.events.publish(final, pace.spare_seconds()))
    return settled._replace(undelivered=undelivered)


def _calls(pace: Pace) -> dict[Count, int]:
    reads = pace.calls["get_job_runs"] + pace.calls["get_job_run"]
    return {Count.STOP_CALLS: pace.calls["batch_stop_job_run"], Count.STATE_READS: reads}


def initialised_by_lambda(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether Lambda imports the handler: while it does, the function has more processor than later.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
    """
    return "AWS_LAMBDA_INITIALIZATION_TYPE" in environ


def wired(service: str, queue: Queue, environ: Mapping[str, str] = os.environ) -> Parts:
    """Wire the function that goes by `service` in logs and metrics, and works `queue` off."""
    values = settings(environ)
    _, _, _, region, account, _ = values.job_arn_prefix.split(":")
    return Parts(
        home=Home(account, region),
        glue=Glue(
            boto3.client("glue", config=_client_config(values, attempts=2, read_timeout=10)),
            calls_at_once=values.calls_at_once,
            protect_tag=values.protect_tag,
            job_arn_prefix=values.job_arn_prefix,
        ),
        queues=Queues(
            boto3.client("sqs", config=_client_config(values, attempts=3, read_timeout=5)),
            urls={
                Queue.STOP: values.stop_queue_url,
                Queue.CONFIRM: values.confirm_queue_url,
                Queue.DEAD_LETTER: values.dead_letter_queue_url,
            },
            calls_at_once=values.calls_at_once,
        ),
        events=Events(
            cache(lambda: boto3.client("events", config=_client_config(values, attempts=2, read_timeout=5))),
            bus=values.event_bus_name,
            job_arn_prefix=values.job_arn_prefix,
            calls_at_once=values.calls_at_once,
        ),
        telemetry=Telemetry(service),
        limits=Limits(values.jobs, values.protected_jobs, values.max_runs_per_request),
        policy=_policy(values),
        max_attempts=values.max_attempts,
        queue=queue,
        own_senders=frozenset(values.own_senders),
    )


def _policy(values: Settings) -> Policy:
    return Policy(
        retry=Backoff(*values.retry_seconds, first_attempt=1),
        look=Backoff(*values.confirm_seconds, first_attempt=0),
        deadline_seconds=values.confirm_deadline_seconds,
        ids_in_a_message=min(IDS_IN_A_MESSAGE, values.max_runs_per_request),
    )


def _client_config(values: Settings, *, attempts: int, read_timeout: float) -> Config:
    # A connection that went stale while Lambda had frozen us is worth one more try at once.
    return Config(
        connect_timeout=2,
        read_timeout=read_timeout,
        max_pool_connections=values.calls_at_once,
        retries={"mode": "standard", "total_max_attempts": attempts},
    )
