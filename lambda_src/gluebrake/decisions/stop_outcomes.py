"""What was found becomes outcomes. Tables decide."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final, assert_never

import msgspec

from gluebrake.model import (
    TERMINAL_STATES,
    ActiveRuns,
    Finding,
    Measure,
    MessageResult,
    Observation,
    ParsedRequest,
    RunFacts,
    RunResult,
    StopTarget,
)
from gluebrake.outcomes import Outcome

# Errors that no retry mends; any other code is retried, a bounded number of times.
FINAL_ERRORS: Final = frozenset(
    {"AccessDeniedException", "AccessDenied", "InvalidInputException", "ValidationException"}
)

# https://docs.aws.amazon.com/glue/latest/webapi/API_JobRun.html, WorkerType: the DPUs of one worker.
DPUS_OF_A_WORKER: Final[Mapping[str, float]] = {
    "G.025X": 0.25,
    "G.1X": 1,
    "G.2X": 2,
    "G.4X": 4,
    "G.8X": 8,
    "G.12X": 12,
    "G.16X": 16,
    "R.1X": 1,
    "R.2X": 2,
    "R.4X": 4,
    "R.8X": 8,
    "Z.2X": 2,
}

_UNREAD_DEADLINES: Final = 2

_SETTLING_SECONDS: Final = 2.0
_SETTLING_SECONDS_PER_DEMAND: Final = 0.001  # a batch of ten sends, or of ten events, in 80 ms, eight at once


def seconds_to_dispatch(targets: int) -> float:
    """Return how long settling, sending and accounting for so many demands may take."""
    return _SETTLING_SECONDS + _SETTLING_SECONDS_PER_DEMAND * targets


def decide_stops(findings: Iterable[Finding], max_attempts: int) -> list[RunResult]:
    """Decide what became of each demand that was to be stopped."""
    return [_result(finding, _stop_outcome(finding, max_attempts)) for finding in findings]


def _stop_outcome(finding: Finding, max_attempts: int) -> Outcome:
    match finding.observation:
        case Observation.SUBMITTED:
            return Outcome.STOP_SUBMITTED
        case Observation.STATE:
            return _by_state(finding, max_attempts)
        case Observation.NOT_FOUND:
            return _not_found(finding.target.attempt, max_attempts)
        case Observation.PROTECTED:
            return Outcome.PROTECTED
        case Observation.NOT_CALLED:
            return Outcome.DEFERRED
        case Observation.UNKNOWN:
            return _again(finding.target.attempt, max_attempts)
        case Observation.DENIED | Observation.CALL_FAILED:
            return _after_error(finding.code, finding.target.attempt, max_attempts)
        case _:
            assert_never(finding.observation)


def _by_state(finding: Finding, max_attempts: int) -> Outcome:
    target, state = finding.target, _state(finding)
    maybe_ours = (target.maybe_already_stopped or finding.response_lost) and not target.dry_run
    if state == "STOPPED" and maybe_ours:
        return Outcome.ALREADY_STOPPING
    if state in TERMINAL_STATES:
        return Outcome.ALREADY_FINISHED
    if target.dry_run:
        return Outcome.WOULD_STOP
    if state == "STOPPING":
        return Outcome.ALREADY_STOPPING
    return _again(target.attempt, max_attempts)


def _not_found(attempt: int, max_attempts: int) -> Outcome:
    # A run that was just started may not show yet, so Glue is asked once more, after a delay.
    return Outcome.NOT_FOUND if attempt else _again(attempt, max_attempts, exhausted=Outcome.NOT_FOUND)


def _after_error(code: str, attempt: int, max_attempts: int) -> Outcome:
    return Outcome.FAILED if code in FINAL_ERRORS else _again(attempt, max_attempts)


def _again(attempt: int, max_attempts: int, exhausted: Outcome = Outcome.FAILED) -> Outcome:
    return Outcome.RETRYING if attempt + 1 < max_attempts else exhausted


def decide_listing(one: ParsedRequest, search: ActiveRuns, max_attempts: int) -> MessageResult | None:
    """Decide what became of a request for which no run was found; None if some were."""
    if one.run_ids:
        return None
    outcome = _search_outcome(search, one.message.attempt, max_attempts)
    why = _why_none(search)
    return MessageResult(one.message, outcome, why, search.code, one.request)


def _why_none(search: ActiveRuns) -> str:
    if search.complete:
        return "no active run is meant"
    return search.error or search.code or "there was no time to search"


def _search_outcome(search: ActiveRuns, attempt: int, max_attempts: int) -> Outcome:
    if search.complete:
        return Outcome.NO_ACTIVE_RUNS
    if not search.code:
        return Outcome.DEFERRED
    if search.code == "EntityNotFoundException":
        return _not_found(attempt, max_attempts)
    return _after_error(search.code, attempt, max_attempts)


def decide_confirmations(findings: Iterable[Finding], deadline_seconds: int, now: datetime) -> list[RunResult]:
    """Decide what became of each run that was submitted for stopping; the demands say when it was."""
    return [_confirmed(finding, deadline_seconds, now) for finding in findings]


def _confirmed(finding: Finding, deadline_seconds: int, now: datetime) -> RunResult:
    overdue = age_seconds(finding.target, now) / deadline_seconds
    match finding.observation:
        case Observation.STATE if _state(finding) == "STOPPED":
            return _result(finding, Outcome.STOPPED, measures=measures(finding))
        case Observation.STATE if _state(finding) in TERMINAL_STATES:
            return _finished_first(finding)
        case Observation.STATE if overdue > 1:
            return _timed_out(finding, deadline_seconds)
        case Observation.STATE:
            return _result(finding, Outcome.NOT_YET_CONFIRMED)
        case Observation.NOT_FOUND:
            return _result(finding, Outcome.FINISHED_BEFORE_STOP)
        case _:
            # A read that fails is no look: it is tried for as long again before the run is given up.
            return _result(
                finding, Outcome.STOP_TIMED_OUT if overdue > _UNREAD_DEADLINES else Outcome.NOT_YET_CONFIRMED
            )


def _timed_out(finding: Finding, deadline_seconds: int) -> RunResult:
    result = _result(finding, Outcome.STOP_TIMED_OUT)
    return msgspec.structs.replace(
        result, error=f"The run had not stopped {deadline_seconds} seconds after it was submitted for stopping."
    )


def _finished_first(finding: Finding) -> RunResult:
    result = _result(finding, Outcome.FINISHED_BEFORE_STOP)
    if result.state != "FAILED":
        return result
    return msgspec.structs.replace(
        result, error="The run failed; Glue may start another attempt, a run of its own."
    )


def measures(finding: Finding) -> dict[Measure, float | None]:
    """Measure a run that stopped, by Glue's own fields; what Glue does not say is None, never guessed."""
    submitted_at, facts = finding.target.submitted_at, finding.run or RunFacts("", "")
    took = facts.completed_on - submitted_at if facts.completed_on and submitted_at else None
    dpus = _dpus(facts)
    return {
        Measure.TIME_TO_STOP: max(0.0, took.total_seconds()) if took is not None else None,
        Measure.DPUS_RELEASED: dpus,
        Measure.DPU_HOURS_CONSUMED: _dpu_hours(facts, dpus),
    }


def _dpus(facts: RunFacts) -> float | None:
    if not facts.worker_type or facts.worker_type == "Standard":
        return facts.max_capacity
    dpus_of_one = DPUS_OF_A_WORKER.get(facts.worker_type)
    return dpus_of_one * facts.number_of_workers if dpus_of_one and facts.number_of_workers else None


def _dpu_hours(facts: RunFacts, dpus: float | None) -> float | None:
    if facts.dpu_seconds is not None:
        return facts.dpu_seconds / 3600
    return facts.execution_seconds * dpus / 3600 if dpus is not None else None


def age_seconds(target: StopTarget, now: datetime) -> float:
    """Return how long ago the demand's run was submitted for stopping."""
    return (now - target.submitted_at).total_seconds() if target.submitted_at else 0.0


def _state(finding: Finding) -> str:
    return finding.run.state if finding.run else ""


def _result(
    finding: Finding, outcome: Outcome, measures: Mapping[Measure, float | None] = MappingProxyType({})
) -> RunResult:
    return RunResult(finding.target, outcome, finding.code, finding.error, _state(finding), measures)
