"""The demo's observation as plain data: the runs, the functions' logs, the calls and the dead letters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from gluebrake.outcomes import Outcome
from local import scenario

LogLine = Mapping[str, Any]

UNCOUNTED: Final = Outcome.NOT_YET_CONFIRMED
"""The outcome that is not compared, because the number of polls until a run has stopped depends on timing."""


class DeadLetter(NamedTuple):
    """A message of the dead-letter queue."""

    error_code: str
    error_message: str
    body: str


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything that is observed at one moment."""

    runs: Mapping[str, Mapping[str, str]]
    """The state of each run, by job and by run id."""
    log: Sequence[LogLine]
    calls: Sequence[Mapping[str, Any]]
    """The request of each BatchStopJobRun call."""
    dead_letters: Sequence[DeadLetter] = ()
    plain_log: Sequence[str] = ()
    """The lines of the functions' logs that are not structured, such as tracebacks."""

    @property
    def states(self) -> Counter[str]:
        """The number of runs in each state."""
        return Counter(state for runs in self.runs.values() for state in runs.values())

    @property
    def outcomes(self) -> Counter[str]:
        """The number of log lines with each outcome."""
        return Counter(line["outcome"] for line in self.log if line.get("outcome", UNCOUNTED) != UNCOUNTED)

    @property
    def metrics(self) -> Counter[str]:
        """The number of each outcome in the logs' embedded metrics, counted as CloudWatch does."""
        lines = [line for line in self.log if "_aws" in line]
        names = {*map(str, Outcome)} - {UNCOUNTED}
        return sum(
            (Counter({name: int(sum(line[name])) for name in names & line.keys()}) for line in lines), Counter()
        )

    @property
    def stopped(self) -> list[LogLine]:
        """The log lines of the runs that Glue reports as STOPPED."""
        return [line for line in self.log if line.get("outcome") == Outcome.STOPPED]

    @property
    def not_stopped(self) -> list[LogLine]:
        """The log lines of the requests that stopped nothing, in the order of the scenario."""
        lines = {(label(line), line["outcome"]): line for line in self.log if "outcome" in line}
        wanted = [(request.label, request.not_stopped) for request in scenario.REQUESTS if request.not_stopped]
        return [lines[key] for key in wanted if key in lines]

    @property
    def calls_that_stopped(self) -> list[Mapping[str, Any]]:
        """The calls that name a run which is STOPPED."""
        states = {run_id: state for runs in self.runs.values() for run_id, state in runs.items()}
        stopped = {run_id for run_id, state in states.items() if state == "STOPPED"}
        return [call for call in self.calls if not stopped.isdisjoint(call["JobRunIds"])]

    @property
    def sweep(self) -> dict[str, Any]:
        """The report of the policy, empty before its sweep."""
        return next((dict(line) for line in self.log if line.get("message") == "SweepReport"), {})

    @property
    def swept_runs(self) -> list[Mapping[str, Any]]:
        """The runs that the policy matched, the youngest first."""
        runs = [run for line in self.log for run in line.get("runs", [])]
        return sorted(runs, key=lambda run: run["minutes"])

    def total(self, measure: str) -> float:
        """Return the sum of a measure of the stopped runs."""
        return float(sum(line.get(measure, 0) for line in self.stopped))


def label(line: LogLine) -> str:
    """Return the job of an outcome, or the text of the message that names no job."""
    return str(line["job_name"] or scenario.NOT_A_REQUEST)
