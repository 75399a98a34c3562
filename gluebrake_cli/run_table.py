"""The screens with runs whose stop a command has requested."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Group as Lines
from rich.console import RenderableType
from rich.text import Text

from gluebrake.decisions.run_cost import in_words
from gluebrake.model import AwsEnvironment
from gluebrake_cli.records import Records
from gluebrake_cli.runs import RunStatus
from gluebrake_cli.tables import cell, counted, place

_MAX_ROWS: Final = 20


def runs_table(statuses: Sequence[RunStatus], environment: AwsEnvironment, *, dry_run: bool) -> RenderableType:
    """Return a row for each run, at most one screen. Runs that may still be running are first."""
    stopped = [status for status in statuses if status.is_stopped(dry_run=dry_run)]
    not_stopped = [status for status in statuses if not status.is_stopped(dry_run=dry_run)]
    ended = [status for status in not_stopped if status.has_ended]
    active = [status for status in not_stopped if not status.has_ended]
    counts = [f"{len(stopped)} of {len(statuses)} {'would stop' if dry_run else 'stopped'}"]
    if ended:
        by_themselves = "ended by itself" if len(ended) == 1 else "ended by themselves"
        counts.append(f"{len(ended)} {'ended before' if dry_run else by_themselves}")
    return _screen([*active, *ended, *stopped], f"{', '.join(counts)} {place(environment)}")


def live_table(statuses: Sequence[RunStatus], environment: AwsEnvironment, *, dry_run: bool) -> RenderableType:
    """Return the table while runs are followed. After they have ended, it says which outcomes are awaited."""
    awaits_outcomes = not all(status.is_final for status in statuses) and all(
        status.is_over for status in statuses
    )
    note = [Text("No run is running any more. The outcomes in the log follow within seconds.")]
    return Lines(runs_table(statuses, environment, dry_run=dry_run), *(note if awaits_outcomes else ()))


def over_table(statuses: Sequence[RunStatus], environment: AwsEnvironment) -> RenderableType:
    """Return a row for each run if all runs are over already, so that nothing was sent."""
    verb = "is" if len(statuses) == 1 else "are"
    runs = counted(len(statuses), "run")
    return _screen(statuses, f"{runs} {verb} over already {place(environment)}: nothing was sent.")


def _screen(statuses: Sequence[RunStatus], last_line: str) -> RenderableType:
    shown = statuses[:_MAX_ROWS]
    hidden = f", {len(statuses) - len(shown)} more not shown" if len(shown) < len(statuses) else ""
    return Lines(_records(statuses, shown), Text(f"{last_line}{hidden}"))


def _records(statuses: Sequence[RunStatus], shown: Sequence[RunStatus]) -> Records:
    # If all runs are of one job, the job's name is outside the table.
    has_jobs = len({status.job_name for status in statuses}) > 1
    rows = [
        [
            *(status.job_run_id, status.job_name if has_jobs else "", status.state, status.outcome),
            *(in_words(status.measures), status.error_message),
        ]
        for status in shown
    ]
    columns = ["run", "job", "state", "outcome", "used (estimate)", "error"]
    return Records(columns, [[cell(text) for text in row] for row in rows])
