"""Decide what became of each target that STOP worked on, and of each selection."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

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


def decide_stops(findings: Iterable[Finding], max_attempts: int) -> list[RunResult]:
    """Decide what became of each target that was to be stopped."""
    return [RunResult(f.target, _stop_outcome(f, max_attempts), f.code, f.error, f.state) for f in findings]


def decide_listing(parsed: ParsedRequest, active: ActiveRuns, max_attempts: int) -> MessageResult | None:
    """Decide what became of a selection that matches no run. Return None if it matches some."""
    if parsed.run_ids:
        return None
    outcome = _listing_outcome(active, parsed.message.attempt, max_attempts)
    return MessageResult(parsed.message, outcome, _why_none(active), active.code, parsed.request)


def _stop_outcome(finding: Finding, max_attempts: int) -> Outcome:
    attempt = finding.target.attempt
    match finding.observation:
        case Observation.SUBMITTED:
            return Outcome.STOP_SUBMITTED
        case Observation.STATE:
            return _by_state(finding, max_attempts)
        case Observation.NOT_FOUND:
            return _not_found(attempt, max_attempts)
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


def _not_found(attempt: int, max_attempts: int) -> Outcome:
    # Glue may not show a run that has just started, so the first attempt is always followed by a second.
    return Outcome.NOT_FOUND if attempt else _retry(attempt, max_attempts, exhausted=Outcome.NOT_FOUND)


def _after_error(code: str, attempt: int, max_attempts: int) -> Outcome:
    return Outcome.FAILED if code in FINAL else _retry(attempt, max_attempts)


def _retry(attempt: int, max_attempts: int, exhausted: Outcome = Outcome.FAILED) -> Outcome:
    return Outcome.RETRYING if attempt + 1 < max_attempts else exhausted


def _why_none(active: ActiveRuns) -> str:
    if active.complete:
        return "the selection matches no active run"
    return active.error or active.code or "there was no time to list the job's runs"


def _listing_outcome(active: ActiveRuns, attempt: int, max_attempts: int) -> Outcome:
    if active.complete:
        return Outcome.NO_ACTIVE_RUNS
    if not active.code:
        return Outcome.DEFERRED
    if active.code == NOT_FOUND:
        return _not_found(attempt, max_attempts)
    return _after_error(active.code, attempt, max_attempts)
