"""The benchmark of throughput: what is worked out of the times."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import pytest

from benchmarks.aws_process import aws_process
from benchmarks.function_process import CONFIRM, STOP
from benchmarks.throughput import Measured, Race, slope, targets
from tests.support.fakes.aws_server import FakeAws

REACHED: Final = {"own": 50e-6, "own_of_many": 55e-6, "ours": 1.1, "held": 100_000_000}


def _measured(**changes: float) -> Measured:
    """Make up measurements in which all is reached but for the changes."""
    figures = {**REACHED, **changes}

    def own(messages: int, seconds: float) -> list[Mapping[str, float]]:
        return [{"read": seconds * messages / 2, "log": seconds * messages / 2}] * 3

    return Measured(
        races=[Race(1_000, ours=[figures["ours"]] * 3, own=[0.05] * 3, bare=[1.0] * 3)],
        throttled=Race(1_000),
        own={
            (STOP, 1_000): own(1_000, figures["own"]),
            (CONFIRM, 1_000): own(1_000, 50e-6),
            (STOP, 10_000): own(10_000, figures["own_of_many"]),
        },
        series={},
        memory=[(50_000_000, int(figures["held"]))] * 3,
    )


def test_all_is_reached() -> None:
    """The figures are those measured, each against its limit."""
    measured = [(target.measured, target.limit, target.met) for target in targets(_measured())]
    assert measured == [
        ("50 µs", "≤ 60 µs", True),
        ("50 µs", "≤ 60 µs", True),
        ("1.10", "≤ 1.25", True),
        ("1.05", "≤ 1.15", True),
        ("100 MB", "≤ 160 MB", True),
    ]


@pytest.mark.parametrize(
    ("changes", "missed"),
    [
        ({"own": 61e-6, "own_of_many": 61e-6}, 0),
        ({"own_of_many": 63e-6}, 2),
        ({"ours": 1.21}, 3),
        ({"held": 161_000_000}, 4),
    ],
)
def test_miss_is_told(changes: dict[str, float], missed: int) -> None:
    """A figure past its limit is a miss, and the only one."""
    assert [target.met for target in targets(_measured(**changes))].index(False) == missed
    assert sum(not target.met for target in targets(_measured(**changes))) == 1


def test_ours_is_held_against_bare_of_the_same_round() -> None:
    """A round in which the machine was slow is slow for both, and one odd round does not decide."""
    race = Race(10, ours=[1.2, 2.4, 9.0], own=[0.1, 0.2, 0.1], bare=[1.0, 2.0, 1.0])
    assert race.over_bare() == pytest.approx(1.2)
    assert race.calling_over_bare() == pytest.approx(1.1)


@pytest.mark.parametrize("power", [1.0, 1.5])
def test_slope_is_the_power_of_growth(power: float) -> None:
    """What grows with a power of the messages has it as its slope; one odd round changes nothing."""
    series = {n: [3 * n**power, 3 * n**power, 100.0 * n**power] for n in (100, 1_000, 100_000)}
    assert math.isclose(slope(series), power)


def _jobs(aws: FakeAws, job_name: str) -> list[str]:
    aws.glue.add_run(job_name, "jr_1")
    return [run.job_name for run in aws.glue]


def test_fake_aws_lives_in_a_process_of_its_own() -> None:
    """What it is told stays told, as long as the process lasts."""
    with aws_process() as aws:
        assert aws.do(_jobs, "etl") == ["etl"]
        assert aws.do(_jobs, "report") == ["etl", "report"]
