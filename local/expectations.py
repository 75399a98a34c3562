"""The expected results of the demo's scenario, and their comparison with the observed results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Final

from local import scenario
from local.observation import Observation, label

Counts = Mapping[str, int]

OUTCOMES: Final[Counts] = {
    "StopSubmitted": 42,
    "Stopped": 41,
    "StopTimedOut": 1,
    "AlreadyFinished": 1,
    "Retrying": 1,
    "NotFound": 1,
    "WouldStop": 1,
    "Protected": 1,
    "NotAllowed": 1,
    "InvalidRequest": 1,
    "Swept": 1,
}

STATES: Final[Counts] = {"RUNNING": 6, "STOPPING": 1, "STOPPED": 41, "SUCCEEDED": 1}

SWEEP: Final[Counts] = {"matched": 2, "stoppable": 1, "stopRequested": 1}
"""The counts of the policy's report. One matched run is not stoppable: `nightly-audit` has the protect tag."""

STOPPED_BY_REQUESTS: Final = STATES["STOPPED"] - SWEEP["stopRequested"]

DPUS_RELEASED: Final = 28 * 10 + 8 * 2 + 4 * 2 + 10
"""The DPUs of the 28, 8 and 4 runs that the requests stop, and of the run that the sweep stops."""

DEAD_LETTERS: Final[Counts] = {
    "EntityNotFoundException": 1,
    "StopTimedOut": 1,
    "NotAllowed": 1,
    "InvalidRequest": 1,
}
"""The number of dead letters with each ERROR_CODE."""

NOT_STOPPED: Final[Counts] = {
    f"{request.label}: {request.not_stopped}": 1 for request in scenario.REQUESTS if request.not_stopped
}
"""The requests that stop nothing, each with its outcome."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Expected counts, and the same counts in each place where they were observed."""

    title: str
    expected: Counts
    found: Mapping[str, Counts]

    @property
    def rows(self) -> dict[str, list[int]]:
        """The expected count and each observed count, by name."""
        sources = (self.expected, *self.found.values())
        names = dict.fromkeys(name for counts in sources for name in counts)
        return {name: [counts.get(name, 0) for counts in sources] for name in names}

    @property
    def differences(self) -> list[str]:
        """The names whose counts differ."""
        return [name for name, counts in self.rows.items() if len(set(counts)) > 1]


def comparisons(observed: Observation, ids: scenario.Ids) -> list[Comparison]:
    """Compare every expectation with the observation at the end."""
    sweep = {name: observed.sweep.get(name, 0) for name in SWEEP}
    not_stopped = Counter(f"{label(line)}: {line['outcome']}" for line in observed.not_stopped)
    codes = Counter(letter.error_code for letter in observed.dead_letters)
    dpus = round(observed.total("DpusReleased"))
    return [
        Comparison("States of the runs", STATES, {"found": observed.states}),
        Comparison("Report of the policy", SWEEP, {"logged": sweep}),
        Comparison("Outcomes", OUTCOMES, {"logged": observed.outcomes, "metrics": observed.metrics}),
        Comparison("Requests that stop nothing", NOT_STOPPED, {"logged": not_stopped}),
        Comparison("DPUs", {"released": DPUS_RELEASED}, {"logged": {"released": dpus}}),
        Comparison(
            "Fewest calls of BatchStopJobRun",
            {"calls": fewest_calls(ids)},
            {"made": {"calls": len(observed.calls)}},
        ),
        Comparison("Error codes of the dead letters", DEAD_LETTERS, {"found": codes}),
    ]


def differences(compared: list[Comparison]) -> list[str]:
    """Return the names of the counts that differ, each with its table."""
    return [f"{comparison.title}: {name}" for comparison in compared for name in comparison.differences]


def fewest_calls(ids: scenario.Ids) -> int:
    """Return the least possible number of BatchStopJobRun calls, with 25 runs each.

    The retry needs a call of its own, and so does the sweep, whose request is for another job.
    """
    requested: dict[str, set[str]] = {}
    for request in scenario.REQUESTS:
        if request.job not in ("", "payroll", "forecast") and not request.dry_run:
            requested.setdefault(request.job, set()).update(request.run_ids(ids))
    of_requests = sum(ceil(len(run_ids) / 25) for run_ids in requested.values())
    return of_requests + OUTCOMES["Retrying"] + SWEEP["stopRequested"]
