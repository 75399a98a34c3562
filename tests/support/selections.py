"""Selections that were sent, parsed independently of Gluebrake."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from tests.support.fakes.exchange import Json


@dataclass(frozen=True)
class SentSelection:
    """A selection: its job, whether it is a dry run, its states, and before when its runs must have started."""

    job_name: str
    dry_run: bool
    states: frozenset[str]
    """Empty for every active state."""
    started_before: datetime

    @classmethod
    def parse(cls, body: str, sent_at: datetime) -> Self | None:
        """Parse a message that was sent at the time. Return None if it is no selection."""
        request = request_with_selection(body)
        if request is None:
            return None
        selection = request["Select"]
        age = timedelta(minutes=selection.get("OlderThanMinutes", 0))
        before = datetime.fromisoformat(selection.get("StartedBefore", sent_at.isoformat()))
        return cls(
            job_name=request["JobName"],
            dry_run=request.get("DryRun", False),
            states=frozenset(selection.get("States", ())),
            started_before=min(before, sent_at - age),
        )

    def may_mean(self, job_name: str, started_on: datetime | None, *, dry_run: bool) -> bool:
        """Return whether it means runs of the job that started at the time, whatever their states are."""
        is_early = started_on is not None and started_on < self.started_before
        return is_early and (self.job_name, self.dry_run) == (job_name, dry_run)


def request_with_selection(body: str) -> Json | None:
    """Return the stop request in a message if it selects runs."""
    try:
        request: Any = json.loads(body)
    except ValueError:
        return None
    if isinstance(request, dict):
        request = request.get("detail", request)
    return request if isinstance(request, dict) and "Select" in request else None
