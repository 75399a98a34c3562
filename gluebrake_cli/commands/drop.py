"""`gluebrake drop`: delete dead letters."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import typer

from gluebrake_cli import output, progress, removal, tables
from gluebrake_cli.command_help import Help
from gluebrake_cli.errors import NOT_OK
from gluebrake_cli.options import (
    AsJson,
    DryRun,
    Jobs,
    MessageIds,
    Reasons,
    Yes,
    build_filter,
    find_deployment,
)
from gluebrake_cli.progress import Matches

if TYPE_CHECKING:
    from gluebrake_cli.stack import Deployment

HELP: Final = Help(
    examples={
        "gluebrake drop --reason InvalidRequest": "Show the dead letters of one reason, ask, delete them.",
        "gluebrake drop --message-id 5f2d9a31 --yes": "Delete one without a question.",
    },
    exit_codes={
        0: "each matching dead letter was deleted",
        1: "one was not deleted, you did not confirm, or an error",
    },
)


def drop(
    context: typer.Context,
    *,
    reason: Reasons = None,
    job: Jobs = None,
    message_id: MessageIds = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: AsJson = False,
) -> None:
    """Delete dead letters that you no longer need. Shows them and asks first."""
    deployment = find_deployment(context)
    filtered = build_filter(reason, job, message_id).matches
    matches = filtered if yes or dry_run else _confirmed(deployment, filtered)
    summary = progress.process(deployment, matches, removal.dry_run if dry_run else removal.drop)
    output.print_summary(summary, "dropped", deployment.aws_environment, dry_run=dry_run, json=json)
    raise typer.Exit(0 if summary.succeeded else NOT_OK)


def _confirmed(deployment: Deployment, matches: Matches) -> Matches:
    """Show the matching dead letters and ask. The result matches only these, and no later dead letter."""
    listing = progress.read_all(deployment)
    matching = [dead_letter for dead_letter in listing.dead_letters if matches(dead_letter)]
    if matching:
        output.show_aside(tables.dead_letters_table(matching, datetime.now(UTC)))
        place = tables.place(deployment.aws_environment)
        output.confirm(f"Delete {tables.counted(len(matching), 'dead letter')} {place} for good?")
    message_ids = {dead_letter.message_id for dead_letter in matching}
    return lambda dead_letter: dead_letter.message_id in message_ids
