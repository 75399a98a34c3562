"""A sweep by hand of several environments: one report, one question, and stops of exactly the shown runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from rich.console import RenderableType

from gluebrake.environments import Environment
from gluebrake.model import AwsEnvironment
from gluebrake_cli import fleet, fleet_report, output, run_table, sweep_tables
from gluebrake_cli.environments import Site
from gluebrake_cli.errors import NOT_OK, explain
from gluebrake_cli.fleet import Found, Result, Task
from gluebrake_cli.fleet_report import Row
from gluebrake_cli.live_runs import follow_counted
from gluebrake_cli.progress import OnProgress
from gluebrake_cli.sweep_plan import SweepPlan
from gluebrake_cli.sweep_result import SweepResult
from gluebrake_cli.sweep_stops import StopOptions, Stops, refusal, request_stops
from gluebrake_cli.tables import counted

Swept = Result[Found[SweepResult]]


class FleetStops(Struct, frozen=True, kw_only=True):
    """The requests of each environment, by its name. With a refusal, no request was sent."""

    by_name: Mapping[str, Stops] = {}
    refusal: str = ""

    def of(self, environment: Environment) -> Stops:
        """Return the requests of an environment."""
        return self.by_name.get(environment.name, Stops())


def sweep(sites: Sequence[Site], plan: SweepPlan, *, json: bool) -> int:
    """Sweep the environments, and stop the shown runs if the plan has `stop`. Return the exit code."""
    swept = fleet.read(sites, plan.read)
    if not json or plan.stop.asks:
        (output.show_aside if json else output.show)(_report(swept, plan))
    stops = _stop(swept, plan) if plan.stop.stop else FleetStops()
    if json:
        objects = [(each, _members(each, plan, stops), _problems(each, stops)) for each in swept]
        fleet_report.write_json(objects, [stops.refusal] if stops.refusal else [])
    elif stops.by_name:
        output.show(_stops_screen(swept, stops))
    if stops.refusal:
        output.note(stops.refusal)
    return max(NOT_OK if stops.refusal else 0, *(_exit_code(each, stops) for each in swept))


def _stop(swept: Sequence[Swept], plan: SweepPlan) -> FleetStops:
    """Stop the runs of all reports if the operator confirms their total number."""
    for each in swept:
        if each.value is None:
            output.note(f"{each.environment.name} was not swept, so no run is stopped there: {each.error}")
    found = {each.environment.name: each.value.value for each in swept if each.value}
    if refused := refusal([*found.values()], plan.stop.number, _place(found)):
        return FleetStops(refusal=refused)
    tasks = [
        Task(each.environment, partial(_stop_in, each.environment.name, each.value, plan.stop, plan.due))
        for each in swept
        if each.value
    ]
    results = fleet.run(tasks)
    return FleetStops(
        by_name={each.environment.name: each.value or Stops(failure=each.error) for each in results}
    )


def _place(found: Mapping[str, SweepResult]) -> str:
    numbers = {name: len(result.stoppable) for name, result in found.items() if result.stoppable}
    texts = [f"{name} {number}" for name, number in numbers.items()]
    return f"in {counted(len(numbers), 'environment')} ({', '.join(texts)})"


def _stop_in(
    name: str, found: Found[SweepResult], options: StopOptions, since: datetime, on_progress: OnProgress
) -> Stops:
    """Request the stops in an environment, and follow the runs. After an error, keep the sent requests."""

    def note(text: str) -> None:
        output.note(f"{name}: {text}")

    stops, error = request_stops(found.deployment, found.value, options.reason, since)
    if isinstance(error, KeyboardInterrupt):
        note(stops.failure)
        raise error
    if error:
        stops = replace(stops, failure=f"{stops.failure} {explain(error) or repr(error)}")
    if not options.poll_options:
        return stops
    try:
        followed = follow_counted(
            found.deployment,
            stops.messages,
            since=since,
            poll_options=options.poll_options,
            on_progress=on_progress,
            warn=note,
        )
    except Exception as error:  # noqa: BLE001 - the requests that were sent must be reported
        return replace(stops, failure=explain(error) or repr(error))
    return replace(stops, followed=followed)


def _report(swept: Sequence[Swept], plan: SweepPlan) -> RenderableType:
    return fleet_report.screen([_row(each, plan) for each in swept], _sums(swept, plan))


def _row(swept: Swept, plan: SweepPlan) -> Row:
    if not swept.value:
        return Row(swept.environment, "not swept", problems=[swept.error])
    deployment, result = swept.value
    line = f"{len(result.stoppable)} can be stopped, {result.summary.matched} matched"
    shows_runs = result.runs or (plan.explain and result.left_runs)
    return Row(
        swept.environment,
        f"{line}, observes" if deployment.observes else line,
        [sweep_tables.sweep_report(result, explain=plan.explain, can_stop=False)] if shows_runs else [],
        [] if shows_runs else result.problems,
    )


def _sums(swept: Sequence[Swept], plan: SweepPlan) -> Iterator[str]:
    found = [each.value for each in swept if each.value]
    yield fleet_report.verdict(swept, sum(bool(each.value.problems) for each in found))
    summaries = [each.value.summary for each in found]
    jobs = counted(sum(summary.jobs for summary in summaries), "job")
    runs = counted(sum(summary.matched for summary in summaries), "active run")
    stoppable = sum(summary.stoppable for summary in summaries)
    yield f"{jobs} considered, {runs} matched, {stoppable} can be stopped."
    to_stop = sum(len(each.value.stoppable) for each in found if not each.deployment.observes)
    if to_stop and not plan.stop.stop:
        yield f"--stop stops {counted(to_stop, 'run')}."


def _stops_screen(swept: Sequence[Swept], stops: FleetStops) -> RenderableType:
    """Return the results of the stops in each environment that was swept, and their sum."""
    rows = [_stops_row(each.environment, stops.of(each.environment)) for each in swept if each.value]
    requested = sum(len(each.messages) for each in stops.by_name.values())
    stopped = sum(
        run.is_stopped(dry_run=False) for each in stops.by_name.values() for run in each.followed.statuses or ()
    )
    is_followed = any(each.followed.statuses is not None for each in stops.by_name.values())
    more = f", {stopped} stopped" if is_followed else ". `gluebrake status` shows the latest outcomes"
    return fleet_report.screen(rows, [f"{counted(requested, 'run')} requested to stop{more}."])


def _stops_row(environment: Environment, stops: Stops) -> Row:
    place = AwsEnvironment(environment.account, environment.region)
    runs = stops.followed.statuses
    details = [run_table.runs_table(runs, place, dry_run=False)] if runs else []
    requests = counted(len(stops.sent or ()), "stop request")
    line = f"{requests} for {counted(len(stops.messages), 'run')}" if stops.sent else "nothing was sent"
    return Row(environment, line, details, stops.problems)


def _members(swept: Swept, plan: SweepPlan, stops: FleetStops) -> Mapping[str, Any]:
    return plan.members(*swept.value, stops.of(swept.environment)) if swept.value else {}


def _problems(swept: Swept, stops: FleetStops) -> list[str]:
    if not swept.value:
        return [swept.error]
    return [*swept.value.value.problems, *stops.of(swept.environment).problems]


def _exit_code(swept: Swept, stops: FleetStops) -> int:
    return stops.of(swept.environment).exit_code or (NOT_OK if _problems(swept, stops) else 0)
