"""The screens of sweeps fit a terminal of 80 columns, and nothing on them is cut."""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import pytest
from msgspec.structs import replace
from rich.console import Console, RenderableType

from gluebrake.decisions.policies import Left, NotMatched
from gluebrake.sweep_contract import ReportedRun, SweepReport
from gluebrake_cli import sweep_tables
from gluebrake_cli.deployed_policies import DeployedPolicy, LastSweep, PolicyList, PolicyStatus
from gluebrake_cli.sweep_result import SweepResult
from tests.cli.policies_aws import report
from tests.support.builders import NOON
from tests.support.sweeps import policy
from tests.support.sweeps import run as started

RUN_ID: Final = f"jr_{'0123456789abcdef' * 4}"
LONG_NAME: Final = "dev-load-customers-from-salesforce-into-the-lake"
ARN: Final = f"arn:aws:iam::123456789012:role/{'finance-alerts-' * 4}"


def _lines(screen: RenderableType, width: int = 300) -> list[str]:
    file = io.StringIO()
    Console(file=file, width=width, force_terminal=True, color_system=None).print(screen)
    return [line.rstrip() for line in file.getvalue().splitlines()]


def _run(**changes: Any) -> ReportedRun:
    values: dict[str, Any] = {
        "policy": "runaway",
        "job_name": LONG_NAME,
        "job_run_id": RUN_ID,
        "state": "STARTING",
        "started_on": NOON - timedelta(days=13),
        "minutes": 13 * 1440 + 23 * 60.0,
        "usual_minutes": 23 * 60.0 + 59,
        "dpu_hours_at_most": 12345.67,
        "trigger_name": "a-trigger-with-a-long-name",
        "not_stopped": "AutoScaling",
    }
    return ReportedRun(**{**values, **changes})


def _result(*runs: ReportedRun, left: tuple[Left, ...] = (), **changes: Any) -> SweepResult:
    runaway = policy("runaway", max_minutes=60)
    of_policy = report(runaway, **changes)
    swept = SweepReport(
        swept_at=NOON, complete=True, jobs_not_read=(), errors=(), policies=(of_policy,), runs=runs
    )
    return SweepResult(policy=runaway, report=swept, left=left, ids_in_a_request=25)


def _policies(*statuses: PolicyStatus) -> PolicyList:
    return PolicyList(policies=statuses, mapping="Enabled", unknown={})


def _status(**fields: Any) -> PolicyStatus:
    of = policy("a" * 64, schedule="cron(0/30 20,21,22,23,0,1,2,3,4,5 ? * * *)", on_signal=(ARN,), **fields)
    last = LastSweep(
        swept_at=NOON - timedelta(hours=23, minutes=59), complete=True, report=report(of, jobs=99_999)
    )
    return PolicyStatus(deployed=DeployedPolicy(of, of.hash), schedule="ENABLED", last=last)


SCREENS: Final[Mapping[str, RenderableType]] = {
    "sweep": sweep_tables.sweep_report(
        _result(
            _run(),
            left=(Left("runaway", LONG_NAME, started(RUN_ID), NotMatched.TOO_LITTLE_HISTORY),),
            over_cap=True,
        ),
        explain=True,
        can_stop=True,
    ),
    "policies": sweep_tables.policies_table(_policies(_status()), NOON),
}


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", SCREENS)
def test_a_screen_is_no_wider_than_the_terminal(name: str, width: int) -> None:
    """No cell is cut: a long value continues on the next line."""
    lines = _lines(SCREENS[name], width)
    assert max(map(len, lines)) <= width
    assert not any("…" in line for line in lines)


@pytest.mark.parametrize("width", [80, 120])
def test_a_run_id_is_on_one_line(width: int) -> None:
    """The operator can select and copy it."""
    lines = _lines(SCREENS["sweep"], width)
    assert lines.count(f"  {RUN_ID}") == 2


def test_the_lines_of_a_table_have_equal_columns() -> None:
    """A long name moves no column of another row."""
    lines = _lines(
        sweep_tables.sweep_report(
            _result(_run(), _run(job_name="etl", state="RUNNING")), explain=False, can_stop=False
        ),
        80,
    )
    title = lines[0]
    for text in ("STARTING", "RUNNING"):
        assert next(line for line in lines if text in line).index(text) == title.index("state")


def test_what_is_not_known_is_empty() -> None:
    """A run without history, DPUs and trigger has no numbers that could be taken for zero."""
    unknown = _run(usual_minutes=None, dpu_hours_at_most=None, trigger_name="", not_stopped="", job_name="etl")
    lines = _lines(sweep_tables.sweep_report(_result(unknown), explain=False, can_stop=False))
    assert next(line for line in lines if "STARTING" in line).split() == ["etl", "STARTING", "13d", "23h"]


@pytest.mark.parametrize(
    ("runs", "shown"),
    [
        ([_run(dpu_hours_at_most=None)], None),
        (
            [_run(dpu_hours_at_most=10.0, estimated_cost_usd_at_most=4.4)] * 2,
            "The runs have used at most 20 DPU-hours and about $8.80 so far (an estimate).",
        ),
        (
            [_run(dpu_hours_at_most=10.0, estimated_cost_usd_at_most=4.4), _run(dpu_hours_at_most=None)],
            "1 of 2 runs has used at most 10 DPU-hours and about $4.40 so far (an estimate).",
        ),
        ([_run(dpu_hours_at_most=10.0)], "The run has used at most 10 DPU-hours so far (an estimate)."),
        (
            [_run(dpu_hours_at_most=0.000087, estimated_cost_usd_at_most=0.00004)],
            "The run has used less than 0.01 DPU-hours and less than $0.01 so far (an estimate).",
        ),
    ],
)
def test_sum_of_what_the_runs_have_used_is_an_upper_bound(runs: list[ReportedRun], shown: str | None) -> None:
    """Dollars are an estimate, and absent without a price. What Glue does not report is not summed."""
    lines = _lines(sweep_tables.sweep_report(_result(*runs), explain=False, can_stop=False), 120)
    assert [line for line in lines if " used " in line] == ([shown] if shown else [])


def test_a_small_number_of_dpu_hours_is_not_shown_as_zero() -> None:
    """The column has one decimal."""
    small = _run(dpu_hours_at_most=0.000087)
    assert any(
        "<0.1" in line
        for line in _lines(sweep_tables.sweep_report(_result(small), explain=False, can_stop=False))
    )


def test_control_characters_are_replaced() -> None:
    """Names are other people's texts, and a terminal would obey them."""
    lines = _lines(
        sweep_tables.sweep_report(
            _result(_run(job_name="\x1b[2Jetl", job_run_id="jr\x07")), explain=False, can_stop=False
        )
    )
    assert not any(char in line for line in lines for char in ("\x1b", "\x07"))


def test_a_rate_has_no_time_zone() -> None:
    """The zone decides when a cron expression is due, and nothing of a rate."""
    zone = {"time_zone": "Europe/Berlin"}
    assert sweep_tables.when(policy(schedule="rate(1 hour)", **zone)) == "rate(1 hour)"
    assert (
        sweep_tables.when(policy(schedule="cron(0 20 * * ? *)", **zone)) == "cron(0 20 * * ? *) Europe/Berlin"
    )
    both = policy(schedule="rate(1 hour)", on_signal=("budgets", "costalerts"))
    assert sweep_tables.when(both) == "rate(1 hour); on signal: budgets, costalerts"


def test_jobs_that_the_configuration_leaves_out_are_named() -> None:
    """The red button stops what is allowed, and says which jobs it did not look at."""
    found = _result()
    names = tuple(f"prod-{number}" for number in range(7))
    left_out = replace(found, report=replace(found.report, jobs_left_out=names))
    (note,) = left_out.notes
    assert note == (
        "7 jobs left out by `jobs` or `protectedJobs` of the configuration:"
        " prod-0, prod-1, prod-2, prod-3, prod-4 and 2 more"
    )
    assert found.notes == []


def test_runs_that_stay_are_counted_by_reason() -> None:
    """The operator reads how many active runs a stop leaves, also without --explain."""
    found = _result(not_matched={"OtherType": 1, "Stopping": 2})
    counts = [
        "1 active run left: the job is of another type.",
        "2 active runs left: the run is already STOPPING.",
    ]
    hint = "--explain shows each run that is left."
    assert _lines(sweep_tables.sweep_report(found, explain=False, can_stop=False))[1:] == [*counts, hint]
    assert _lines(sweep_tables.sweep_report(found, explain=True, can_stop=False))[1:] == counts


def test_without_other_runs_the_screen_has_no_line_about_them() -> None:
    """If the policy matches every active run, the screen has no line about others."""
    assert len(_lines(sweep_tables.sweep_report(_result(), explain=False, can_stop=False))) == 1
