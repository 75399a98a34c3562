"""Find the runs of a request that does not name them all: a selection, or the attempts of named runs.

A redelivered selection also matches runs that are STOPPING or have ended since the first delivery. The first
delivery may have stopped these runs, and without a match no message would confirm their stops.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Final

import msgspec
from msgspec import UNSET

from gluebrake.contract import Selection, StopRequest
from gluebrake.grouping import grouped
from gluebrake.model import ActiveRuns, Message, ParsedRequest, RunFacts

_EVERY_RUN: Final = datetime.min.replace(tzinfo=UTC)

# Lambda repeats a failed asynchronous invocation after one and two minutes. The event does not show this.
_DIRECT_RETRIES: Final = timedelta(minutes=5)


def delivered_before(message: Message, request: StopRequest) -> datetime | None:
    """Return the time from which an earlier delivery may have stopped runs, None without an earlier delivery.

    A retry after such a delivery has this time as its submission time. A dry run stops nothing.
    """
    if request.dry_run:
        return None
    if message.submitted_at:
        return message.submitted_at
    if message.is_direct:
        selected_before = (request.select or Selection()).started_before
        started_before = selected_before or request.attempts_started_before or message.sent_at
        return max(started_before, message.sent_at - _DIRECT_RETRIES)
    return message.sent_at if message.receive_count > 1 else None


def select(parsed: ParsedRequest, listed: ActiveRuns) -> ParsedRequest:
    """Return the request with the ids of all runs that it means: first the named runs, then the listed runs."""
    if not listed.complete:
        return parsed
    request, since = parsed.request, delivered_before(parsed.message, parsed.request)
    if request.include_attempts:
        selection = Selection(started_before=request.attempts_started_before)
        candidates: Sequence[RunFacts] = _attempts_of(parsed.run_ids, listed.runs)
    else:
        selection, candidates = request.select or Selection(), listed.runs
    excluded = frozenset(selection.exclude or ())
    # Runs start while the list is read, so its pages may overlap.
    matching = {run.run_id: run for run in candidates if _matches(selection, run, since, excluded)}
    return msgspec.structs.replace(
        parsed,
        # The exact time at which an earlier delivery submitted each stop is not known.
        message=msgspec.structs.replace(parsed.message, submitted_at=None),
        run_ids=(*parsed.run_ids, *matching),
        inactive=sum(not run.is_active for run in matching.values()),
    )


def listed_since(parsed: ParsedRequest) -> datetime | None:
    """Return the time from which ended runs are needed to resolve the request, None if only active runs are.

    Attempts need every run that Glue lists, because a failed attempt links the next attempt to the named run.
    """
    return _EVERY_RUN if parsed.request.include_attempts else delivered_before(parsed.message, parsed.request)


def _attempts_of(run_ids: Iterable[str], runs: Sequence[RunFacts]) -> list[RunFacts]:
    """Return the runs whose PreviousRunId leads to one of `run_ids`, the earlier attempts first."""
    by_previous = grouped(runs, attrgetter("previous_run_id"))
    chain, attempts = [*run_ids], []
    known = set(chain)
    # The loop extends its own list, because an attempt can have a next attempt. Known runs end a cycle.
    for run_id in chain:
        for run in by_previous.get(run_id, ()):
            if run.run_id not in known:
                known.add(run.run_id)
                chain.append(run.run_id)
                attempts.append(run)
    return attempts


def _matches(selection: Selection, run: RunFacts, since: datetime | None, excluded: Collection[str]) -> bool:
    # A run without a start time may have started after the message was sent.
    before, after = selection.started_before, selection.started_after
    if before is not UNSET and (run.started_on is None or run.started_on >= before):
        return False
    if after is not UNSET and (run.started_on is None or run.started_on < after):
        return False
    if run.run_id in excluded or not _has_arguments(run, selection.arguments or {}):
        return False
    if run.is_active:
        return selection.states is UNSET or run.state in selection.states
    # `states` cannot be applied: the states at the first delivery are no longer known.
    return since is not None and (not run.is_over or run.ended_since(since))


def _has_arguments(run: RunFacts, arguments: Mapping[str, str]) -> bool:
    return all(run.arguments.get(name) == value for name, value in arguments.items())
