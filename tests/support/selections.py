"""Messages that do not name all runs that they mean, parsed independently of Gluebrake."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self

from tests.support.fakes.exchange import Json

RunKey = tuple[str, str]
"""Job name and run id."""


@dataclass(frozen=True)
class RunFacts:
    """What decides whether a selection means a run, besides its state."""

    started_on: datetime
    arguments: Mapping[str, str] = field(default_factory=dict)
    previous_run_id: str = ""


@dataclass(frozen=True, kw_only=True)
class SentSelection:
    """A selection, or a request for named runs with their attempts."""

    job_name: str
    dry_run: bool = False
    started_before: datetime
    started_after: datetime | None = None
    states: frozenset[str] = frozenset()
    """Empty for every active state."""
    arguments: Mapping[str, str] = field(default_factory=dict)
    excluded: frozenset[str] = frozenset()
    named: frozenset[str] | None = None
    """The runs whose attempts are meant; None for a selection."""

    @classmethod
    def parse(cls, body: str, sent_at: datetime) -> Self | None:
        """Parse a message that was sent at the time. Return None if it names all runs that it means."""
        request = request_with_selection(body)
        if request is None:
            return None
        selection = request.get("Select", {})
        age = timedelta(minutes=selection.get("OlderThanMinutes", 0))
        limits = (selection.get("StartedBefore"), request.get("AttemptsStartedBefore"))
        after = selection.get("StartedAfter")
        return cls(
            job_name=request["JobName"],
            dry_run=request.get("DryRun", False),
            started_before=min([sent_at - age, *(datetime.fromisoformat(limit) for limit in limits if limit)]),
            started_after=datetime.fromisoformat(after) if after else None,
            states=frozenset(selection.get("States", ())),
            arguments=selection.get("Arguments", {}),
            excluded=frozenset(selection.get("Except", ())),
            named=frozenset(request["JobRunIds"]) if "JobRunIds" in request else None,
        )

    def may_mean(self, run_key: RunKey, runs: Mapping[RunKey, RunFacts], *, dry_run: bool) -> bool:
        """Return whether it means the run, which is one of `runs`, whatever the run's state is."""
        job_name, run_id = run_key
        run = runs.get(run_key)
        if run is None or (self.job_name, self.dry_run) != (job_name, dry_run):
            return False
        is_attempt = self.named is None or not self.named.isdisjoint(_previous(run_key, runs))
        return (
            is_attempt
            and (self.started_after or run.started_on) <= run.started_on < self.started_before
            and self.arguments.items() <= run.arguments.items()
            and run_id not in self.excluded
        )


def _previous(run_key: RunKey, runs: Mapping[RunKey, RunFacts]) -> Iterator[str]:
    """Yield the ids of the runs that a run retries, as far as they are known, each once."""
    job_name, run_id = run_key
    passed = set[str]()
    while (job_name, run_id) in runs and run_id not in passed:
        passed.add(run_id)
        run_id = runs[job_name, run_id].previous_run_id
        yield run_id


def request_with_selection(body: str) -> Json | None:
    """Return the stop request in a message if it does not name all runs that it means."""
    try:
        request: Any = json.loads(body)
    except ValueError:
        return None
    if isinstance(request, dict):
        request = request.get("detail", request)
    if not isinstance(request, dict):
        return None
    return request if "Select" in request or request.get("IncludeAttempts") else None
