"""`gluebrake status`: show the deployment, and whether anything is wrong."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from gluebrake_cli import health
from gluebrake_cli.command_help import Help
from gluebrake_cli.fleet_report import View, report
from gluebrake_cli.options import AsJson
from gluebrake_cli.status_screen import explained, line, status_screen, sums

HELP: Final = Help(
    examples={
        "gluebrake status": "Is anything wrong?",
        "gluebrake status --outcomes 50 --json": "The latest 50 outcomes, for a script.",
        "gluebrake --environment all status": "A line for each environment, and its problems.",
    },
    exit_codes={
        0: "nothing is wrong",
        1: "a dead letter, an alarm in ALARM, a disabled mapping, or a failed read",
    },
)

Outcomes = Annotated[int, typer.Option(metavar="COUNT", help="How many of the latest outcomes to read.")]


def status(context: typer.Context, *, outcomes: Outcomes = 5, json: AsJson = False) -> None:
    """Show whether anything is wrong with the deployment, what to do about it, and the latest outcomes.

    The first line has the verdict. Queues, alarms, event source mappings and configuration are counted;
    --json has them whole. Of each run, the newest line of the log is shown.
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
