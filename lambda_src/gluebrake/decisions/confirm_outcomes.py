"""Decide the outcome of each run that Glue was asked to stop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from gluebrake.decisions.dpu_usage import dpus
from gluebrake.metrics import Measure
from gluebrake.model import TERMINAL_STATES, Finding, Observation, RunFacts, RunResult, StopTarget
from gluebrake.outcomes import Outcome

# A failed read proves nothing, so confirmation continues for a second deadline. If the function was paused,
# both deadlines may have passed without a read. So a minimum number of polls must fail as well.
_DEADLINES_WITHOUT_A_READ: Final = 2
_LEAST_POLLS: Final = 8


def decide_confirmations(findings: Iterable[Finding], deadline_seconds: int, now: datetime) -> list[RunResult]:
    """Decide the outcome of each run. Its age counts from the submission time of its target."""
    return [_decide(finding, deadline_seconds, now) for finding in findings]


def _decide(finding: Finding, deadline_seconds: int, now: datetime) -> RunResult:
    deadlines_passed = age_seconds(finding.target, now) / deadline_seconds
    match finding.observation:
        case Observation.STATE if finding.state == "STOPPED":
            return _result(finding, Outcome.STOPPED, measures=measures(finding))
        case Observation.STATE if finding.state in TERMINAL_STATES:
            error = "The run failed; Glue may start another attempt, a run of its own."
            return _result(
                finding, Outcome.FINISHED_BEFORE_STOP, error if finding.state == "FAILED" else finding.error
            )
        case Observation.STATE if deadlines_passed > 1:
            error = f"The run had not stopped {deadline_seconds} seconds after it was submitted for stopping."
            return _result(finding, Outcome.STOP_TIMED_OUT, error)
        case Observation.STATE:
            return _result(finding, Outcome.NOT_YET_CONFIRMED)
        case Observation.NOT_FOUND:
            return _result(finding, Outcome.FINISHED_BEFORE_STOP)
        case Observation.NOT_CALLED:
            return _result(finding, Outcome.NOT_YET_CONFIRMED)
        case _ if deadlines_passed > _DEADLINES_WITHOUT_A_READ and finding.target.attempt >= _LEAST_POLLS:
            return _result(finding, Outcome.UNCONFIRMED)
        case _:
            return _result(finding, Outcome.NOT_YET_CONFIRMED)


def measures(finding: Finding) -> dict[Measure, float | None]:
    """Measure a stopped run by Glue's fields. A value that Glue does not report is None, never guessed."""
    submitted_at, run = finding.target.submitted_at, finding.run or RunFacts("", "")
    took = run.completed_on - submitted_at if run.completed_on and submitted_at else None
    return {
        Measure.TIME_TO_STOP: max(0.0, took.total_seconds()) if took is not None else None,
        Measure.DPUS_RELEASED: dpus(run),
    }


def age_seconds(target: StopTarget, now: datetime) -> float:
    """Return how many seconds ago the stop of the target was submitted, 0 if it was not submitted."""
    return (now - target.submitted_at).total_seconds() if target.submitted_at else 0.0


def _result(
    finding: Finding,
    outcome: Outcome,
    error: str | None = None,
    measures: Mapping[Measure, float | None] | None = None,
) -> RunResult:
    error = finding.error if error is None else error
    return RunResult(finding.target, outcome, finding.code, error, finding.state, measures or {}, finding.run)
