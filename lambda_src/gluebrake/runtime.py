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

from gluebrake import lambda_event
from gluebrake.aws.event_bus import Events
from gluebrake.aws.glue import CallBudget, Glue
from gluebrake.aws.sqs import Queues
from gluebrake.decisions import invoke_response, outcome_events, routing
from gluebrake.decisions.planning import Limits
from gluebrake.decisions.routing import IDS_IN_A_MESSAGE, Backoff, RetryPolicy
from gluebrake.model import (
    AwsEnvironment,
    Count,
    Ignored,
    Invalid,
    Message,
    MessageResult,
    ParsedRequest,
    Queue,
    RunResult,
)
from gluebrake.outcomes import Outcome
from gluebrake.parsing import dispatcher
from gluebrake.settings import Settings, settings
from gluebrake.telemetry import Telemetry

SUSPICIOUS_RECEIVE_COUNT: Final = 3
"""A message delivered this often may be what makes the function crash."""


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What a handler is wired from."""

    aws_environment: AwsEnvironment
    glue: Glue
    queues: Queues
    events: Events
    telemetry: Telemetry
    limits: Limits
    policy: RetryPolicy
    max_attempts: int
    queue: Queue
    """The queue whose messages come in."""
    trusted_sender_ids: frozenset[str]
    """Whose messages are ours: IAM's ids of the functions' roles."""
    jitter: Callable[[], float] = random.random
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)


class StageResult(NamedTuple):
    """What became of messages; `undelivered` are the ids of those whose consequences could not be handed on."""

    results: Sequence[RunResult] = ()
    message_results: Sequence[MessageResult] = ()
    counts: Mapping[Count, int] = {}
    undelivered: frozenset[str] = frozenset()


Work = Callable[[Sequence[Message], Dependencies, CallBudget], StageResult]
"""Does what the messages ask."""


class DispatchError(RuntimeError):
    """Something that a direct invocation led to could not be handed on: it must be invoked again."""


def invoke(work: Work, event: Any, context: Any, parts: Dependencies) -> dict[str, Any]:
    """Work on whatever came; answer a queue with the messages to deliver again, anybody else with each run."""
    parts.telemetry.begin(context)
    budget = CallBudget(lambda: context.get_remaining_time_in_millis() / 1000)
    came = lambda_event.arrival(
        event,
        request_id=context.aws_request_id,
        now=parts.clock(),
        max_attempts=parts.max_attempts,
        trusted_sender_ids=parts.trusted_sender_ids,
    )
    settled: list[StageResult] = []
    for some, more in isolate_poison_pills(came.messages, budget):
        settled.append(_attempt(work, some, parts, budget))
        # When no more call will start, none of the others can crash the function.
        if more and not budget.is_exhausted():
            _let_go(some, settled[-1].undelivered, parts)
    parts.telemetry.end(_calls(budget))
    return _answer(came, settled)


def _answer(came: lambda_event.Arrival, settled: Sequence[StageResult]) -> dict[str, Any]:
    # SQS may deliver a message twice at once: it is named once all the same.
    undelivered = sorted({message_id for some in settled for message_id in some.undelivered})
    if came.from_queue:
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in undelivered]}
    if undelivered:
        raise DispatchError("not everything that this led to could be sent on; invoke the function again")
    return invoke_response.answer(
        [result for some in settled for result in some.results],
        [result for some in settled for result in some.message_results],
    )


def isolate_poison_pills(
    messages: Sequence[Message], budget: CallBudget
) -> Iterator[tuple[list[Message], bool]]:
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
        some = suspects if budget.is_exhausted() else suspects[:1]
        suspects = suspects[len(some) :]
        yield some, bool(suspects)


def _let_go(messages: Iterable[Message], failed: AbstractSet[str], parts: Dependencies) -> None:
    """Acknowledge what is done before a suspect is worked on: after a crash SQS would hear nothing of it."""
    done = [m.receipt_handle for m in messages if m.message_id not in failed and m.receipt_handle]
    parts.queues.acknowledge(parts.queue, done)


def _attempt(work: Work, messages: Sequence[Message], parts: Dependencies, budget: CallBudget) -> StageResult:
    """Work on the messages; when that raises they come back, and what was done for others stays done."""
    try:
        return work(messages, parts, budget)
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not bring the other messages back
        parts.telemetry.crashed(error)
        return StageResult(undelivered=frozenset(message.message_id for message in messages))


def read(
    messages: Iterable[Message], aws_environment: AwsEnvironment
) -> tuple[list[ParsedRequest], list[MessageResult]]:
    """Read each message; what asks for nothing or cannot be used is settled by that."""
    parsed, settled = [], []
    for message in messages:
        match dispatcher.read(message, aws_environment):
            case ParsedRequest() as one:
                parsed.append(one)
            case Ignored(_, why):
                settled.append(MessageResult(message, Outcome.IGNORED, why))
            case Invalid(_, why):
                settled.append(MessageResult(message, Outcome.INVALID_REQUEST, why))
            case never:
                assert_never(never)
    return parsed, settled


def dispatch(settled: StageResult, parts: Dependencies, budget: CallBudget, now: datetime) -> StageResult:
    """Send what the outcomes lead to, account for them, and publish those that are final."""
    results, message_results, counts, _ = settled
    messages = routing.sends(results, message_results, parts.policy, now=now, jitter=parts.jitter)
    undelivered = parts.queues.send(messages)
    parts.telemetry.account(results, message_results, counts, undelivered)
    final = outcome_events.outcomes(results, message_results, undelivered, parts.clock())
    parts.telemetry.events_lost(parts.events.publish(final, budget.leftover_seconds()))
    return settled._replace(undelivered=undelivered)


def _calls(budget: CallBudget) -> dict[Count, int]:
    reads = budget.calls["get_job_runs"] + budget.calls["get_job_run"]
    return {Count.STOP_CALLS: budget.calls["batch_stop_job_run"], Count.STATE_READS: reads}


def initialised_by_lambda(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether Lambda imports the handler: while it does, the function has more processor than later.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
    """
    return "AWS_LAMBDA_INITIALIZATION_TYPE" in environ


def build_dependencies(service: str, queue: Queue, environ: Mapping[str, str] = os.environ) -> Dependencies:
    """Wire the function that goes by `service` in logs and metrics, and works `queue` off."""
    values = settings(environ)
    _, _, _, region, account, _ = values.job_arn_prefix.split(":")
    return Dependencies(
        aws_environment=AwsEnvironment(account, region),
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
        trusted_sender_ids=frozenset(values.trusted_sender_ids),
    )


def _policy(values: Settings) -> RetryPolicy:
    return RetryPolicy(
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
