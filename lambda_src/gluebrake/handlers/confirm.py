"""The CONFIRM function: polls each run that Glue was asked to stop until it has stopped."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import msgspec

from gluebrake import runtime, wiring
from gluebrake.aws.call_budget import CallBudget
from gluebrake.aws.glue import Glue
from gluebrake.contract import StopRequest
from gluebrake.decisions import planning
from gluebrake.decisions.confirm_outcomes import decide_confirmations
from gluebrake.decisions.routing import IDS_IN_A_MESSAGE, Backoff, RetryPolicy
from gluebrake.dispatch import StageResult
from gluebrake.lambda_event import Bookkeeping
from gluebrake.model import Message, MessageResult, ParsedRequest
from gluebrake.outcomes import Outcome
from gluebrake.parsing import stop_request
from gluebrake.settings import ConfirmSettings, load
from gluebrake.stages import Queue
from gluebrake.telemetry import Telemetry
from gluebrake.wiring import Dependencies


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ConfirmDependencies(Dependencies):
    """What CONFIRM depends on."""

    glue: Glue


MAX_POLLS: Final = 1000
"""The upper bound of the attempt attribute.

`confirmDeadlineSeconds` ends confirmation far earlier, so the function never writes a larger value.
"""


def handler(event: Any, context: Any, dependencies: ConfirmDependencies | None = None) -> dict[str, Any]:
    """Handle messages of the confirm queue."""
    return runtime.invoke(event, context, dependencies or _dependencies(), parse=stop_request.parse, work=work)


def work(
    requests: Sequence[tuple[Message, StopRequest]], dependencies: ConfirmDependencies, budget: CallBudget
) -> StageResult:
    """Merge the requests, read the states of their runs, and decide the outcome of each run."""
    parsed = [ParsedRequest.of(message, request) for message, request in requests]
    named = [_with_submission_time(request) for request in parsed if not request.needs_listing]
    unusable = [_unlisted(request) for request in parsed if request.needs_listing]
    targets = planning.merge(named)
    budget.reserve_for_dispatch(len(targets) + len(unusable))
    findings = dependencies.glue.read_states(targets, budget)
    time = dependencies.clock()
    results = decide_confirmations(findings, dependencies.retry_policy.deadline_seconds, time)
    return StageResult(time, results, unusable)


def _with_submission_time(parsed: ParsedRequest) -> ParsedRequest:
    """Use the time at which the message was sent if it has no readable submission time."""
    message = parsed.message
    submitted_at = message.submitted_at or message.sent_at
    return msgspec.structs.replace(parsed, message=msgspec.structs.replace(message, submitted_at=submitted_at))


def _unlisted(parsed: ParsedRequest) -> MessageResult:
    field = "IncludeAttempts" if parsed.request.include_attempts else "Select"
    why = f"{field}: a message on the confirm queue must name its runs in JobRunIds"
    return MessageResult(parsed.message, Outcome.INVALID_REQUEST, why, request=parsed.request)


def build_dependencies(environ: Mapping[str, str]) -> ConfirmDependencies:
    """Build the function's dependencies from its environment variables."""
    settings = load(ConfirmSettings, environ)
    return ConfirmDependencies(
        aws_environment=wiring.aws_environment(settings),
        glue=wiring.glue(settings),
        queues=wiring.queues(settings, {Queue.CONFIRM: settings.confirm_queue_url}),
        event_bus=wiring.event_bus(settings),
        prices=settings.price_per_dpu_hour,
        notice_topic=wiring.notice_topic(settings),
        notify_on=frozenset(settings.notify_on),
        telemetry=Telemetry("confirm", detailed=settings.detailed_metrics),
        retry_policy=RetryPolicy(
            delays={Queue.CONFIRM: Backoff(*settings.confirm_seconds, first_attempt=0)},
            deadline_seconds=settings.confirm_deadline_seconds,
            ids_in_a_message=min(IDS_IN_A_MESSAGE, settings.max_runs_per_request),
        ),
        bookkeeping=Bookkeeping("confirm", MAX_POLLS, frozenset(settings.trusted_sender_ids)),
        queue=Queue.CONFIRM,
    )


@cache
def _dependencies() -> ConfirmDependencies:
    return build_dependencies(os.environ)


if wiring.initialised_by_lambda():
    _dependencies()
