"""Tests of what the throughput benchmark computes from its measurements."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import pytest

from benchmarks.aws_process import aws_process
from benchmarks.lambda_events import CONFIRM, STOP
from benchmarks.measurements import Comparison, Measurements, slope
from benchmarks.throughput_report import targets
from tests.support.fakes.aws_server import FakeAws

MET: Final = {"own_1000": 50e-6, "own_10000": 55e-6, "logger": 100e-6, "gluebrake": 1.1, "memory": 100_000_000}


def _measurements(**changes: float) -> Measurements:
    """Build measurements that meet all targets, except for the changes."""
    figures = {**MET, **changes}

    def own_cpu(messages: int, seconds: float) -> list[Mapping[str, float]]:
        return [{"parse": seconds * messages / 2, "log": seconds * messages / 2}] * 3

    return Measurements(
        comparisons=[
            Comparison(1_000, gluebrake=[figures["gluebrake"]] * 3, own_cpu=[0.05] * 3, bare=[1.0] * 3)
        ],
        throttled=Comparison(1_000),
        own_cpu={
            (STOP, 1_000): own_cpu(1_000, figures["own_1000"]),
            (CONFIRM, 1_000): own_cpu(1_000, 50e-6),
            (STOP, 10_000): own_cpu(10_000, figures["own_10000"]),
        },
        logger={STOP: [figures["logger"]] * 3, CONFIRM: [figures["logger"] * 2] * 3},
        series={},
        memory=[(50_000_000, int(figures["memory"]))] * 3,
    )


def test_all_targets_are_met() -> None:
    """Each target shows the measured figure and its limit."""
    measured = [(target.measured, target.limit, target.met) for target in targets(_measurements())]
    assert measured == [
        ("0.50", "≤ 0.75", True),
        ("0.25", "≤ 0.60", True),
        ("1.10", "≤ 1.25", True),
        ("1.05", "≤ 1.15", True),
        ("100 MB", "≤ 160 MB", True),
    ]


@pytest.mark.parametrize(
    ("changes", "missed"),
    [
        ({"own_1000": 76e-6, "own_10000": 76e-6}, 0),
        ({"own_10000": 63e-6}, 2),
        ({"gluebrake": 1.21}, 3),
        ({"memory": 161_000_000}, 4),
    ],
)
def test_figure_over_its_limit_misses_its_target(changes: dict[str, float], missed: int) -> None:
    """One figure over its limit misses one target."""
    assert [target.met for target in targets(_measurements(**changes))].index(False) == missed
    assert sum(not target.met for target in targets(_measurements(**changes))) == 1


def test_ratio_compares_durations_of_the_same_round() -> None:
    """A slow round is slow for both variants, and the median ignores one outlier."""
    comparison = Comparison(10, gluebrake=[1.2, 2.4, 9.0], own_cpu=[0.1, 0.2, 0.1], bare=[1.0, 2.0, 1.0])
    assert comparison.ratio() == pytest.approx(1.2)
    assert comparison.ratio_without_own_cpu() == pytest.approx(1.1)


@pytest.mark.parametrize("power", [1.0, 1.5])
def test_slope_is_the_power_of_growth(power: float) -> None:
    """The slope is the exponent with which the medians grow, and one outlier does not change it."""
    series = {n: [3 * n**power, 3 * n**power, 100.0 * n**power] for n in (100, 1_000, 100_000)}
    assert math.isclose(slope(series), power)


def _add_job(aws: FakeAws, job_name: str) -> list[str]:
    aws.glue.add_run(job_name, "jr_1")
    return [run.job_name for run in aws.glue]


def test_fake_aws_keeps_its_state_between_calls() -> None:
    """The fake AWS exists as long as its process."""
    with aws_process() as aws:
        assert aws.call(_add_job, "etl") == ["etl"]
        assert aws.call(_add_job, "report") == ["etl", "report"]
