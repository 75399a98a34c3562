"""What a run used and about how much it cost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from gluebrake.decisions.run_cost import in_words, measures, price, with_cost
from gluebrake.metrics import Measure
from gluebrake.model import RunFacts
from gluebrake.outcomes import Outcome
from gluebrake.prices import Prices
from tests.support.builders import NOON, result

pytestmark = pytest.mark.disable_socket

PRICES = Prices(standard=0.5, flex=0.25)
HOURS = {Measure.DPU_HOURS_CONSUMED, Measure.DPU_HOURS_AT_MOST}


def _run(state: str = "STOPPED", **facts: Any) -> RunFacts:
    """Build a run of ten G.1X workers that took two hours."""
    defaults: dict[str, Any] = {
        "started_on": NOON - timedelta(hours=2),
        "worker_type": "G.1X",
        "number_of_workers": 10,
        "execution_seconds": 7200,
    }
    return RunFacts("jr_1", state, **{**defaults, **facts})


def _measures(state: str = "STOPPED", **facts: Any) -> dict[Measure, float]:
    return measures(_run(state, **facts), PRICES, NOON)


class TestEndedRuns:
    """The cost of a run that is over."""

    def test_stopped_run_has_what_it_used_and_what_it_could_have_used(self) -> None:
        """The further cost is that of all DPUs from now until the run's Timeout."""
        assert _measures(timeout_minutes=480) == {
            Measure.DPU_HOURS_CONSUMED: 20,
            Measure.ESTIMATED_COST_USD: 10,
            Measure.FURTHER_COST_USD_AT_MOST: 30,
        }

    def test_dpu_seconds_of_glue_come_first(self) -> None:
        """With auto scaling Glue reports what it bills."""
        assert _measures(dpu_seconds=3600)[Measure.ESTIMATED_COST_USD] == 0.5

    @pytest.mark.parametrize("timeout", [None, 0])
    def test_run_without_a_timeout_has_no_further_cost(self, timeout: int | None) -> None:
        """A streaming job has no Timeout."""
        assert Measure.FURTHER_COST_USD_AT_MOST not in _measures(timeout_minutes=timeout)

    def test_further_cost_is_never_negative(self) -> None:
        """A run that exceeds its Timeout could have cost nothing more."""
        assert _measures(timeout_minutes=60)[Measure.FURTHER_COST_USD_AT_MOST] == 0

    @pytest.mark.parametrize("state", ["SUCCEEDED", "FAILED", "TIMEOUT"])
    def test_only_a_stopped_run_has_a_further_cost(self, state: str) -> None:
        """A run that ended by itself was not kept from anything."""
        assert _measures(state, timeout_minutes=480).keys() == {
            Measure.DPU_HOURS_CONSUMED,
            Measure.ESTIMATED_COST_USD,
        }


class TestActiveRuns:
    """The cost of a run that is still active."""

    @pytest.mark.parametrize("state", ["RUNNING", "STOPPING", "A_LATER_STATE"])
    def test_it_is_an_upper_bound(self, state: str) -> None:
        """All DPUs count from the start of the run."""
        assert _measures(state) == {
            Measure.DPU_HOURS_AT_MOST: 20,
            Measure.ESTIMATED_COST_USD_AT_MOST: 10,
        }

    def test_clocks_that_differ_give_no_negative_hours(self) -> None:
        """A run that started in the future has used nothing."""
        assert _measures("RUNNING", started_on=NOON + timedelta(hours=1))[Measure.DPU_HOURS_AT_MOST] == 0


class TestUnknown:
    """What Glue does not report."""

    @pytest.mark.parametrize("state", ["STOPPED", "RUNNING"])
    def test_run_without_dpus_has_no_cost(self, state: str) -> None:
        """Nothing is guessed for a worker type that is not known."""
        assert _measures(state, worker_type="Q.64X", timeout_minutes=480) == {}

    def test_active_run_without_a_start_has_no_cost(self) -> None:
        """A run that has not started yet may have no StartedOn."""
        assert _measures("STARTING", started_on=None) == {}

    @pytest.mark.parametrize("state", ["STOPPED", "RUNNING"])
    def test_without_a_price_there_are_no_dollars(self, state: str) -> None:
        """DPU-hours are known without a price."""
        found = measures(_run(state, timeout_minutes=480), Prices(standard=None), NOON)
        assert len(found) == 1
        assert found.keys() <= HOURS


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, 0.5),
        ({"execution_class": "STANDARD"}, 0.5),
        ({"execution_class": "FLEX"}, 0.25),
        ({"worker_type": "R.2X"}, None),
        ({"worker_type": "", "max_capacity": 0.0625}, 0.5),
    ],
)
def test_price_is_that_of_the_workers(facts: dict[str, Any], expected: float | None) -> None:
    """Flexible runs and memory-optimized workers have prices of their own."""
    assert price(_run(**facts), PRICES) == expected


def test_memory_optimized_workers_have_the_configured_price() -> None:
    """It has no default, and replaces that of the execution class."""
    assert price(_run(worker_type="R.8X"), replace(PRICES, memory_optimized=0.52)) == 0.52


class TestResults:
    """Which results have a cost."""

    @pytest.mark.parametrize("outcome", Outcome)
    def test_final_outcome_of_a_run_that_was_read_has_its_cost(self, outcome: Outcome) -> None:
        """What was measured before stays."""
        measured = replace(result(outcome), run=_run(), measures={Measure.DPUS_RELEASED: 10})
        found = with_cost(measured, PRICES, NOON).measures
        assert (Measure.ESTIMATED_COST_USD in found) is outcome.is_final
        assert found[Measure.DPUS_RELEASED] == 10

    def test_run_that_was_not_read_has_no_cost(self) -> None:
        """Without facts there is nothing to measure."""
        assert with_cost(result(Outcome.FAILED), PRICES, NOON) == result(Outcome.FAILED)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({Measure.DPU_HOURS_CONSUMED: 3.2, Measure.ESTIMATED_COST_USD: 1.408}, "3.2 DPU-hours, about $1.41"),
        (
            {Measure.DPU_HOURS_CONSUMED: 0.0002, Measure.ESTIMATED_COST_USD: 0.0001},
            "less than 0.01 DPU-hours, less than $0.01",
        ),
        ({Measure.DPU_HOURS_CONSUMED: 3.2}, "3.2 DPU-hours"),
        (
            {Measure.DPU_HOURS_AT_MOST: 12.0, Measure.ESTIMATED_COST_USD_AT_MOST: 5.28},
            "at most 12 DPU-hours and about $5.28",
        ),
        ({Measure.DPU_HOURS_AT_MOST: 12.0}, "at most 12 DPU-hours"),
        ({Measure.DPU_HOURS_CONSUMED: None}, ""),
        ({}, ""),
    ],
)
def test_cost_is_written_for_people(values: dict[Measure, float | None], expected: str) -> None:
    """An upper bound says that it is one."""
    assert in_words(values) == expected
