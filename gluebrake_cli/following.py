"""Runs followed to their end: what Glue says of their states, and the functions' log of their outcomes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from gluebrake.model import TERMINAL_STATES, JobRun
from gluebrake.outcomes import Outcome

_FINAL: Final = frozenset(str(outcome) for outcome in Outcome if outcome.is_final)

Line = Mapping[str, Any]
"""A line of the functions' log that tells an outcome."""


class Followed(Struct, frozen=True, kw_only=True):
    """How far a run has come; `state` and `outcome` are empty while nobody has told any."""

    job_name: str
    job_run_id: str
    state: str = ""
    outcome: str = ""
    error_message: str = ""

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self.state in TERMINAL_STATES or self.outcome in _FINAL

    def is_as_asked(self, *, dry_run: bool) -> bool:
        """Whether the run is STOPPED or, for a dry run, would be."""
        return self.outcome == Outcome.WOULD_STOP if dry_run else self.state == "STOPPED"


def outcome_line(message: str) -> Line | None:
    """Read a log event's message; None if it tells no outcome: not everything filters as AWS does."""
    try:
        line = json.loads(message)
    except ValueError:
        return None
    return line if isinstance(line, dict) and "outcome" in line else None


def followed(
    runs: Sequence[JobRun], states: Mapping[JobRun, str], log: Iterable[Line], message_id: str | None
) -> list[Followed]:
    """Tell of each run the state that was read last, and its last outcome in the log, oldest line first."""
    outcomes: dict[JobRun, Line] = {}
    of_message: Line = {}
    for line in log:
        if line.get("will_redeliver"):
            continue  # it will be told again
        if "job_run_id" in line:
            outcomes[JobRun(line["job_name"], line["job_run_id"])] = line
        elif message_id in line["message_ids"]:
            of_message = line  # what becomes of a whole message becomes of each of its runs
    return [_followed(run, states.get(run, ""), outcomes.get(run, of_message)) for run in runs]


def _followed(run: JobRun, state: str, line: Line) -> Followed:
    return Followed(
        job_name=run.job_name,
        job_run_id=run.run_id,
        state=state or line.get("state", ""),
        outcome=line.get("outcome", ""),
        error_message=line.get("error_message", ""),
    )
