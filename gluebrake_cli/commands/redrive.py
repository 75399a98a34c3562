"""`gluebrake redrive`: move dead letters to the stop queue."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from gluebrake_cli import output, progress, removal, tables
from gluebrake_cli.command_help import Help
from gluebrake_cli.dead_letters import DeadLetter, Filter
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
from gluebrake_cli.progress import Matches
from gluebrake_cli.reasons import explanation

if TYPE_CHECKING:
    from gluebrake_cli.stack import Deployment

HELP: Final = Help(
    examples={
        "gluebrake redrive --reason StopTimedOut": "Redrive the dead letters of one reason.",
        "gluebrake redrive --job 'nightly-*' --dry-run": "Show which would be moved.",
        "gluebrake redrive": "Redrive all. Asks about those whose remedy is to drop them.",
    },
    exit_codes={
        0: "each matching dead letter was moved",
        1: "one was not moved, or was left out, or an error",
    },
)

Yes = Annotated[
    bool,
    typer.Option("--yes", "-y", help="Move dead letters whose remedy is to drop them as well. Do not ask."),
]


class Choice(NamedTuple):
    """The dead letters to move, and the number of those that match the options and were left out."""

    matches: Matches
    left_out: int = 0


def redrive(
    context: typer.Context,
    *,
    reason: Reasons = None,
    job: Jobs = None,
    message_id: MessageIds = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: AsJson = False,
) -> None:
    """Move dead letters to the stop queue, after you have fixed their cause.

    Each is deleted only after the stop queue has it. If the command is interrupted, repeat it. The command
    asks before it moves dead letters whose remedy is to drop them, unless --reason or --message-id is given.
    """
    deployment = find_deployment(context)
    if not dry_run:
        deployment.refuse_under_observe()
    move = partial(removal.redrive, stop_queue=deployment.stop_queue)
    filter_ = build_filter(reason, job, message_id)
    choice = Choice(filter_.matches) if dry_run or yes else _choose(deployment, filter_)
    summary = progress.process(deployment, choice.matches, removal.dry_run if dry_run else move)
    summary.left_out = choice.left_out
    output.print_summary(summary, "redriven", deployment.aws_environment, dry_run=dry_run, json=json)
    raise typer.Exit(0 if summary.succeeded and not choice.left_out else NOT_OK)


def _choose(deployment: Deployment, filter_: Filter) -> Choice:
    """Ask about the matching dead letters whose remedy is to drop them, unless the filter names these."""
    if filter_.reasons or filter_.message_ids:
        return Choice(filter_.matches)
    listing = progress.read_all(deployment)
    to_drop = [each for each in listing.dead_letters if filter_.matches(each) and _is_to_drop(each)]
    is_agreed = bool(to_drop) and _agrees(deployment, to_drop)
    asked = {dead_letter.message_id for dead_letter in to_drop if is_agreed}

    def matches(dead_letter: DeadLetter) -> bool:
        # The question was not about dead letters that arrive later.
        is_chosen = not _is_to_drop(dead_letter) or dead_letter.message_id in asked
        return filter_.matches(dead_letter) and is_chosen

    return Choice(matches, len(to_drop) - len(asked))


def _is_to_drop(dead_letter: DeadLetter) -> bool:
    return explanation(dead_letter.reason).is_to_drop


def _agrees(deployment: Deployment, to_drop: Sequence[DeadLetter]) -> bool:
    output.show_aside(tables.dead_letters_table(to_drop, datetime.now(UTC)))
    letters = tables.counted(len(to_drop), "dead letter")
    place = tables.place(deployment.aws_environment)
    return output.agrees(f"A redrive of {letters} {place} fails again: the remedy is to drop. Redrive as well?")
