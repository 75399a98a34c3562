"""The STOP function: stops the runs that the messages on the stop queue ask to be stopped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from msgspec import UNSET

from gluebrake import planning, selecting, settling
from gluebrake.glue import Pace
from gluebrake.invocation import Parts, Settled, hand_on, initialised_by_lambda, invoke, read, wired
from gluebrake.model import Asked, Count, Message, MessageResult, Queue


def handler(event: Any, context: Any, parts: Parts | None = None) -> dict[str, Any]:
    """Handle messages of the stop queue, or whatever else the function is invoked with."""
    return invoke(work, event, context, parts or _wired())


def work(messages: Sequence[Message], parts: Parts, pace: Pace) -> Settled:
    """Read, find, plan, stop, settle and send."""
    now = parts.clock()
    asked, unusable = read(messages, parts.home)
    asked, unfound = find(asked, parts, pace, now)
    plan = planning.plan(asked, parts.limits)
    message_results = [*unusable, *unfound, *plan.message_results]
    pace.reserve(settling.seconds_to_settle(plan.demands + len(message_results)))
    findings = [*parts.glue.stop(plan.stops, pace), *parts.glue.look(plan.looks, pace)]
    results = [*plan.results, *settling.settle_stops(findings, parts.max_attempts)]
    counts = {Count.RUNS_REQUESTED: plan.requested, Count.DUPLICATE_RUNS: plan.duplicates}
    return hand_on(Settled(results, message_results, counts), parts, pace, now)


def find(
    asked: Iterable[Asked], parts: Parts, pace: Pace, now: datetime
) -> tuple[list[Asked], list[MessageResult]]:
    """Find the runs that selections mean; a request for which none was found is settled by that."""
    named, selections, settled = [], [], []
    for one in asked:
        if one.request.select is UNSET:
            named.append(one)
        elif barred := parts.limits.barred(one.request.job_name):
            outcome, code, why = barred
            settled.append(MessageResult(one.message, outcome, why, code, one.request))
        else:
            selections.append(one)
    pace.reserve(settling.seconds_to_settle(len(named) + len(selections)))
    searches = parts.glue.find({one.request.job_name for one in selections}, pace, now)
    for one in selections:
        search = searches[one.request.job_name]
        found = selecting.selected(one, search)
        if result := settling.settle_search(found, search, parts.max_attempts):
            settled.append(result)
        else:
            named.append(found)
    return named, settled


@cache
def _wired() -> Parts:
    return wired("stop", Queue.STOP)


if initialised_by_lambda():
    _wired()
