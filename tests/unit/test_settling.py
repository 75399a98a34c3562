"""Settling: what was found becomes exactly one outcome for each demand."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import product
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gluebrake.decisions.stop_outcomes import (
    FINAL_ERRORS,
    age_seconds,
    decide_confirmations,
    decide_stops,
    measures,
    seconds_to_dispatch,
)
from gluebrake.model import TERMINAL_STATES, Finding, Measure, Observation, RunFacts, RunResult
from gluebrake.outcomes import Outcome
from tests.support.builders import ACTIVE_STATES, NOON, STATES, finding

pytestmark = pytest.mark.disable_socket

MAX_ATTEMPTS: Final = 8
DEADLINE: Final = 1800

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
    *sorted(FINAL_ERRORS),
)
OF_A_STOP: Final = frozenset(
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
OF_A_LOOK: Final = frozenset(
    {Outcome.STOPPED, Outcome.FINISHED_BEFORE_STOP, Outcome.NOT_YET_CONFIRMED, Outcome.STOP_TIMED_OUT}
)


def _settled(found: Finding, max_attempts: int = MAX_ATTEMPTS) -> Outcome:
    (result,) = decide_stops([found], max_attempts)
    return result.outcome


def _looked(found: Finding, age: float = 60, deadline: int = DEADLINE) -> RunResult:
    """Settle a look at a run that was submitted `age` seconds ago."""
    submitted = replace(found, target=replace(found.target, submitted_at=NOON - timedelta(seconds=age)))
    (result,) = decide_confirmations([submitted], deadline, NOON)
    return result


# What was seen, and what becomes of it at the first attempt, at the second and at the last.
_BOUNDED: Final = (Outcome.RETRYING, Outcome.RETRYING, Outcome.FAILED)
STOPS: Final[dict[str, tuple[Finding, tuple[Outcome, ...]]]] = {
    "submitted": (finding(Observation.SUBMITTED), (Outcome.STOP_SUBMITTED,) * 3),
    "stopping": (finding(Observation.STATE, state="STOPPING"), (Outcome.ALREADY_STOPPING,) * 3),
    "succeeded": (finding(Observation.STATE, state="SUCCEEDED"), (Outcome.ALREADY_FINISHED,) * 3),
    "expired": (finding(Observation.STATE, state="EXPIRED"), (Outcome.ALREADY_FINISHED,) * 3),
    "refused though active": (
        finding(Observation.STATE, "JobRunCannotBeStoppedException", state="RUNNING"),
        _BOUNDED,
    ),
    "in a state that nobody knows": (finding(Observation.STATE, state="PAUSED"), _BOUNDED),
    "not found": (finding(Observation.NOT_FOUND), (Outcome.RETRYING, Outcome.NOT_FOUND, Outcome.NOT_FOUND)),
    "protected": (finding(Observation.PROTECTED, "AccessDeniedException"), (Outcome.PROTECTED,) * 3),
    "denied": (finding(Observation.DENIED, "AccessDeniedException"), (Outcome.FAILED,) * 3),
    "invalid": (finding(Observation.CALL_FAILED, "InvalidInputException"), (Outcome.FAILED,) * 3),
    "throttled": (finding(Observation.CALL_FAILED, "ThrottlingException"), _BOUNDED),
    "timed out": (finding(Observation.CALL_FAILED, "OperationTimeoutException"), _BOUNDED),
    "Glue's internal error": (finding(Observation.CALL_FAILED, "InternalServiceException"), _BOUNDED),
    "unknown code": (finding(Observation.CALL_FAILED, "Surprise"), _BOUNDED),
    "no answer": (finding(Observation.UNKNOWN, "NoAnswer"), _BOUNDED),
    "not called": (finding(Observation.NOT_CALLED), (Outcome.DEFERRED,) * 3),
}


class TestStops:
    """What became of a demand that was to be stopped."""

    @pytest.mark.parametrize(("found", "outcomes"), STOPS.values(), ids=STOPS.keys())
    def test_outcome_is_decided_by_a_table(self, found: Finding, outcomes: tuple[Outcome, ...]) -> None:
        """What was seen decides, and the attempt decides whether there is another."""
        at = [replace(found, target=replace(found.target, attempt=attempt)) for attempt in (0, 1, 7)]
        assert tuple(map(_settled, at)) == outcomes

    @pytest.mark.parametrize("state", sorted(TERMINAL_STATES - {"STOPPED"}))
    @pytest.mark.parametrize("maybe_already_stopped", [False, True])
    def test_run_that_ended_is_finished(self, state: str, *, maybe_already_stopped: bool) -> None:
        """A run that is over, but was not stopped, is finished whoever tried before."""
        assert (
            _settled(finding(Observation.STATE, state=state, maybe_already_stopped=maybe_already_stopped))
            is Outcome.ALREADY_FINISHED
        )

    @pytest.mark.parametrize(
        ("maybe_already_stopped", "outcome"), [(False, Outcome.ALREADY_FINISHED), (True, Outcome.ALREADY_STOPPING)]
    )
    def test_stopped_run_may_have_been_stopped_by_us(
        self, outcome: Outcome, *, maybe_already_stopped: bool
    ) -> None:
        """A run that is STOPPED is confirmed when an earlier try may have stopped it."""
        assert (
            _settled(finding(Observation.STATE, state="STOPPED", maybe_already_stopped=maybe_already_stopped))
            is outcome
        )

    def test_stopped_run_without_an_answer_may_have_been_stopped_by_us(self) -> None:
        """A run that Glue's answer left out, and that is STOPPED now, is confirmed."""
        found = replace(finding(Observation.STATE, "NoAnswer", state="STOPPED"), response_lost=True)
        assert _settled(found) is Outcome.ALREADY_STOPPING

    @pytest.mark.parametrize("state", ACTIVE_STATES)
    def test_dry_run_of_an_active_run_would_stop_it(self, state: str) -> None:
        """A dry run tells that the run is active, and needs no retry to do so."""
        for attempt in (0, 7):
            found = finding(Observation.STATE, state=state, dry_run=True, attempt=attempt)
            assert _settled(found) is Outcome.WOULD_STOP

    @pytest.mark.parametrize("state", sorted(TERMINAL_STATES))
    @pytest.mark.parametrize("maybe_already_stopped", [False, True])
    def test_dry_run_of_a_run_that_ended_is_finished(self, state: str, *, maybe_already_stopped: bool) -> None:
        """A dry run stopped nothing before, so a STOPPED run was not stopped by it."""
        found = finding(
            Observation.STATE, state=state, dry_run=True, maybe_already_stopped=maybe_already_stopped
        )
        assert _settled(found) is Outcome.ALREADY_FINISHED

    @pytest.mark.parametrize("observation", Observation)
    @pytest.mark.parametrize("dry_run", [False, True])
    def test_every_combination_has_exactly_one_outcome(self, seen: Observation, *, dry_run: bool) -> None:
        """Whatever is seen, with any code, in any state, at any attempt, settles into one fitting outcome."""
        for code, state, attempt in product(CODES, (None, *STATES), (0, 1, MAX_ATTEMPTS - 1)):
            found = finding(seen, code, state, dry_run=dry_run, attempt=attempt)
            (result,) = decide_stops([found], MAX_ATTEMPTS)
            assert (result.target, result.code, result.error) == (found.target, code, found.error)
            assert result.state == (state or "")
            assert result.outcome in OF_A_STOP
            if attempt == MAX_ATTEMPTS - 1:
                assert result.outcome is not Outcome.RETRYING
            if seen is not Observation.SUBMITTED:
                assert result.outcome is not Outcome.STOP_SUBMITTED
            if result.outcome is Outcome.ALREADY_FINISHED:
                assert state in TERMINAL_STATES

    @pytest.mark.parametrize(
        "code", ["AccessDeniedException", "AccessDenied", "InvalidInputException", "ValidationException"]
    )
    @pytest.mark.parametrize("observation", [Observation.DENIED, Observation.CALL_FAILED])
    def test_error_that_no_retry_mends_is_final_at_once(self, seen: Observation, code: str) -> None:
        """What is denied or invalid now will be so the next time."""
        assert _settled(finding(seen, code)) is Outcome.FAILED

    @pytest.mark.parametrize(("attempt", "outcome"), [(6, Outcome.RETRYING), (7, Outcome.FAILED)])
    def test_all_attempts_are_made(self, attempt: int, outcome: Outcome) -> None:
        """Of eight attempts, which are counted from zero, the seventh has one after it."""
        assert _settled(finding(Observation.UNKNOWN, attempt=attempt), max_attempts=8) is outcome

    @given(
        st.sampled_from(Observation),
        st.text(),
        st.text(),
        st.integers(0, 20),
        st.integers(1, 10),
    )
    def test_no_code_or_state_is_retried_for_ever(
        self, seen: Observation, code: str, state: str, attempt: int, max_attempts: int
    ) -> None:
        """However Glue names things, there is no further attempt after the last."""
        outcome = _settled(finding(seen, code, state, attempt=attempt), max_attempts)
        assert outcome is not Outcome.RETRYING or attempt + 1 < max_attempts

    @pytest.mark.parametrize(
        ("observation", "outcome"), [(Observation.NOT_FOUND, Outcome.NOT_FOUND), (Observation.UNKNOWN, Outcome.FAILED)]
    )
    def test_only_attempt_may_be_the_last(self, seen: Observation, outcome: Outcome) -> None:
        """With a single attempt nothing is retried, a run that does not show yet included."""
        assert _settled(finding(seen), max_attempts=1) is outcome

    def test_each_finding_has_its_result_in_order(self) -> None:
        """Nothing is lost, doubled or mixed up on the way."""
        found = [finding(seen, run_id=f"jr_{number}") for number, seen in enumerate(Observation)]
        assert [one.target for one in decide_stops(found, 8)] == [one.target for one in found]


class TestLooks:
    """What became of a run that was submitted for stopping."""

    @pytest.mark.parametrize(
        ("age", "outcome"),
        [
            (0, Outcome.NOT_YET_CONFIRMED),
            (DEADLINE - 0.001, Outcome.NOT_YET_CONFIRMED),
            (DEADLINE, Outcome.NOT_YET_CONFIRMED),
            (DEADLINE + 0.001, Outcome.STOP_TIMED_OUT),
            (DEADLINE * 100, Outcome.STOP_TIMED_OUT),
            (-60, Outcome.NOT_YET_CONFIRMED),
        ],
    )
    @pytest.mark.parametrize("state", ACTIVE_STATES)
    def test_active_run_is_watched_until_the_deadline(self, state: str, age: float, outcome: Outcome) -> None:
        """A run that is not over, in whatever state, times out when it is looked at past the deadline."""
        assert _looked(finding(Observation.STATE, state=state), age).outcome is outcome

    @pytest.mark.parametrize("age", [0, DEADLINE, DEADLINE * 3])
    @pytest.mark.parametrize("state", sorted(TERMINAL_STATES))
    def test_run_that_is_over_is_told_as_it_is(self, state: str, age: float) -> None:
        """STOPPED is stopped, any other end came first, and no deadline changes either."""
        outcome = Outcome.STOPPED if state == "STOPPED" else Outcome.FINISHED_BEFORE_STOP
        assert _looked(finding(Observation.STATE, state=state), age).outcome is outcome

    def test_run_that_failed_may_have_a_successor(self) -> None:
        """Glue's own retry is another run, which nobody asked to stop: the log says that it may be there."""
        failed, timed_out = (
            _looked(finding(Observation.STATE, state=state), 0) for state in ("FAILED", "TIMEOUT")
        )
        assert failed.error == "The run failed; Glue may start another attempt, a run of its own."
        assert timed_out.error == ""

    @pytest.mark.parametrize("age", [0, DEADLINE * 3])
    def test_run_that_is_gone_finished_first(self, age: float) -> None:
        """Glue forgets runs; one that it does not know any more runs no more."""
        assert _looked(finding(Observation.NOT_FOUND), age).outcome is Outcome.FINISHED_BEFORE_STOP

    @pytest.mark.parametrize(
        "observation", [seen for seen in Observation if seen not in {Observation.STATE, Observation.NOT_FOUND}]
    )
    @pytest.mark.parametrize(
        ("age", "outcome"),
        [
            (DEADLINE * 2, Outcome.NOT_YET_CONFIRMED),
            (DEADLINE * 2 + 1, Outcome.STOP_TIMED_OUT),
        ],
    )
    @pytest.mark.parametrize("code", ["", "ThrottlingException", "AccessDeniedException"])
    def test_run_that_cannot_be_read_is_given_up_in_the_end(
        self, seen: Observation, code: str, age: float, outcome: Outcome
    ) -> None:
        """A read that fails is no look: it goes on past the deadline, but not for ever."""
        assert _looked(finding(seen, code), age).outcome is outcome

    def test_run_that_timed_out_says_how_long_it_was_given(self) -> None:
        """The reason is the deadline, in words."""
        late = finding(Observation.STATE, state="STOPPING", submitted_at=NOON - timedelta(seconds=DEADLINE + 1))
        (result,) = decide_confirmations([late], DEADLINE, NOON)
        assert (
            result.error == f"The run had not stopped {DEADLINE} seconds after it was submitted for stopping."
        )

    def test_run_without_a_submission_time_is_watched(self) -> None:
        """A run that nobody says was submitted is as young as can be."""
        (result,) = decide_confirmations([finding(Observation.STATE, state="STOPPING")], DEADLINE, NOON)
        assert result.outcome is Outcome.NOT_YET_CONFIRMED
        assert age_seconds(result.target, NOON) == 0

    def test_failed_run_may_be_started_again(self) -> None:
        """A run that failed first gets a hint: Glue's retry of it is a run of its own."""
        assert "another attempt" in _looked(finding(Observation.STATE, state="FAILED")).error
        assert _looked(finding(Observation.STATE, state="TIMEOUT")).error == ""

    def test_only_a_stopped_run_is_measured(self) -> None:
        """What a run released is known when it has stopped, and only counts then."""
        assert set(_looked(finding(Observation.STATE, state="STOPPED")).measures) == set(Measure)
        for state in set(STATES) - {"STOPPED"}:
            assert not _looked(finding(Observation.STATE, state=state)).measures

    @pytest.mark.parametrize("observation", Observation)
    def test_every_combination_has_exactly_one_outcome(self, seen: Observation) -> None:
        """Whatever is seen, with any code, in any state, at any age, settles into one fitting outcome."""
        for code, state, age in product(CODES, (None, *STATES), (-1, 0, DEADLINE, DEADLINE * 2 + 1)):
            result = _looked(finding(seen, code, state), age)
            assert result.outcome in OF_A_LOOK
            assert (result.code, result.state) == (code, state or "")
            if result.outcome is Outcome.STOPPED:
                assert (seen, state) == (Observation.STATE, "STOPPED")
            if age > DEADLINE * 2:
                assert result.outcome is not Outcome.NOT_YET_CONFIRMED


def _measured(submitted_at: datetime | None = NOON, **facts: Any) -> tuple[float | None, ...]:
    """Measure a run; the seconds that it took, its DPUs, and the DPU-hours that it consumed."""
    stopped = finding(Observation.STATE, submitted_at=submitted_at)
    found = measures(replace(stopped, run=RunFacts("jr_1", "STOPPED", **facts)))
    return found[Measure.TIME_TO_STOP], found[Measure.DPUS_RELEASED], found[Measure.DPU_HOURS_CONSUMED]


class TestMeasures:
    """What a stopped run released and consumed."""

    @pytest.mark.parametrize(
        ("completed_on", "submitted_at", "seconds"),
        [
            (NOON + timedelta(seconds=11.5), NOON, 11.5),
            (NOON, NOON, 0.0),
            (NOON - timedelta(seconds=3), NOON, 0.0),
            (None, NOON, None),
            (NOON, None, None),
        ],
    )
    def test_time_to_stop_is_never_negative(
        self, completed_on: datetime | None, submitted_at: datetime | None, seconds: float | None
    ) -> None:
        """It counts from our submission to Glue's completion; clocks that disagree make it zero."""
        assert _measured(submitted_at, completed_on=completed_on)[0] == seconds

    @pytest.mark.parametrize(
        ("worker_type", "dpus"),
        [
            ("G.025X", 0.25),
            ("G.1X", 1),
            ("G.2X", 2),
            ("G.4X", 4),
            ("G.8X", 8),
            ("G.12X", 12),
            ("G.16X", 16),
            ("R.1X", 1),
            ("R.2X", 2),
            ("R.4X", 4),
            ("R.8X", 8),
            ("Z.2X", 2),
        ],
    )
    def test_workers_count_by_their_type(self, worker_type: str, dpus: float) -> None:
        """A worker type has its DPUs, and MaxCapacity does not matter beside it."""
        taken = _measured(
            worker_type=worker_type, number_of_workers=10, max_capacity=99.0, execution_seconds=7200
        )
        assert taken[1:] == (dpus * 10, dpus * 20)

    @pytest.mark.parametrize("worker_type", ["", "Standard"])
    @pytest.mark.parametrize("capacity", [0.0625, 1.0, 10.0])
    def test_capacity_counts_where_there_are_no_such_workers(self, worker_type: str, capacity: float) -> None:
        """Standard workers, and Python shell jobs down to a sixteenth, have a capacity in DPUs."""
        taken = _measured(worker_type=worker_type, max_capacity=capacity, execution_seconds=1800)
        assert taken[1:] == (capacity, capacity / 2)

    @pytest.mark.parametrize(
        "facts",
        [
            {},
            {"worker_type": "Standard"},
            {"worker_type": "Q.9X", "number_of_workers": 10, "max_capacity": 10.0},
            {"worker_type": "G.1X", "max_capacity": 10.0},
            {"worker_type": "G.1X", "number_of_workers": 0},
        ],
    )
    def test_what_glue_does_not_say_is_not_guessed(self, facts: dict[str, Any]) -> None:
        """An unknown worker type, or a number that is missing, gives no DPUs and no DPU-hours."""
        assert _measured(execution_seconds=3600, **facts)[1:] == (None, None)

    @pytest.mark.parametrize(
        "facts", [{}, {"worker_type": "Q.9X"}, {"worker_type": "G.1X", "number_of_workers": 9}]
    )
    @pytest.mark.parametrize("seconds", [0.0, 5400.0])
    def test_glues_own_dpu_seconds_win(self, facts: dict[str, Any], seconds: float) -> None:
        """Where Glue bills by the DPU-second, it says how many there were, none included."""
        assert _measured(dpu_seconds=seconds, execution_seconds=60, **facts)[2] == seconds / 3600

    def test_run_that_was_not_read_has_no_measures(self) -> None:
        """Without facts nothing is measured."""
        assert set(measures(finding(Observation.NOT_FOUND)).values()) == {None}


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_more_demands_take_longer_to_settle(some: int, more: int) -> None:
    """The time kept for settling grows with the demands, and is never nothing."""
    assert 0 < seconds_to_dispatch(some) <= seconds_to_dispatch(some + more)


def test_ten_thousand_demands_leave_time_for_calls() -> None:
    """Of the function's thirty seconds, the largest batch leaves more than half to Glue."""
    assert seconds_to_dispatch(10_000) < 15
