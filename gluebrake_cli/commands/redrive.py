"""`gluebrake redrive`: move dead letters to the stop queue."""

from __future__ import annotations

from functools import partial
from typing import Final

import typer

from gluebrake_cli import output, progress, removal
from gluebrake_cli.command_help import Help
from gluebrake_cli.errors import NOT_OK
from gluebrake_cli.options import (
    AsJson,
    DryRun,
    Jobs,
    MessageIds,
    Reasons,
    build_filter,
    find_deployment,
)

HELP: Final = Help(
    examples={
        "gluebrake redrive --reason StopTimedOut": "Redrive the dead letters of one reason.",
        "gluebrake redrive --job 'nightly-*' --dry-run": "Show which would be moved.",
        "gluebrake redrive": "Redrive all.",
    },
    exit_codes={0: "each matching dead letter was moved", 1: "one was not moved, or an error"},
)


def redrive(
    context: typer.Context,
    *,
    reason: Reasons = None,
    job: Jobs = None,
    message_id: MessageIds = None,
    dry_run: DryRun = False,
    json: AsJson = False,
) -> None:
    """Move dead letters to the stop queue, after you have fixed their cause.

    Each is deleted only after the stop queue has it. If the command is interrupted, repeat it.
    """
    deployment = find_deployment(context)
    if not dry_run:
        deployment.refuse_under_observe()
    move = partial(removal.redrive, stop_queue=deployment.stop_queue)
    matches = build_filter(reason, job, message_id).matches
    summary = progress.process(deployment, matches, removal.dry_run if dry_run else move)
    output.print_summary(summary, "redriven", deployment.aws_environment, dry_run=dry_run, json=json)
    raise typer.Exit(0 if summary.succeeded else NOT_OK)
