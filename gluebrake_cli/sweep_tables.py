"""The screens of `gluebrake sweep` and `gluebrake policies`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from rich.console import Group as Lines
from rich.console import RenderableType
from rich.constrain import Constrain
from rich.table import Table
from rich.text import Text

from gluebrake.decisions import run_cost
from gluebrake.decisions.policies import MEANINGS, NotMatched, NotStopped
from gluebrake.metrics import Measure
from gluebrake.policies import Policy
from gluebrake.sweep_contract import PolicyReport, ReportedRun
from gluebrake_cli.dead_letters import age
from gluebrake_cli.deployed_policies import PolicyList, PolicyStatus
from gluebrake_cli.sweep_result import LeftRun, SweepResult
from gluebrake_cli.tables import counted, duration, printable

_WIDEST: Final = 120
_INDENT: Final = "  "
_LEAST_DPU_HOURS: Final = 0.1
_NEAR_LIMIT: Final = "near limit"
_EARLIER: Final = "The numbers are of an earlier version of this policy."
_NOT_JUDGED: Final = (
    NotMatched.TOO_LITTLE_HISTORY,
    NotMatched.UNKNOWN_DPUS,
    NotMatched.NO_START_TIME,
    NotMatched.UNKNOWN_TYPE,
)
"""Reasons why a run may exceed a limit although its policy does not match. Unread jobs count as problems."""


class _Column(NamedTuple):
    """A column. Columns without a width share the remaining width of the line."""

    title: str
    width: int | None = None


class _Row(NamedTuple):
    """The cells of a row, and a text below them with the whole width, because a run id has 67 characters."""

    cells: Sequence[str]
    below: str
    notes: Sequence[str] = ()


_RUN_COLUMNS: Final = (
    _Column("job"),
    _Column("state", 8),
    _Column("age", 7),
    _Column("usual", 7),
    _Column("started by"),
    _Column("max DPU-h", 9),
    _Column("not stopped", 11),
)
_LEFT_COLUMNS: Final = (_Column("job"), _Column("state", 8), _Column("age", 7), _Column("left because"))
_POLICY_COLUMNS: Final = (
    _Column("policy"),
    _Column("mode", 6),
    _Column("state", 5),
    _Column("swept", 11),
    _Column("jobs", 5),
    _Column("matched", 7),
    _Column("stoppable", 9),
    _Column("stops", 5),
)
_RUN: Final = "run"
_DUE: Final = f"{'hash':<12}  due"


def sweep_report(result: SweepResult, *, explain: bool, can_stop: bool) -> RenderableType:
    """Return the runs that the policy matches, and what the sweep found in numbers.

    With `explain`, the runs that the policy does not match follow. With `can_stop`, a hint at --stop follows.
    """
    runs = [_Row(_run_cells(run), run.job_run_id) for run in result.runs]
    left = [_Row(_left_cells(run, result), run.job_run_id) for run in result.left_runs] if explain else []
    hint = f"--stop stops {counted(len(result.stoppable), 'run')}."
    return Lines(
        *([_rows(_RUN_COLUMNS, _RUN, runs), Text()] if runs else []),
        *([_rows(_LEFT_COLUMNS, _RUN, left), Text()] if left else []),
        *map(Text, _summary(result)),
        *map(Text, _left(result.summary.not_matched, explain=explain)),
        *map(Text, map(printable, result.notes)),
        *([Text(hint)] if can_stop and result.stoppable else []),
        *_faults(result.problems),
    )


def _run_cells(run: ReportedRun) -> list[str]:
    return [
        run.job_name,
        run.state,
        _minutes(run.minutes),
        _minutes(run.usual_minutes),
        run.trigger_name,
        "" if run.dpu_hours_at_most is None else _dpu_hours(run.dpu_hours_at_most),
        run.not_stopped or (_NEAR_LIMIT if run.warning else ""),
    ]


def _left_cells(run: LeftRun, result: SweepResult) -> list[str]:
    old = "" if run.started_on is None else duration(age(run.started_on, result.summary.due))
    return [run.job_name, run.state, old, run.meaning]


def _summary(result: SweepResult) -> Iterator[str]:
    """Yield what the sweep found in numbers, and what the words in the table mean."""
    summary, name = result.summary, result.policy.name
    near = f", {summary.warned} near the limit" if summary.warned else ""
    yield (
        f"{name}: {counted(summary.jobs, 'job')} considered, {counted(summary.matched, 'active run')} matched,"
        f" {summary.stoppable} can be stopped{near}."
    )
    if used := _used(result.runs):
        yield used
    if summary.over_cap:
        does = "SWEEP stops none of them" if summary.mode == "stop" else "In the mode stop, SWEEP stops none"
        runs = counted(summary.stoppable, "run")
        yield (
            f"{name} is over its cap: {runs}, and maxRuns is {summary.max_runs}. {does}."
            " The cap guards SWEEP only: by hand, the number that you type is the limit."
        )
    for reason in dict.fromkeys(run.not_stopped for run in result.runs if run.not_stopped):
        yield f"{reason}: {MEANINGS[NotStopped(reason)]}."
    if summary.warned:
        yield f"{_NEAR_LIMIT}: the run reached warnAtPercent since the sweep before."


def _used(runs: Sequence[ReportedRun]) -> str:
    """Return the total usage of the runs, empty if Glue does not report enough about any run."""
    priced = [run for run in runs if run.estimated_cost_usd_at_most is not None]
    summed = priced or [run for run in runs if run.dpu_hours_at_most is not None]
    if not summed:
        return ""
    together = {
        Measure.DPU_HOURS_AT_MOST: sum(run.dpu_hours_at_most or 0 for run in summed),
        Measure.ESTIMATED_COST_USD_AT_MOST: sum(run.estimated_cost_usd_at_most or 0 for run in priced)
        if priced
        else None,
    }
    verb = "has" if len(summed) == 1 else "have"
    whole = "The run" if len(runs) == 1 else "The runs"
    known = whole if len(summed) == len(runs) else f"{len(summed)} of {len(runs)} runs"
    return f"{known} {verb} used {run_cost.in_words(together)} so far (an estimate)."


def _left(not_matched: Mapping[str, int], *, explain: bool) -> Iterator[str]:
    """Yield how many active runs the policy does not match, by reason. A stop leaves these runs running."""
    for reason, number in not_matched.items():
        yield f"{counted(number, 'active run')} left: {MEANINGS[NotMatched(reason)]}."
    if not_matched and not explain:
        yield "--explain shows each run that is left."


def policies_table(policies: PolicyList, now: datetime) -> RenderableType:
    """Return two lines for each policy, and the problems."""
    rows = [
        _Row(
            _policy_cells(policies, status, now),
            f"{status.deployed.hash:<12}  {when(status.policy)}",
            [*([] if status.is_current else [_EARLIER]), *_not_judged(status)],
        )
        for status in policies.policies
    ]
    faults = _faults(policies.problems) or [Text("Nothing is wrong.", style="green")]
    return Lines(_rows(_POLICY_COLUMNS, _DUE, rows), Text(), *faults)


def _policy_cells(policies: PolicyList, status: PolicyStatus, now: datetime) -> list[str]:
    last = status.last
    return [
        status.policy.name,
        status.policy.mode,
        "on" if policies.is_on(status) else "off",
        f"{duration(age(last.swept_at, now))} ago" if last else "never",
        *(_numbers(last.report) if last else ["", "", "", ""]),
    ]


def _not_judged(status: PolicyStatus) -> Iterator[str]:
    """Yield how many active runs the last sweep could not compare with the policy's limits, and why."""
    counts = status.last.report.not_matched if status.last else {}
    for reason in _NOT_JUDGED:
        if number := counts.get(reason):
            yield f"{counted(number, 'active run')} not judged: {MEANINGS[reason]}."


def _numbers(report: PolicyReport) -> list[str]:
    return [*map(str, (report.jobs, report.matched, report.stoppable, report.stop_requested))]


def when(policy: Policy) -> str:
    """Return the schedule with its time zone, and the signals."""
    # A time zone does not affect a rate.
    zone = f" {policy.time_zone}" if policy.period is None else ""
    schedule = [f"{policy.schedule}{zone}"] if policy.schedule else []
    signals = [f"on signal: {', '.join(policy.on_signal)}"] if policy.on_signal else []
    return "; ".join([*schedule, *signals])


def _faults(problems: Iterable[str]) -> list[Text]:
    return [Text(f"! {printable(problem)}", style="red") for problem in problems]


def _rows(columns: Sequence[_Column], below: str, rows: Iterable[_Row]) -> RenderableType:
    lines: list[RenderableType] = [
        _line(columns, [Text(column.title, style="bold") for column in columns]),
        Text(_INDENT + below, style="bold"),
    ]
    for row in rows:
        lines += [
            _line(columns, [Text(printable(cell)) for cell in row.cells]),
            Text(_INDENT + printable(row.below), overflow="fold"),
            *(Text(_INDENT + note, style="yellow") for note in row.notes),
        ]
    return Constrain(Lines(*lines), _WIDEST)


def _line(columns: Sequence[_Column], cells: Sequence[Text]) -> Table:
    """Return one line. All lines have equal columns, because the widths do not depend on the cells."""
    grid = Table.grid(padding=(0, 2, 0, 0), expand=True)
    for column in columns:
        # A long value is wrapped, not cut, so that the operator can copy it.
        grid.add_column(width=column.width, ratio=None if column.width else 1, overflow="fold")
    grid.add_row(*cells)
    return grid


def _dpu_hours(hours: float) -> str:
    """Return a number that fits into the column."""
    return "<0.1" if 0 < hours < _LEAST_DPU_HOURS else f"{hours:,.1f}"


def _minutes(minutes: float | None) -> str:
    return "" if minutes is None else duration(timedelta(minutes=minutes))
