"""Each poll of a run that Glue was asked to stop leads to exactly one outcome of CONFIRM."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import product
from typing import Any, Final

import pytest
from msgspec.structs import replace

from gluebrake.decisions.confirm_outcomes import age_seconds, decide_confirmations, measures
from gluebrake.error_codes import FINAL
from gluebrake.metrics import Measure
from gluebrake.model import TERMINAL_STATES, Finding, Observation, RunFacts, RunResult
from gluebrake.outcomes import Outcome
from tests.support.builders import ACTIVE_STATES, NOON, STATES, finding

pytestmark = pytest.mark.disable_socket

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
    *sorted(FINAL),
)
RUN_OUTCOMES: Final = frozenset(
    {
        Outcome.STOPPED,
        Outcome.FINISHED_BEFORE_STOP,
        Outcome.NOT_YET_CONFIRMED,
        Outcome.STOP_TIMED_OUT,
        Outcome.UNCONFIRMED,
    }
)


def _decided(found: Finding, age: float = 60, deadline: int = DEADLINE) -> RunResult:
    """Return the result for a run that was submitted `age` seconds ago."""
    submitted = replace(found, target=replace(found.target, submitted_at=NOON - timedelta(seconds=age)))
    (result,) = decide_confirmations([submitted], deadline, NOON)
    return result


class TestOutcomes:
    """The outcomes of polls."""

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
    def test_active_run_is_polled_until_the_deadline(self, state: str, age: float, outcome: Outcome) -> None:
        """A run that is not over, in whatever state, times out at the first poll after the deadline."""
        assert _decided(finding(Observation.STATE, state=state), age).outcome is outcome

    @pytest.mark.parametrize("age", [0, DEADLINE, DEADLINE * 3])
    @pytest.mark.parametrize("state", sorted(TERMINAL_STATES))
    def test_run_that_is_over_is_decided_by_its_state(self, state: str, age: float) -> None:
        """A run in STOPPED is stopped, and in another terminal state it finished before, whatever its age."""
        outcome = Outcome.STOPPED if state == "STOPPED" else Outcome.FINISHED_BEFORE_STOP
        assert _decided(finding(Observation.STATE, state=state), age).outcome is outcome

    @pytest.mark.parametrize("age", [0, 60])
    def test_result_of_a_failed_run_mentions_glues_retry(self, age: float) -> None:
        """Glue's own retry is another run, which no request names."""
        failed, timed_out = (
            _decided(finding(Observation.STATE, state=state), age) for state in ("FAILED", "TIMEOUT")
        )
        assert failed.error == "The run failed; Glue may start another attempt, a run of its own."
        assert timed_out.error == ""

    @pytest.mark.parametrize("age", [0, DEADLINE * 3])
    def test_run_that_glue_no_longer_knows_has_finished(self, age: float) -> None:
        """Glue deletes old runs, and a deleted run is not running."""
        assert _decided(finding(Observation.NOT_FOUND), age).outcome is Outcome.FINISHED_BEFORE_STOP

    @pytest.mark.parametrize(
        "observation",
        [o for o in Observation if o not in {Observation.STATE, Observation.NOT_FOUND, Observation.NOT_CALLED}],
    )
    @pytest.mark.parametrize(
        ("age", "attempt", "outcome"),
        [
            (DEADLINE * 2, 8, Outcome.NOT_YET_CONFIRMED),
            (DEADLINE * 2 + 1, 7, Outcome.NOT_YET_CONFIRMED),
            (DEADLINE * 2 + 1, 8, Outcome.UNCONFIRMED),
        ],
    )
    @pytest.mark.parametrize("code", ["", "ThrottlingException", "AccessDeniedException"])
    def test_unreadable_run_is_polled_for_two_deadlines_and_eight_times(
        self, observation: Observation, code: str, age: float, attempt: int, outcome: Outcome
    ) -> None:
        """A failed read proves nothing, so polls continue for a second deadline, and then end."""
        assert _decided(finding(observation, code, attempt=attempt), age).outcome is outcome

    @pytest.mark.parametrize("age", [0, DEADLINE * 100])
    def test_run_that_was_not_read_is_polled_again(self, age: float) -> None:
        """A read that did not start is never the last, whatever the age."""
        found = finding(Observation.NOT_CALLED, attempt=999)
        assert _decided(found, age).outcome is Outcome.NOT_YET_CONFIRMED

    def test_timed_out_run_has_the_deadline_in_its_error(self) -> None:
        """The error has the number of seconds that the run had to stop."""
        late = finding(Observation.STATE, state="STOPPING", submitted_at=NOON - timedelta(seconds=DEADLINE + 1))
        (result,) = decide_confirmations([late], DEADLINE, NOON)
        assert (
            result.error == f"The run had not stopped {DEADLINE} seconds after it was submitted for stopping."
        )

    def test_run_without_a_submission_time_is_polled(self) -> None:
        """A run without a submission time counts as submitted now."""
        (result,) = decide_confirmations([finding(Observation.STATE, state="STOPPING")], DEADLINE, NOON)
        assert result.outcome is Outcome.NOT_YET_CONFIRMED
        assert age_seconds(result.target, NOON) == 0

    def test_only_a_stopped_run_is_measured(self) -> None:
        """The time to stop and the released DPUs are known when the run has stopped."""
        measured = {Measure.TIME_TO_STOP, Measure.DPUS_RELEASED}
        assert set(_decided(finding(Observation.STATE, state="STOPPED")).measures) == measured
        for state in set(STATES) - {"STOPPED"}:
            assert not _decided(finding(Observation.STATE, state=state)).measures

    @pytest.mark.parametrize("observation", Observation)
    def test_every_combination_has_exactly_one_outcome(self, observation: Observation) -> None:
        """Any observation with any code, state and age leads to an outcome that fits it."""
        for code, state, age in product(CODES, (None, *STATES), (-1, 0, DEADLINE, DEADLINE * 2 + 1)):
            result = _decided(finding(observation, code, state, attempt=8), age)
            assert result.outcome in RUN_OUTCOMES
            assert (result.code, result.state) == (code, state or "")
            if result.outcome is Outcome.STOPPED:
                assert (observation, state) == (Observation.STATE, "STOPPED")
            if age > DEADLINE * 2 and observation is not Observation.NOT_CALLED:
                assert result.outcome is not Outcome.NOT_YET_CONFIRMED


def _measured(submitted_at: datetime | None = NOON, **facts: Any) -> dict[Measure, float | None]:
    """Measure a stopped run with these facts."""
    stopped = finding(Observation.STATE, submitted_at=submitted_at)
    return measures(replace(stopped, run=RunFacts("jr_1", "STOPPED", **facts)))


class TestMeasures:
    """The measures of a stopped run."""

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
        """It is the time from submission to Glue's CompletedOn. With clocks that differ, it is at least 0."""
        assert _measured(submitted_at, completed_on=completed_on)[Measure.TIME_TO_STOP] == seconds

    def test_dpus_are_measured(self) -> None:
        """The released DPUs are those of the run's workers."""
        assert _measured(worker_type="G.2X", number_of_workers=10)[Measure.DPUS_RELEASED] == 20

    def test_run_that_was_not_read_has_no_measures(self) -> None:
        """Without facts every measure is None."""
        assert set(measures(finding(Observation.NOT_FOUND)).values()) == {None}
