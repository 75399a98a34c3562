"""The CONFIRM function: looks at each run that was submitted for stopping until it has really stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, Final

import msgspec

from gluebrake import planning, settling
from gluebrake.glue import Pace
from gluebrake.invocation import Parts, Settled, hand_on, initialised_by_lambda, invoke, read, wired
from gluebrake.model import Asked, Message, MessageResult, Outcome, Queue

MAX_LOOKS: Final = 1000
"""The deadline ends the watch long before; what says more than this is no count of ours."""


def handler(event: Mapping[str, Any], context: Any, parts: Parts | None = None) -> dict[str, Any]:
    """Handle an SQS event from the confirm queue; answer with the messages to be delivered again."""
    return invoke(work, event, context, parts or _wired())


def work(messages: Sequence[Message], parts: Parts, pace: Pace) -> Settled:
    """Read, plan, look, settle and send."""
    asked, unusable = read([_with_submission_time(message) for message in messages], parts.home)
    unusable += [_without_runs(one) for one in asked if not one.run_ids]
    demands = planning.merge(asked)
    pace.reserve(settling.seconds_to_settle(len(demands) + len(unusable)))
    findings = parts.glue.look(demands, pace)
    now = parts.clock()
    results = settling.settle_looks(findings, parts.policy.deadline_seconds, now)
    return hand_on(Settled(results, unusable), parts, pace, now)


def _without_runs(one: Asked) -> MessageResult:
    why = "Select: a run that is watched must be named, in JobRunIds"
    return MessageResult(one.message, Outcome.INVALID_REQUEST, why, request=one.request)


def _with_submission_time(message: Message) -> Message:
    """Count from the message's own time where no readable submission time came with it."""
    return msgspec.structs.replace(message, submitted_at=message.submitted_at or message.sent_at)


@cache
def _wired() -> Parts:
    return replace(wired("confirm", Queue.CONFIRM), max_attempts=MAX_LOOKS)


if initialised_by_lambda():
    _wired()
