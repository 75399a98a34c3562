"""`gluebrake sweep`: show the runs that a guardrail policy matches now and, with --stop, stop exactly these."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Group as Lines
from rich.console import RenderableType

from gluebrake.model import AwsEnvironment
from gluebrake_cli import fleet_sweep, output, policy_options, progress, run_table, sweep_tables, tables
from gluebrake_cli.command_help import WHICH_RUNS, Help
from gluebrake_cli.errors import NOT_OK
from gluebrake_cli.live_runs import poll_options
from gluebrake_cli.options import AsJson, Every, Timeout, Wait, find_deployment, selection
from gluebrake_cli.policy_options import Conditions
from gluebrake_cli.sweep_plan import SweepPlan
from gluebrake_cli.sweep_result import SweepResult
from gluebrake_cli.sweep_stops import StopOptions, Stops, stop_runs

if TYPE_CHECKING:
    from gluebrake_cli.stack import Deployment

HELP: Final = Help(
    examples={
        "gluebrake sweep --jobs 'dev-*' --older-than 2h": "Show the dev runs that are older than two hours.",
        "gluebrake sweep --jobs 'dev-*' --older-than 2h --stop": "Show them, ask for their number, stop them.",
        "gluebrake sweep runaway": "Show the runs that a policy of the stack matches.",
        "gluebrake sweep runaway --explain": "Show as well which runs it leaves, and why.",
        "gluebrake sweep runaway --stop --yes 3": "Stop them in a script, if they are three.",
        "gluebrake sweep --jobs '*' --tag env=dev --times-usual 5 --json": "Find the unusually long, as JSON.",
        "gluebrake sweep --jobs '*' --all-types --stop": "Stop all runs of all jobs, streaming included.",
        "gluebrake --environment all sweep --jobs '*' --older-than 12h --stop": "Stop in all environments.",
    },
    exit_codes={
        0: "done",
        1: "a job was not read, none was considered, another number, or an error",
        3: "a run may still be running, although its stop was requested",
    },
)

_STOP: Final = "How to stop the runs"

PolicyName = Annotated[
    str | None,
    typer.Argument(metavar="POLICY", help="A policy of the stack: `gluebrake policies` lists them."),
]
Jobs = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATTERN",
        help="Instead of a policy, these jobs; * matches any text. May be repeated.",
        rich_help_panel=WHICH_RUNS,
    ),
]
Except = Annotated[
    list[str] | None,
    typer.Option(
        "--except",
        metavar="PATTERN",
        help="Not these jobs. May be repeated.",
        rich_help_panel=WHICH_RUNS,
    ),
]
Tags = Annotated[
    list[str] | None,
    typer.Option(
        "--tag",
        metavar="KEY=VALUE",
        help="Jobs with this tag. May be repeated: all must match.",
        rich_help_panel=WHICH_RUNS,
    ),
]
OlderThan = Annotated[
    str | None,
    typer.Option(
        metavar="AGE",
        help="Runs that are older: 90m, 2h, 1d, or a number of minutes.",
        rich_help_panel=WHICH_RUNS,
    ),
]
TimesUsual = Annotated[
    float | None,
    typer.Option(
        metavar="N",
        help="Runs that take more than N times as long as their job's usual run.",
        rich_help_panel=WHICH_RUNS,
    ),
]
DpuHours = Annotated[
    float | None,
    typer.Option(
        metavar="N", help="Runs that may have used more than N DPU-hours.", rich_help_panel=WHICH_RUNS
    ),
]
Types = Annotated[
    list[str] | None,
    typer.Option(
        "--type",
        metavar="TYPE",
        help="Jobs of this type: glueetl, pythonshell, gluestreaming, glueray. May be repeated."
        " The default is the first two.",
        rich_help_panel=WHICH_RUNS,
    ),
]
AllTypes = Annotated[
    bool,
    typer.Option("--all-types", help="Jobs of every type, streaming included.", rich_help_panel=WHICH_RUNS),
]
States = Annotated[
    list[str] | None,
    typer.Option(
        "--state",
        metavar="STATE",
        help="Runs in this state: STARTING, RUNNING, WAITING. May be repeated.",
        rich_help_panel=WHICH_RUNS,
    ),
]
ExecutionClass = Annotated[
    str | None,
    typer.Option(
        metavar="CLASS",
        help="Runs of this execution class: STANDARD or FLEX.",
        rich_help_panel=WHICH_RUNS,
    ),
]
Reason = Annotated[
    str,
    typer.Option(
        metavar="TEXT",
        help="Why the runs are stopped. The default is that of the policy, or the command's options.",
        rich_help_panel=_STOP,
    ),
]
Explain = Annotated[
    bool, typer.Option("--explain", help="Also show each active run that is left, with the first reason.")
]
Stop = Annotated[
    bool,
    typer.Option(
        "--stop",
        help="Stop exactly the runs that the report shows. Asks for their number.",
        rich_help_panel=_STOP,
    ),
]
Number = Annotated[
    int | None,
    typer.Option(
        "--yes",
        metavar="N",
        help="With --stop, the answer for scripts. Nothing is stopped if the report shows another number.",
        rich_help_panel=_STOP,
    ),
]


def sweep(
    context: typer.Context,
    policy: PolicyName = None,
    *,
    jobs: Jobs = None,
    exclude: Except = None,
    tag: Tags = None,
    older_than: OlderThan = None,
    times_usual: TimesUsual = None,
    dpu_hours: DpuHours = None,
    type_: Types = None,
    all_types: AllTypes = False,
    state: States = None,
    execution_class: ExecutionClass = None,
    stop: Stop = False,
    yes: Number = None,
    reason: Reason = "",
    explain: Explain = False,
    wait: Wait = None,
    timeout: Timeout = 2400,
    every: Every = 2.0,
    json: AsJson = False,
) -> None:
    """Show the active runs of all jobs that a guardrail policy matches. With --stop, stop exactly these runs.

    Name a policy of the stack, or describe the runs with options: each of these must match. The command reads
    AWS Glue with your credentials, so it works while SWEEP is off. Without --stop, it changes nothing.

    It considers the jobs that the stack may stop. Runs of a job with the protect tag are shown and never
    stopped. maxRuns limits SWEEP only: by hand, the number that you type is the limit.

    With --environment all, it sweeps the environments side by side, shows the runs of each, and asks once,
    for the number of all runs that can be stopped.
    """
    now = datetime.now(UTC)
    conditions = Conditions(
        jobs=jobs or (),
        exclude=exclude or (),
        tags=tag or (),
        older_than=older_than,
        times_usual=times_usual,
        dpu_hours=dpu_hours,
        types=type_ or (),
        all_types=all_types,
        states=state or (),
        execution_class=execution_class,
    )
    chosen = policy_options.choose(policy, conditions, reason)
    if wait and not stop:
        raise typer.BadParameter("--wait requires --stop")
    options = StopOptions(stop, yes, reason, None if wait is False else poll_options(timeout, every))
    options.check()
    plan = SweepPlan(chosen, now, options, explain)
    selected = selection(context)
    if selected.has_several:
        raise typer.Exit(fleet_sweep.sweep(selected.sites(), plan, json=json))
    raise typer.Exit(_sweep(find_deployment(context), plan, selected.label, json=json))


def _sweep(deployment: Deployment, plan: SweepPlan, label: Mapping[str, str], *, json: bool) -> int:
    """Sweep the only deployment, and stop the shown runs if the plan has `stop`. Return the exit code."""
    stop = plan.stop
    with progress.count("Reading jobs") as on_progress:
        result = plan.read(deployment, on_progress)
    if not json or stop.asks:
        screen = _screen(deployment, result, explain=plan.explain, can_stop=not stop.stop)
        (output.show_aside if json else output.show)(screen)
    stops = stop_runs(deployment, result, stop, plan.due) if stop.stop else Stops()
    if json:
        members = {**label, **plan.members(deployment, result, stops)}
        output.write_json(deployment.aws_environment, members)
    else:
        _show_stops(stops, deployment.aws_environment)
    for text in stops.problems:
        output.note(text)
    return stops.exit_code or (NOT_OK if result.problems else 0)


def _screen(deployment: Deployment, result: SweepResult, *, explain: bool, can_stop: bool) -> RenderableType:
    can_stop = can_stop and not deployment.observes
    return Lines(
        *tables.heading(deployment.stack, deployment.aws_environment, observes=deployment.observes),
        sweep_tables.sweep_report(result, explain=explain, can_stop=can_stop),
    )


def _show_stops(stops: Stops, environment: AwsEnvironment) -> None:
    place = tables.place(environment)
    if runs := stops.followed.statuses:
        output.show(run_table.runs_table(runs, environment, dry_run=False))
    elif stops.sent:
        requests = tables.counted(len(stops.sent), "stop request")
        number = tables.counted(len(stops.messages), "run")
        output.show(f"Sent {requests} for {number} {place}. `gluebrake status` shows the latest outcomes.")
    elif stops.sent is not None:
        output.show(f"No run to stop {place}: nothing was sent.")
