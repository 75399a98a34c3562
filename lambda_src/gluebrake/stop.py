"""The STOP function: reads stop requests, stops the runs, and accounts for each."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import boto3
from botocore.config import Config

from gluebrake import planning, reading, settling
from gluebrake.glue import Glue, Pace
from gluebrake.model import Asked, Count, Ignored, Invalid, Message, MessageResult, Outcome, Queue
from gluebrake.planning import Limits, Plan
from gluebrake.queues import Queues
from gluebrake.reading import sqs
from gluebrake.settings import Settings, settings
from gluebrake.settling import Retries
from gluebrake.telemetry import Telemetry

SUSPICIOUS_RECEIVE_COUNT: Final = 3
"""A message delivered this often may be what makes the function crash."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the handler is wired from."""

    glue: Glue
    queues: Queues
    telemetry: Telemetry
    limits: Limits
    retries: Retries
    jitter: Callable[[], float] = random.random


def handler(event: Mapping[str, Any], context: Any, parts: Parts | None = None) -> dict[str, Any]:
    """Work on the records of an SQS event; answer with those that SQS is to deliver again."""
    parts = parts or wired()
    parts.telemetry.begin(context)
    pace = Pace(lambda: context.get_remaining_time_in_millis() / 1000)
    messages = [sqs.message(record, max_attempts=parts.retries.max_attempts) for record in event["Records"]]
    undelivered = [message_id for some in in_turn(messages) for message_id in attempt(some, parts, pace)]
    parts.telemetry.end(calls(pace))
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in undelivered]}


def in_turn(messages: Iterable[Message]) -> Iterator[list[Message]]:
    """Yield the messages to work on together, then each suspect alone: it must not take the others along."""
    yield [message for message in messages if message.receive_count < SUSPICIOUS_RECEIVE_COUNT]
    for message in messages:
        if message.receive_count >= SUSPICIOUS_RECEIVE_COUNT:
            yield [message]


def attempt(messages: Sequence[Message], parts: Parts, pace: Pace) -> frozenset[str]:
    """Work on the messages; when that raises, all of them come back, and what was done before stays done."""
    try:
        return work(messages, parts, pace)
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not bring the other messages back
        parts.telemetry.crashed(error)
        return frozenset(message.message_id for message in messages)


def work(messages: Sequence[Message], parts: Parts, pace: Pace) -> frozenset[str]:
    """Do what the messages ask; return the ids of those whose consequences could not be handed on."""
    asked, unusable = read(messages)
    # Here is the place of `find`: selections become run ids before anything is planned.
    plan = planning.plan(asked, parts.limits)
    pace.reserve(settling.seconds_to_settle(plan.demands + len(unusable)))
    findings = [*parts.glue.stop(plan.stops, pace), *parts.glue.look(plan.looks, pace)]
    results = [*plan.results, *settling.settle(findings, parts.retries)]
    message_results = [*unusable, *plan.message_results]
    undelivered = parts.queues.send(settling.sends(results, message_results, parts.retries, parts.jitter))
    parts.telemetry.account(results, message_results, requests(plan), undelivered)
    return undelivered


def read(messages: Iterable[Message]) -> tuple[list[Asked], list[MessageResult]]:
    """Read each message; what asks for nothing or cannot be used is settled by that."""
    asked, settled = [], []
    for message in messages:
        match reading.read(message):
            case Asked() as one:
                asked.append(one)
            case Ignored(_, why):
                settled.append(MessageResult(message, Outcome.IGNORED, why))
            case Invalid(_, why):
                settled.append(MessageResult(message, Outcome.INVALID_REQUEST, why))
    return asked, settled


def requests(plan: Plan) -> dict[Count, int]:
    """Count what was asked."""
    return {Count.RUNS_REQUESTED: plan.requested, Count.DUPLICATE_RUNS: plan.duplicates}


def calls(pace: Pace) -> dict[Count, int]:
    """Count what was called."""
    reads = pace.calls["get_job_runs"] + pace.calls["get_job_run"]
    return {Count.STOP_CALLS: pace.calls["batch_stop_job_run"], Count.STATE_READS: reads}


@cache
def wired() -> Parts:
    """Wire the parts by the environment, once for each execution environment of the function."""
    values = settings(os.environ)
    return Parts(
        glue=Glue(
            boto3.client("glue", config=_client_config(values, attempts=2, read_timeout=10)),
            calls_at_once=values.calls_at_once,
            protect_tag=values.protect_tag,
            job_arn_prefix=values.job_arn_prefix,
        ),
        queues=Queues(
            boto3.client("sqs", config=_client_config(values, attempts=3, read_timeout=5)),
            urls={Queue.STOP: values.stop_queue_url, Queue.DEAD_LETTER: values.dead_letter_queue_url},
            calls_at_once=values.calls_at_once,
        ),
        telemetry=Telemetry("stop"),
        limits=Limits(values.jobs, values.protected_jobs, values.max_runs_per_request),
        retries=Retries(
            values.max_attempts, *values.retry_seconds, ids_in_a_message=min(500, values.max_runs_per_request)
        ),
    )


def _client_config(values: Settings, *, attempts: int, read_timeout: float) -> Config:
    # A connection that went stale while Lambda had frozen us is worth one more try at once.
    return Config(
        connect_timeout=2,
        read_timeout=read_timeout,
        max_pool_connections=values.calls_at_once,
        retries={"mode": "standard", "total_max_attempts": attempts},
    )
