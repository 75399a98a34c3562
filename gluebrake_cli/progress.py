"""Progress bars, for jobs that a sweep reads and for dead letters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from gluebrake_cli import output
from gluebrake_cli.dead_letters import DeadLetter
from gluebrake_cli.lease import Lease, Listing
from gluebrake_cli.removal import Action, Summary

if TYPE_CHECKING:
    from gluebrake_cli.stack import Deployment

Matches = Callable[[DeadLetter], bool]
"""Whether a command applies to a dead letter."""

_READING = "Reading dead letters"


@contextmanager
def count(description: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar. Yield the function that updates it with a count and a total."""
    with _bar() as bar:
        yield _counter(bar, description)


def read_all(deployment: Deployment) -> Listing:
    """Read all dead letters, and make them visible again."""
    with _lease(deployment) as lease, _bar() as bar:
        return lease.read(_counter(bar, _READING))


def process(deployment: Deployment, matches: Matches, action: Action) -> Summary:
    """Read all dead letters, release those that do not match, and apply the action to the rest."""
    with _lease(deployment) as lease, _bar() as bar:
        listing = lease.read(_counter(bar, _READING))
        matching = [dead_letter for dead_letter in listing.dead_letters if matches(dead_letter)]
        rest = [dead_letter for dead_letter in listing.dead_letters if not matches(dead_letter)]
        lease.release(dead_letter.message_id for dead_letter in rest)
        summary = Summary(listing, matching)
        on_progress = _counter(bar, "Processing those that match")
        try:
            for result in action(lease, matching):
                summary.add(result)
                on_progress(len(summary.done), len(matching))
        except (Exception, KeyboardInterrupt):
            output.note(f"{len(summary.done)} of {len(matching)} dead letters were done before this error:")
            raise
    return summary


def _lease(deployment: Deployment) -> Lease:
    return Lease(deployment.dead_letter_queue, deployment.aws_environment)


def _bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=output.stderr, transient=True)


def _counter(bar: Progress, description: str) -> Callable[[int, int], None]:
    """Add a task to the bar. Return the function that updates it with a count and a total."""
    task: TaskID = bar.add_task(description, total=None)
    return lambda done, total: bar.update(task, completed=done, total=max(done, total))
