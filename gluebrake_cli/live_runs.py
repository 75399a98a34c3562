"""Runs that a command follows on the terminal until they have ended."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from gluebrake_cli import output, tables
from gluebrake_cli.runs import Messages, PollOptions, RunStatus, follow

if TYPE_CHECKING:
    from gluebrake_cli.stack import Deployment


def follow_live(
    deployment: Deployment,
    messages: Messages,
    *,
    since: datetime,
    poll_options: PollOptions,
    dry_run: bool = False,
) -> list[RunStatus]:
    """Follow the runs, and show each poll in place of the one before. Return the last."""
    polls = follow(deployment, messages, since=since, poll_options=poll_options, warn=output.note)
    environment = deployment.aws_environment
    return output.show_live(polls, lambda poll: tables.runs_table(poll, environment, dry_run=dry_run))


def unfinished(statuses: Sequence[RunStatus], *, dry_run: bool = False) -> str:
    """Return how many runs were still waited for when --timeout had passed, empty if none was."""
    waiting = [status for status in statuses if not status.is_over]
    rest = "have no outcome" if dry_run else "had not ended"
    continues = "" if dry_run else " The functions continue to stop them."
    return f"{len(waiting)} runs {rest} after --timeout.{continues}" if waiting else ""
