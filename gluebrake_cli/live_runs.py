"""Runs that a command follows on the terminal until they have ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from gluebrake_cli import output, run_table, unread_requests
from gluebrake_cli.progress import OnProgress
from gluebrake_cli.runs import FollowedRuns, Messages, PollOptions, RunStatus, follow

if TYPE_CHECKING:
    from gluebrake_cli.stack import Deployment


# CONFIRM reads a run's state 15 seconds after the stop, and CloudWatch Logs is a few seconds late.
_OUTCOME_SECONDS: Final = 30.0


def poll_options(timeout: float, every: float) -> PollOptions:
    """Return the options for following runs until their outcomes, which have usage and estimated cost."""
    return PollOptions(timeout, every, outcome_seconds=_OUTCOME_SECONDS)


def follow_live(
    deployment: Deployment,
    messages: Messages,
    *,
    since: datetime,
    poll_options: PollOptions,
    dry_run: bool = False,
) -> FollowedRuns:
    """Follow the runs, and show each poll in place of the previous poll. Return the last poll."""
    polls = _polls(deployment, messages, since, poll_options, output.note)
    environment = deployment.aws_environment
    last = output.show_live(polls, lambda poll: run_table.live_table(poll, environment, dry_run=dry_run))
    return _followed(deployment, last, dry_run=dry_run)


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
    for last in _polls(deployment, messages, since, poll_options, warn):
        on_progress(sum(status.is_over for status in last), len(last))
    return _followed(deployment, last)


def _polls(
    deployment: Deployment,
    messages: Messages,
    since: datetime,
    poll_options: PollOptions,
    warn: Callable[[str], None],
) -> Iterator[list[RunStatus]]:
    polls = follow(deployment, messages, since=since, poll_options=poll_options, warn=warn)
    return unread_requests.with_hint(polls, lambda: unread_requests.hint(deployment), warn)


def _followed(deployment: Deployment, statuses: Sequence[RunStatus], *, dry_run: bool = False) -> FollowedRuns:
    hint = unread_requests.hint(deployment) if unread_requests.are_unread(statuses) else ""
    return FollowedRuns(statuses=statuses, dry_run=dry_run, hint=hint)
