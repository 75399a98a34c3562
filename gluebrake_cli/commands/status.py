"""`gluebrake status`: show the deployment, and whether anything is wrong."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from gluebrake_cli import health
from gluebrake_cli.fleet_report import View, report
from gluebrake_cli.options import AsJson, examples
from gluebrake_cli.status_screen import explained, line, status_screen, sums

EXAMPLES: Final = examples(
    "gluebrake status", "gluebrake status --outcomes 50 --json", "gluebrake --environment all status"
)

Outcomes = Annotated[int, typer.Option(metavar="COUNT", help="How many of the latest outcomes to read.")]


def status(context: typer.Context, *, outcomes: Outcomes = 5, json: AsJson = False) -> None:
    """Show whether anything is wrong with the deployment, what to do about it, and the latest outcomes.

    The first line has the verdict. Queues, alarms, event source mappings and
    configuration are counted; --json has them whole. A line of the log is
    shown for each run, the newest.

    With --environment all, a line is shown for each environment, and its
    problems.

    Exit code 1 means dead letters, an alarm in ALARM, a disabled mapping, or
    an unreadable section.
    """
    now = datetime.now(UTC)
    view = View(
        members=lambda _, found: found.as_json(),
        screen=lambda _, found: status_screen(found, now),
        problems=lambda found: [problem.text for problem in found.problems],
        line=line,
        details=lambda _, found: [part for each in found.problems for part in explained(each)],
        sums=sums,
    )
    report(context, lambda deployment: health.read(deployment, now, outcomes), view, json=json)
