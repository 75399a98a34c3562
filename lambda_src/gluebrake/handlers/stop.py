"""The STOP function: stops the runs that the messages on the stop queue ask to be stopped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from msgspec import UNSET

from gluebrake.aws.glue import CallBudget
from gluebrake.decisions import planning, selection, stop_outcomes
from gluebrake.model import Count, Message, MessageResult, ParsedRequest, Queue
from gluebrake.runtime import (
    Dependencies,
    StageResult,
    build_dependencies,
    dispatch,
    initialised_by_lambda,
    invoke,
    read,
)


def handler(event: Any, context: Any, parts: Dependencies | None = None) -> dict[str, Any]:
    """Handle messages of the stop queue, or whatever else the function is invoked with."""
    return invoke(work, event, context, parts or _wired())


def work(messages: Sequence[Message], parts: Dependencies, budget: CallBudget) -> StageResult:
    """Read, find, plan, stop, settle and send."""
    now = parts.clock()
    parsed, unusable = read(messages, parts.aws_environment)
    parsed, unfound = find(parsed, parts, budget, now)
    plan = planning.plan(parsed, parts.limits)
    message_results = [*unusable, *unfound, *plan.message_results]
    budget.reserve_for_dispatch(stop_outcomes.seconds_to_dispatch(plan.targets + len(message_results)))
    findings = [*parts.glue.stop(plan.stops, budget), *parts.glue.look(plan.looks, budget)]
    results = [*plan.results, *stop_outcomes.decide_stops(findings, parts.max_attempts)]
    counts = {Count.RUNS_REQUESTED: plan.requested, Count.DUPLICATE_RUNS: plan.duplicates}
    return dispatch(StageResult(results, message_results, counts), parts, budget, now)


def find(
    parsed: Iterable[ParsedRequest], parts: Dependencies, budget: CallBudget, now: datetime
) -> tuple[list[ParsedRequest], list[MessageResult]]:
    """Find the runs that selections mean; a request for which none was found is settled by that."""
    named, selections, settled = [], [], []
    for one in parsed:
        if one.request.select is UNSET:
            named.append(one)
        elif rejection := parts.limits.rejection(one.request.job_name):
            outcome, code, why = rejection
            settled.append(MessageResult(one.message, outcome, why, code, one.request))
        else:
            selections.append(one)
    budget.reserve_for_dispatch(stop_outcomes.seconds_to_dispatch(len(named) + len(selections)))
    searches = parts.glue.find({one.request.job_name for one in selections}, budget, now)
    for one in selections:
        search = searches[one.request.job_name]
        found = selection.selected(one, search)
        if result := stop_outcomes.decide_listing(found, search, parts.max_attempts):
            settled.append(result)
        else:
            named.append(found)
    return named, settled


@cache
def _wired() -> Dependencies:
    return build_dependencies("stop", Queue.STOP)


if initialised_by_lambda():
    _wired()
