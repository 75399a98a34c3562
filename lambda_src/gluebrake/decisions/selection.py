"""Which of a job's active runs a selection means."""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from gluebrake.contract import Selection
from gluebrake.model import ActiveRuns, ParsedRequest, RunFacts


def selected(one: ParsedRequest, search: ActiveRuns) -> ParsedRequest:
    """Return the request with the ids of the runs that it means, none if it means none of those found."""
    selection = one.request.select or Selection()
    run_ids = tuple(run.run_id for run in search.runs if _means(selection, run))
    return msgspec.structs.replace(one, run_ids=run_ids)


def _means(selection: Selection, run: RunFacts) -> bool:
    if not run.is_active or (selection.states is not UNSET and run.state not in selection.states):
        return False
    # A run without a start cannot be shown to have started in time.
    before = selection.started_before
    return before is UNSET or (run.started_on is not None and run.started_on < before)
