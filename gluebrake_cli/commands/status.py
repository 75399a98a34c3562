"""`gluebrake status`: show the deployment, and whether anything is wrong."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from gluebrake_cli import health, output
from gluebrake_cli.errors import NOT_OK
from gluebrake_cli.options import AsJson, examples, find_deployment
from gluebrake_cli.status_screen import status_screen

EXAMPLES: Final = examples("gluebrake status", "gluebrake status --outcomes 50 --json")

Outcomes = Annotated[int, typer.Option(metavar="COUNT", help="How many of the latest outcomes to read.")]


def status(context: typer.Context, *, outcomes: Outcomes = 5, json: AsJson = False) -> None:
    """Show whether anything is wrong with the deployment, what to do about it, and the latest outcomes.

    The first line has the verdict. Queues, alarms, event source mappings and
    configuration are counted; --json has them whole. A line of the log is
    shown for each run, the newest.

    Exit code 1 means dead letters, an alarm in ALARM, a disabled mapping, or
    an unreadable section.
    """
    now = datetime.now(UTC)
    deployment = find_deployment(context)
    report = health.read(deployment, now, outcomes)
    if json:
        output.write_json(deployment.aws_environment, report.as_json())
    else:
        output.show(status_screen(report, now))
    raise typer.Exit(NOT_OK if report.problems else 0)
