"""Progress bars for the jobs of a sweep, for environments and for dead letters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from gluebrake_cli import output
from gluebrake_cli.dead_letters import DeadLetter
from gluebrake_cli.lease import Lease, Listing
from gluebrake_cli.removal import Action, Summary
from gluebrake_cli.tables import counted

if TYPE_CHECKING:
    from gluebrake_cli.stack import Deployment

Matches = Callable[[DeadLetter], bool]
"""Returns whether a command applies to a dead letter."""

OnProgress = Callable[[int, int], None]
"""Gets a count and its total."""

_READING = "Reading dead letters"


class Bar(NamedTuple):
    """A bar among others, with the functions that update it and remove it."""

    update: OnProgress
    remove: Callable[[], None]


@contextmanager
def count(description: str) -> Iterator[OnProgress]:
    """Show a bar. Yield the function that updates it."""
    with _bar() as bar:
        yield _counter(bar, bar.add_task(description, total=None))


@contextmanager
def side_by_side(descriptions: Sequence[str]) -> Iterator[list[Bar]]:
    """Show a bar for each description."""
    with _bar() as bar:
        tasks = [bar.add_task(description, total=None) for description in descriptions]
        yield [Bar(_counter(bar, task), partial(bar.remove_task, task)) for task in tasks]


def read_all(deployment: Deployment) -> Listing:
    """Read all dead letters, and make them visible again."""
    with _lease(deployment) as lease, _bar() as bar:
        return lease.read(_counter(bar, bar.add_task(_READING, total=None)))


def process(deployment: Deployment, matches: Matches, action: Action) -> Summary:
    """Read all dead letters, release those that do not match, and apply the action to the rest."""
    with _lease(deployment) as lease, _bar() as bar:
        listing = lease.read(_counter(bar, bar.add_task(_READING, total=None)))
        matching = [dead_letter for dead_letter in listing.dead_letters if matches(dead_letter)]
        rest = [dead_letter for dead_letter in listing.dead_letters if not matches(dead_letter)]
        lease.release(dead_letter.message_id for dead_letter in rest)
        summary = Summary(listing, matching)
        on_progress = _counter(bar, bar.add_task("Processing those that match", total=None))
        try:
            for result in action(lease, matching):
                summary.add(result)
                on_progress(len(summary.done), len(matching))
        except (Exception, KeyboardInterrupt):
            letters = counted(len(matching), "dead letter")
            output.note(f"{len(summary.done)} of {letters} were done before this error:")
            raise
    return summary


def _lease(deployment: Deployment) -> Lease:
    return Lease(deployment.dead_letter_queue, deployment.aws_environment)


def _bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # If standard error is not a terminal, the bar would write an empty line at its end.
    return Progress(*columns, console=output.stderr, transient=True, disable=not output.stderr.is_terminal)


def _counter(bar: Progress, task: TaskID) -> OnProgress:
    """Return the function that updates a task of the bar."""
    return lambda done, total: bar.update(task, completed=done, total=max(done, total))
