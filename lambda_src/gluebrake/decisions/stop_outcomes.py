"""Decide the outcome of each target of the STOP function, and of each selection without a target."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, assert_never

from gluebrake.error_codes import FINAL, NOT_FOUND
from gluebrake.model import (
    TERMINAL_STATES,
    ActiveRuns,
    Finding,
    MessageResult,
    Observation,
    ParsedRequest,
    RunResult,
)
from gluebrake.outcomes import Outcome

GLUE_MAY_RETRY: Final = (
    "The run failed. Glue may start another attempt, a run of its own, which IncludeAttempts also stops."
)


def decide_stops(findings: Iterable[Finding], max_attempts: int) -> list[RunResult]:
    """Decide the outcome of each target of a stop call or a dry run."""
    return [_stop_result(finding, _stop_outcome(finding, max_attempts)) for finding in findings]


def decide_listing(parsed: ParsedRequest, active: ActiveRuns, max_attempts: int) -> MessageResult | None:
    """Decide the outcome of a request whose listing failed or matched no run. Return None if it has runs."""
    if parsed.run_ids and active.complete:
        return None
    job_name, attempt = parsed.request.job_name, parsed.message.attempt
    outcome = _listing_outcome(job_name, active, attempt, max_attempts)
    why = _no_pattern(job_name) if outcome is Outcome.NOT_FOUND else ""
    return MessageResult(parsed.message, outcome, why or _why_none(active), active.code, parsed.request)


def _stop_result(finding: Finding, outcome: Outcome) -> RunResult:
    error = finding.error
    if outcome is Outcome.ALREADY_FINISHED and finding.state == "FAILED":
        error = GLUE_MAY_RETRY
    elif outcome is Outcome.NOT_FOUND:
        error = _no_pattern(finding.target.run.job_name) or error
    return RunResult(finding.target, outcome, finding.code, error, finding.state, run=finding.run)


def _stop_outcome(finding: Finding, max_attempts: int) -> Outcome:
    attempt = finding.target.attempt
    match finding.observation:
        case Observation.SUBMITTED:
            return Outcome.STOP_SUBMITTED
        case Observation.STATE:
            return _by_state(finding, max_attempts)
        case Observation.NOT_FOUND:
            return _not_found(finding.target.run.job_name, attempt, max_attempts)
        case Observation.PROTECTED:
            return Outcome.PROTECTED
        case Observation.NOT_CALLED:
            return Outcome.DEFERRED
        case Observation.UNKNOWN:
            return _retry(attempt, max_attempts)
        case Observation.DENIED | Observation.CALL_FAILED:
            return _after_error(finding.code, attempt, max_attempts)
        case _:
            assert_never(finding.observation)


def _by_state(finding: Finding, max_attempts: int) -> Outcome:
    target, state = finding.target, finding.state
    maybe_stopped = (target.maybe_already_stopped or finding.response_lost) and not target.dry_run
    if state == "STOPPED" and maybe_stopped:
        return Outcome.ALREADY_STOPPING
    if state in TERMINAL_STATES:
        return Outcome.ALREADY_FINISHED
    if target.dry_run:
        return Outcome.WOULD_STOP
    if state == "STOPPING":
        return Outcome.ALREADY_STOPPING
    return _retry(target.attempt, max_attempts)


def _not_found(job_name: str, attempt: int, max_attempts: int) -> Outcome:
    if _no_pattern(job_name):
        return Outcome.NOT_FOUND
    # Glue may not show a run that has just started, so a second attempt always follows the first.
    return Outcome.NOT_FOUND if attempt else _retry(attempt, max_attempts, exhausted=Outcome.NOT_FOUND)


def _no_pattern(job_name: str) -> str:
    """Return the explanation for an unknown job name that looks like a pattern, empty for all other names."""
    if "*" not in job_name:
        return ""
    return "JobName: names one job and takes no pattern; send a stop request for each job"


def _after_error(code: str, attempt: int, max_attempts: int) -> Outcome:
    return Outcome.FAILED if code in FINAL else _retry(attempt, max_attempts)


def _retry(attempt: int, max_attempts: int, exhausted: Outcome = Outcome.FAILED) -> Outcome:
    return Outcome.RETRYING if attempt + 1 < max_attempts else exhausted


def _why_none(active: ActiveRuns) -> str:
    if active.complete:
        return "the selection matches no active run"
    return active.error or active.code or "there was no time to list the job's runs"


def _listing_outcome(job_name: str, active: ActiveRuns, attempt: int, max_attempts: int) -> Outcome:
    if active.complete:
        return Outcome.NO_ACTIVE_RUNS
    if not active.code:
        return Outcome.DEFERRED
    if active.code == NOT_FOUND:
        return _not_found(job_name, attempt, max_attempts)
    return _after_error(active.code, attempt, max_attempts)
