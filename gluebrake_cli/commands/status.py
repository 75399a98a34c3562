"""`gluebrake status`: show the deployment, and whether anything is wrong."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from gluebrake_cli import health, output, tables
from gluebrake_cli.errors import NOT_OK
from gluebrake_cli.options import AsJson, examples, find_deployment

EXAMPLES: Final = examples("gluebrake status", "gluebrake status --outcomes 50 --json")

Outcomes = Annotated[int, typer.Option(metavar="COUNT", help="How many of the latest outcomes to show.")]


def status(context: typer.Context, *, outcomes: Outcomes = 10, json: AsJson = False) -> None:
    """Show queues, alarms, event source mappings, configuration and the latest outcomes.

    Exit code 1 means dead letters, an alarm in ALARM, a disabled mapping, or an unreadable section.
    """
    now = datetime.now(UTC)
    deployment = find_deployment(context)
    report = health.read(deployment, now, outcomes)
    if json:
        output.write_json(deployment.aws_environment, report.as_json())
    else:
        output.show(tables.health_tables(report, now))
    raise typer.Exit(NOT_OK if report.problems else 0)
