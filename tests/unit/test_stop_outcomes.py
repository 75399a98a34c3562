"""The finding of each target leads to exactly one outcome of STOP."""

from __future__ import annotations

from itertools import product
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gluebrake.decisions.stop_outcomes import GLUE_MAY_RETRY, decide_stops
from gluebrake.error_codes import FINAL
from gluebrake.model import TERMINAL_STATES, Finding, JobRun, Observation
from gluebrake.outcomes import Outcome
from tests.support.builders import ACTIVE_STATES, STATES, finding

pytestmark = pytest.mark.disable_socket

MAX_ATTEMPTS: Final = 8

CODES: Final = (
    "",
    "NoAnswer",
    "ThrottlingException",
    "InternalServiceException",
    "OperationTimeoutException",
    "ConnectionClosedError",
    "EntityNotFoundException",
    "JobRunCannotBeStoppedException",
    "ACodeOfALaterGlue",
    *sorted(FINAL),
)
RUN_OUTCOMES: Final = frozenset(
    {
        Outcome.STOP_SUBMITTED,
        Outcome.ALREADY_STOPPING,
        Outcome.ALREADY_FINISHED,
        Outcome.NOT_FOUND,
        Outcome.PROTECTED,
        Outcome.WOULD_STOP,
        Outcome.RETRYING,
        Outcome.DEFERRED,
        Outcome.FAILED,
    }
)


def _outcome(found: Finding, max_attempts: int = MAX_ATTEMPTS) -> Outcome:
    (result,) = decide_stops([found], max_attempts)
    return result.outcome


# A finding, and its outcome at the first attempt, at the second and at the last.
_RETRIED: Final = (Outcome.RETRYING, Outcome.RETRYING, Outcome.FAILED)
DECISIONS: Final[dict[str, tuple[Finding, tuple[Outcome, ...]]]] = {
    "submitted": (finding(Observation.SUBMITTED), (Outcome.STOP_SUBMITTED,) * 3),
    "stopping": (finding(Observation.STATE, state="STOPPING"), (Outcome.ALREADY_STOPPING,) * 3),
    "succeeded": (finding(Observation.STATE, state="SUCCEEDED"), (Outcome.ALREADY_FINISHED,) * 3),
    "expired": (finding(Observation.STATE, state="EXPIRED"), (Outcome.ALREADY_FINISHED,) * 3),
    "refused though active": (
        finding(Observation.STATE, "JobRunCannotBeStoppedException", state="RUNNING"),
        _RETRIED,
    ),
    "in an unknown state": (finding(Observation.STATE, state="PAUSED"), _RETRIED),
    "not found": (finding(Observation.NOT_FOUND), (Outcome.RETRYING, Outcome.NOT_FOUND, Outcome.NOT_FOUND)),
    "protected": (finding(Observation.PROTECTED, "AccessDeniedException"), (Outcome.PROTECTED,) * 3),
    "denied": (finding(Observation.DENIED, "AccessDeniedException"), (Outcome.FAILED,) * 3),
    "invalid": (finding(Observation.CALL_FAILED, "InvalidInputException"), (Outcome.FAILED,) * 3),
    "throttled": (finding(Observation.CALL_FAILED, "ThrottlingException"), _RETRIED),
    "timed out": (finding(Observation.CALL_FAILED, "OperationTimeoutException"), _RETRIED),
    "Glue's internal error": (finding(Observation.CALL_FAILED, "InternalServiceException"), _RETRIED),
    "unknown code": (finding(Observation.CALL_FAILED, "Surprise"), _RETRIED),
    "no answer": (finding(Observation.UNKNOWN, "NoAnswer"), _RETRIED),
    "not called": (finding(Observation.NOT_CALLED), (Outcome.DEFERRED,) * 3),
}


@pytest.mark.parametrize(("found", "outcomes"), DECISIONS.values(), ids=DECISIONS.keys())
def test_observation_and_attempt_decide(found: Finding, outcomes: tuple[Outcome, ...]) -> None:
    """The observation decides the outcome, and the attempt decides whether another one follows."""
    at_attempts = [replace(found, target=replace(found.target, attempt=attempt)) for attempt in (0, 1, 7)]
    assert tuple(map(_outcome, at_attempts)) == outcomes


@pytest.mark.parametrize("state", sorted(TERMINAL_STATES - {"STOPPED"}))
@pytest.mark.parametrize("maybe_already_stopped", [False, True])
def test_run_that_ended_in_another_state_is_finished(state: str, *, maybe_already_stopped: bool) -> None:
    """A run that is over and is not STOPPED is finished, whether or not an earlier attempt was made."""
    found = finding(Observation.STATE, state=state, maybe_already_stopped=maybe_already_stopped)
    assert _outcome(found) is Outcome.ALREADY_FINISHED


@pytest.mark.parametrize(
    ("maybe_already_stopped", "outcome"),
    [(False, Outcome.ALREADY_FINISHED), (True, Outcome.ALREADY_STOPPING)],
)
def test_stopped_run_is_confirmed_after_an_earlier_attempt(
    outcome: Outcome, *, maybe_already_stopped: bool
) -> None:
    """A run that is STOPPED is confirmed when an earlier attempt may have stopped it."""
    found = finding(Observation.STATE, state="STOPPED", maybe_already_stopped=maybe_already_stopped)
    assert _outcome(found) is outcome


def test_stopped_run_is_confirmed_after_a_lost_response() -> None:
    """A run that Glue's answer left out, and that is STOPPED now, is confirmed."""
    found = replace(finding(Observation.STATE, "NoAnswer", state="STOPPED"), response_lost=True)
    assert _outcome(found) is Outcome.ALREADY_STOPPING


@pytest.mark.parametrize("state", ACTIVE_STATES)
def test_dry_run_of_an_active_run_would_stop_it(state: str) -> None:
    """A dry run reports that the run is active, at any attempt."""
    for attempt in (0, 7):
        found = finding(Observation.STATE, state=state, dry_run=True, attempt=attempt)
        assert _outcome(found) is Outcome.WOULD_STOP


@pytest.mark.parametrize("state", sorted(TERMINAL_STATES))
@pytest.mark.parametrize("maybe_already_stopped", [False, True])
def test_dry_run_of_a_run_that_ended_is_finished(state: str, *, maybe_already_stopped: bool) -> None:
    """An earlier attempt of a dry run stopped nothing, so it did not stop a run that is STOPPED."""
    found = finding(Observation.STATE, state=state, dry_run=True, maybe_already_stopped=maybe_already_stopped)
    assert _outcome(found) is Outcome.ALREADY_FINISHED


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("state", sorted(TERMINAL_STATES))
def test_failed_run_may_be_retried_by_glue(state: str, *, dry_run: bool) -> None:
    """The error of a run that FAILED says that Glue may retry it. Every other run keeps Glue's own error."""
    found = finding(Observation.STATE, "JobRunCannotBeStoppedException", state=state, dry_run=dry_run)
    (finished,) = decide_stops([found], MAX_ATTEMPTS)
    may_be_retried = "Glue may start another attempt" in finished.error
    assert (finished.outcome, may_be_retried) == (Outcome.ALREADY_FINISHED, state == "FAILED")
    assert may_be_retried or finished.error == found.error


@pytest.mark.parametrize(
    ("job_name", "attempt", "outcome", "error"),
    [
        ("etl*", 0, Outcome.NOT_FOUND, "JobName: names one job and takes no pattern; send a"),
        ("*", 7, Outcome.NOT_FOUND, "JobName: names one job and takes no pattern; send a"),
        ("etl", 0, Outcome.RETRYING, "EntityNotFoundException it is"),
        ("etl", 1, Outcome.NOT_FOUND, "EntityNotFoundException it is"),
    ],
)
def test_pattern_that_glue_does_not_know_is_not_found_at_once(
    job_name: str, attempt: int, outcome: Outcome, error: str
) -> None:
    """A second attempt is for a run that has just started. A JobName with an asterisk is a mistake."""
    found = finding(Observation.NOT_FOUND, "EntityNotFoundException", attempt=attempt)
    of_job = replace(found, target=replace(found.target, run=JobRun(job_name, "jr_1")))
    (result,) = decide_stops([of_job], MAX_ATTEMPTS)
    assert (result.outcome, result.code) == (outcome, "EntityNotFoundException")
    assert result.error.startswith(error)


@pytest.mark.parametrize("observation", sorted(set(Observation) - {Observation.NOT_FOUND}))
def test_job_with_an_asterisk_in_its_name_is_like_every_other(observation: Observation) -> None:
    """Glue accepts asterisks in names, so a job that it knows is stopped and retried by that name."""
    found = finding(observation, state="RUNNING" if observation is Observation.STATE else None)
    of_job = replace(found, target=replace(found.target, run=JobRun("etl*", "jr_1")))
    (result,) = decide_stops([of_job], MAX_ATTEMPTS)
    (expected,) = decide_stops([found], MAX_ATTEMPTS)
    assert (result.outcome, result.error) == (expected.outcome, expected.error)


@pytest.mark.parametrize("observation", Observation)
@pytest.mark.parametrize("dry_run", [False, True])
def test_every_combination_has_exactly_one_outcome(observation: Observation, *, dry_run: bool) -> None:
    """Any observation with any code, state and attempt leads to an outcome that fits it."""
    for code, state, attempt in product(CODES, (None, *STATES), (0, 1, MAX_ATTEMPTS - 1)):
        found = finding(observation, code, state, dry_run=dry_run, attempt=attempt)
        (result,) = decide_stops([found], MAX_ATTEMPTS)
        assert (result.target, result.code) == (found.target, code)
        is_failed = result.outcome is Outcome.ALREADY_FINISHED and state == "FAILED"
        assert result.error == (GLUE_MAY_RETRY if is_failed else found.error)
        assert result.state == (state or "")
        assert result.outcome in RUN_OUTCOMES
        if attempt == MAX_ATTEMPTS - 1:
            assert result.outcome is not Outcome.RETRYING
        if observation is not Observation.SUBMITTED:
            assert result.outcome is not Outcome.STOP_SUBMITTED
        if result.outcome is Outcome.ALREADY_FINISHED:
            assert state in TERMINAL_STATES


@pytest.mark.parametrize(
    "code", ["AccessDeniedException", "AccessDenied", "InvalidInputException", "ValidationException"]
)
@pytest.mark.parametrize("observation", [Observation.DENIED, Observation.CALL_FAILED])
def test_final_error_is_not_retried(observation: Observation, code: str) -> None:
    """A call that is denied or invalid fails again when it is repeated."""
    assert _outcome(finding(observation, code)) is Outcome.FAILED


@pytest.mark.parametrize(("attempt", "outcome"), [(6, Outcome.RETRYING), (7, Outcome.FAILED)])
def test_all_attempts_are_made(attempt: int, outcome: Outcome) -> None:
    """Of eight attempts, counted from 0, attempt 6 is followed by another and attempt 7 is the last."""
    assert _outcome(finding(Observation.UNKNOWN, attempt=attempt), max_attempts=8) is outcome


@given(
    st.sampled_from(Observation),
    st.text(),
    st.text(),
    st.integers(0, 20),
    st.integers(1, 10),
)
def test_no_attempt_follows_the_last(
    observation: Observation, code: str, state: str, attempt: int, max_attempts: int
) -> None:
    """Retries end with the last attempt, for any code and any state."""
    outcome = _outcome(finding(observation, code, state, attempt=attempt), max_attempts)
    assert outcome is not Outcome.RETRYING or attempt + 1 < max_attempts


@pytest.mark.parametrize(
    ("observation", "outcome"),
    [(Observation.NOT_FOUND, Outcome.NOT_FOUND), (Observation.UNKNOWN, Outcome.FAILED)],
)
def test_single_attempt_is_the_last(observation: Observation, outcome: Outcome) -> None:
    """With one attempt nothing is retried, not even a run that Glue does not show yet."""
    assert _outcome(finding(observation), max_attempts=1) is outcome


def test_each_finding_has_its_result_in_order() -> None:
    """The results have the targets of the findings, in their order."""
    findings = [finding(observation, run_id=f"jr_{number}") for number, observation in enumerate(Observation)]
    assert [result.target for result in decide_stops(findings, 8)] == [found.target for found in findings]
