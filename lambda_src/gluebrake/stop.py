"""The STOP function: stops the runs that the messages on the stop queue ask to be stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from gluebrake import planning, settling
from gluebrake.glue import Pace
from gluebrake.invocation import Parts, hand_on, invoke, read, wired
from gluebrake.model import Count, Message, Queue


def handler(event: Mapping[str, Any], context: Any, parts: Parts | None = None) -> dict[str, Any]:
    """Handle an SQS event from the stop queue; answer with the messages to be delivered again."""
    return invoke(work, event, context, parts or _wired())


def work(messages: Sequence[Message], parts: Parts, pace: Pace) -> frozenset[str]:
    """Read, find, plan, stop, settle and send; return the messages that SQS is to deliver again."""
    now = parts.clock()
    asked, unusable = read(messages)
    # `find` has its place here: selections become run ids before anything is planned.
    plan = planning.plan(asked, parts.limits)
    pace.reserve(settling.seconds_to_settle(plan.demands + len(unusable)))
    findings = [*parts.glue.stop(plan.stops, pace), *parts.glue.look(plan.looks, pace)]
    results = [*plan.results, *settling.settle_stops(findings, parts.max_attempts)]
    counts = {Count.RUNS_REQUESTED: plan.requested, Count.DUPLICATE_RUNS: plan.duplicates}
    return hand_on(results, [*unusable, *plan.message_results], counts, parts, now)


@cache
def _wired() -> Parts:
    return wired("stop", Queue.STOP)
