"""The CONFIRM function: looks at each run that was submitted for stopping until it has really stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, Final

import msgspec

from gluebrake.aws.glue import CallBudget
from gluebrake.decisions import planning, stop_outcomes
from gluebrake.model import Message, MessageResult, ParsedRequest, Queue
from gluebrake.outcomes import Outcome
from gluebrake.runtime import (
    Dependencies,
    StageResult,
    build_dependencies,
    dispatch,
    initialised_by_lambda,
    invoke,
    read,
)

MAX_LOOKS: Final = 1000
"""The deadline ends the watch long before; what says more than this is no count of ours."""


def handler(event: Mapping[str, Any], context: Any, parts: Dependencies | None = None) -> dict[str, Any]:
    """Handle an SQS event from the confirm queue; answer with the messages to be delivered again."""
    return invoke(work, event, context, parts or _wired())


def work(messages: Sequence[Message], parts: Dependencies, budget: CallBudget) -> StageResult:
    """Read, plan, look, settle and send."""
    parsed, unusable = read([_with_submission_time(message) for message in messages], parts.aws_environment)
    unusable += [_without_runs(one) for one in parsed if not one.run_ids]
    targets = planning.merge(parsed)
    budget.reserve_for_dispatch(stop_outcomes.seconds_to_dispatch(len(targets) + len(unusable)))
    findings = parts.glue.look(targets, budget)
    now = parts.clock()
    results = stop_outcomes.decide_confirmations(findings, parts.policy.deadline_seconds, now)
    return dispatch(StageResult(results, unusable), parts, budget, now)


def _without_runs(one: ParsedRequest) -> MessageResult:
    why = "Select: a run that is watched must be named, in JobRunIds"
    return MessageResult(one.message, Outcome.INVALID_REQUEST, why, request=one.request)


def _with_submission_time(message: Message) -> Message:
    """Count from the message's own time where no readable submission time came with it."""
    return msgspec.structs.replace(message, submitted_at=message.submitted_at or message.sent_at)


@cache
def _wired() -> Dependencies:
    return replace(build_dependencies("confirm", Queue.CONFIRM), max_attempts=MAX_LOOKS)


if initialised_by_lambda():
    _wired()
