"""Which runs of a job a selection matches.

A selection that is delivered again also matches runs that are STOPPING or have ended since its first delivery.
That delivery may have stopped them, and nothing else would confirm these stops.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import msgspec
from msgspec import UNSET

from gluebrake.contract import Selection, StopRequest
from gluebrake.model import ActiveRuns, Message, ParsedRequest, RunFacts

# Lambda repeats a failed asynchronous invocation after one and after two minutes, without a mark.
_DIRECT_RETRIES: Final = timedelta(minutes=5)


def delivered_before(message: Message, request: StopRequest) -> datetime | None:
    """Return since when an earlier delivery may have stopped runs, None if there was none.

    A retry that follows such a delivery has this time as its submission time. A dry run stops nothing.
    """
    if request.dry_run:
        return None
    if message.submitted_at:
        return message.submitted_at
    if message.is_direct:
        started_before = (request.select or Selection()).started_before or message.sent_at
        return max(started_before, message.sent_at - _DIRECT_RETRIES)
    return message.sent_at if message.receive_count > 1 else None


def select(parsed: ParsedRequest, active: ActiveRuns) -> ParsedRequest:
    """Return the request with the ids of the runs that its selection matches."""
    selection, since = parsed.request.select or Selection(), delivered_before(parsed.message, parsed.request)
    matching = [run for run in active.runs if _matches(selection, run, since)]
    if not matching:
        return parsed
    return msgspec.structs.replace(
        parsed,
        # When exactly an earlier delivery submitted one of the runs is not known.
        message=msgspec.structs.replace(parsed.message, submitted_at=None),
        run_ids=tuple(run.run_id for run in matching),
        inactive=sum(not run.is_active for run in matching),
    )


def _matches(selection: Selection, run: RunFacts, since: datetime | None) -> bool:
    # A run without a start time may have started after the message was sent.
    before = selection.started_before
    if before is not UNSET and (run.started_on is None or run.started_on >= before):
        return False
    if run.is_active:
        return selection.states is UNSET or run.state in selection.states
    # The states at the first delivery are not known any more.
    return since is not None and (not run.is_over or run.ended_since(since))
