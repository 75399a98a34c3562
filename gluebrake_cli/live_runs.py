"""Runs that a command follows on the terminal until they have ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from gluebrake_cli import output, run_table
from gluebrake_cli.progress import OnProgress
from gluebrake_cli.runs import FollowedRuns, Messages, PollOptions, RunStatus, follow

if TYPE_CHECKING:
    from gluebrake_cli.stack import Deployment


# CONFIRM first looks 15 seconds after the submission, and the log is a few seconds late.
_OUTCOME_SECONDS: Final = 30.0


def poll_options(timeout: float, every: float) -> PollOptions:
    """Return how a command follows runs: to their outcomes, which have the usage and the estimated cost."""
    return PollOptions(timeout, every, outcome_seconds=_OUTCOME_SECONDS)


def follow_live(
    deployment: Deployment,
    messages: Messages,
    *,
    since: datetime,
    poll_options: PollOptions,
    dry_run: bool = False,
) -> FollowedRuns:
    """Follow the runs, and show each poll in place of the one before. Return the last."""
    polls = follow(deployment, messages, since=since, poll_options=poll_options, warn=output.note)
    environment = deployment.aws_environment
    last = output.show_live(polls, lambda poll: run_table.live_table(poll, environment, dry_run=dry_run))
    return FollowedRuns(statuses=last, dry_run=dry_run)


def follow_counted(  # noqa: PLR0913 - the last four are passed by name
    deployment: Deployment,
    messages: Messages,
    *,
    since: datetime,
    poll_options: PollOptions,
    on_progress: OnProgress,
    warn: Callable[[str], None],
) -> FollowedRuns:
    """Follow the runs, and report how many are over. Return the last poll."""
    last: Sequence[RunStatus] = []
    for last in follow(deployment, messages, since=since, poll_options=poll_options, warn=warn):
        on_progress(sum(status.is_over for status in last), len(last))
    return FollowedRuns(statuses=last)
