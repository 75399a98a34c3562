"""DPUs and DPU-hours are those that Glue's fields give, and are never guessed."""

from __future__ import annotations

from typing import Any

import pytest

from gluebrake.decisions.dpu_usage import DPUS_BY_WORKER_TYPE, dpu_hours, dpus
from gluebrake.model import RunFacts

pytestmark = pytest.mark.disable_socket


def _usage(**facts: Any) -> tuple[float | None, float | None]:
    """Return the DPUs and the DPU-hours of a run with these facts."""
    run = RunFacts("jr_1", "STOPPED", **facts)
    return dpus(run), dpu_hours(run)


@pytest.mark.parametrize(
    ("worker_type", "of_a_worker"),
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
def test_workers_count_by_their_type(worker_type: str, of_a_worker: float) -> None:
    """Each worker type has a number of DPUs, and MaxCapacity does not count besides it."""
    usage = _usage(worker_type=worker_type, number_of_workers=10, max_capacity=99.0, execution_seconds=7200)
    assert usage == (of_a_worker * 10, of_a_worker * 20)
    assert DPUS_BY_WORKER_TYPE[worker_type] == of_a_worker


@pytest.mark.parametrize("worker_type", ["", "Standard"])
@pytest.mark.parametrize("capacity", [0.0625, 1.0, 10.0])
def test_capacity_counts_without_such_a_worker_type(worker_type: str, capacity: float) -> None:
    """Standard workers, and Python shell jobs down to a sixteenth of a DPU, have MaxCapacity in DPUs."""
    usage = _usage(worker_type=worker_type, max_capacity=capacity, execution_seconds=1800)
    assert usage == (capacity, capacity / 2)


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
def test_unreported_numbers_are_not_guessed(facts: dict[str, Any]) -> None:
    """An unknown worker type, or a number that is missing, gives neither DPUs nor DPU-hours."""
    assert _usage(execution_seconds=3600, **facts) == (None, None)


@pytest.mark.parametrize(
    "facts", [{}, {"worker_type": "Q.9X"}, {"worker_type": "G.1X", "number_of_workers": 9}]
)
@pytest.mark.parametrize("seconds", [0.0, 5400.0])
def test_glues_dpu_seconds_take_precedence(facts: dict[str, Any], seconds: float) -> None:
    """Where Glue reports DPUSeconds, also 0 of them, the DPU-hours are those."""
    assert _usage(dpu_seconds=seconds, execution_seconds=60, **facts)[1] == seconds / 3600
