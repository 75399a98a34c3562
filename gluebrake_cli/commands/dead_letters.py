"""`gluebrake dead-letters` and `gluebrake dead-letters show`: list dead letters, and show one whole."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from gluebrake_cli import output, progress, tables
from gluebrake_cli.command_help import Command, Help
from gluebrake_cli.dead_letters import dead_letter_json, group_by_reason, group_json
from gluebrake_cli.errors import OperatorError
from gluebrake_cli.options import (
    AsJson,
    Jobs,
    MessageIds,
    Reasons,
    build_filter,
    find_deployment,
)

app: Final = typer.Typer(invoke_without_command=True, subcommand_metavar="[show MESSAGE_ID]")

ByReason = Annotated[bool, typer.Option("--by-reason", help="Count them by reason and job.")]
MessageId = Annotated[
    str, typer.Argument(metavar="MESSAGE_ID", help="The message's id; its first characters are enough.")
]


HELP: Final = Help(
    examples={
        "gluebrake dead-letters --by-reason": "How many are there, and why? What to do about each reason.",
        "gluebrake dead-letters": "List all, the oldest first.",
        "gluebrake dead-letters --reason NotAllowed --job 'nightly-*' --json": "List some, as JSON.",
        "gluebrake dead-letters show 5f2d9a31": "Show one whole.",
    },
    exit_codes={0: "the dead letters were read, also if there are none", 1: "an error"},
)
SHOW: Final = Help(
    examples={
        "gluebrake dead-letters show 5f2d9a31": "By the first characters of its id.",
        "gluebrake dead-letters show 5f2d9a31 --json": "For a script.",
    },
    exit_codes={0: "shown", 1: "none or several have such an id, or an error"},
)


@app.callback()
def list_(
    context: typer.Context,
    *,
    by_reason: ByReason = False,
    reason: Reasons = None,
    job: Jobs = None,
    message_id: MessageIds = None,
    json: AsJson = False,
) -> None:
    """List what could not be stopped, and why. Nothing is consumed: all dead letters stay in their queue."""
    if context.invoked_subcommand:
        return
    now = datetime.now(UTC)
    matches = build_filter(reason, job, message_id).matches
    deployment = find_deployment(context)
    listing = progress.read_all(deployment)
    matching = [dead_letter for dead_letter in listing.dead_letters if matches(dead_letter)]
    groups = group_by_reason(matching)
    if json:
        shown = (
            {"reasons": [group_json(group, now) for group in groups]}
            if by_reason
            else {"letters": [dead_letter_json(dead_letter, now) for dead_letter in matching]}
        )
        output.write_json(deployment.aws_environment, {**shown, "complete": not listing.missing})
        return
    if matching:
        output.show(tables.groups_table(groups, now) if by_reason else tables.dead_letters_table(matching, now))
    letters = tables.counted(len(listing.dead_letters), "dead letter")
    count = f"{len(matching)} of {letters}" if listing.dead_letters else "No dead letters"
    output.show(f"{count} {tables.place(deployment.aws_environment)}.")
    output.warn_if_incomplete(listing)


def show(context: typer.Context, message_id: MessageId, *, json: AsJson = False) -> None:
    """Show one dead letter whole: its reason, its attributes, its body."""
    now = datetime.now(UTC)
    deployment = find_deployment(context)
    listing = progress.read_all(deployment)
    found = [each for each in listing.dead_letters if each.message_id.startswith(message_id)]
    if len(found) != 1:
        output.warn_if_incomplete(listing)
        raise OperatorError(f"{len(found)} dead letters have an id that begins with {message_id!r}, not one")
    (dead_letter,) = found
    if json:
        details = {"attributes": dead_letter.attributes, "body": dead_letter.body}
        output.write_json(deployment.aws_environment, dead_letter_json(dead_letter, now) | details)
    else:
        output.show(tables.dead_letter_table(dead_letter, now))
        output.show(f"The dead letter is {tables.place(deployment.aws_environment)}.")


app.command(cls=Command, **SHOW.of(show.__doc__))(show)
