"""The operator's terminal: results on standard output, everything said beside them on standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import typer
from msgspec import Struct
from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from gluebrake.contract import StopRequest
from gluebrake_cli import letters, rendering
from gluebrake_cli.following import Followed
from gluebrake_cli.letters import DeadLetter, Group
from gluebrake_cli.redriving import Reading, Summary

out: Final = Console()
stderr: Final = Console(stderr=True)


class Sent(Struct, frozen=True):
    """A stop request, and the id of the message that it went in; none if nothing was sent."""

    request: StopRequest
    message_id: str | None

    def shape(self, runs: Sequence[Followed] | None = None) -> dict[str, Any]:
        """Return what `stop --json` shows; `runs` are those that were followed."""
        asked = {"message_id": self.message_id, "request": self.request}
        return {**asked, "runs": runs, "all_stopped": None if runs is None else self.all_stopped(runs)}

    def all_stopped(self, runs: Sequence[Followed]) -> bool:
        """Whether each run is STOPPED or, for a dry run, would be."""
        return all(run.is_as_asked(dry_run=self.request.dry_run) for run in runs)


def write(value: Any) -> None:
    """Write JSON for a machine."""
    typer.echo(rendering.as_json(value))


def show(what: RenderableType) -> None:
    """Show a result."""
    out.print(what)


def say(text: str) -> None:
    """Say something beside the result."""
    stderr.print(Text(text), soft_wrap=True)


def confirm(question: str) -> None:
    """Ask; whoever does not say yes ends the command."""
    typer.confirm(question, abort=True, err=True)


def watch(sent: Sent, looks: Iterator[list[Followed]]) -> list[Followed]:
    """Show each look in the place of the one before; return the last."""
    last: list[Followed] = []
    with Live(console=stderr, transient=True) as live:
        for last in looks:
            live.update(rendering.followed_table(last, dry_run=sent.request.dry_run))
    return last


def tell_sent(sent: Sent, runs: Sequence[Followed] | None, *, json: bool) -> None:
    """Show what was asked; `runs` are those that were followed, if they were."""
    if json:
        write(sent.shape(runs))
    elif sent.message_id is None:
        show(Text(f"No active run of {sent.request.job_name} is meant: nothing was sent."))
    elif runs is None:
        show(Text(f"Asked, in message {sent.message_id}. With --wait it is followed; status shows outcomes."))
    else:
        show(rendering.followed_table(runs, dry_run=sent.request.dry_run))
    if late := [run for run in runs or () if not run.is_over]:
        say(f"{len(late)} runs were still on their way when the time was over; the functions go on with them.")


def progress() -> Progress:
    """Return a bar for work on dead letters."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=stderr, transient=True)


def counting(bar: Progress, what: str) -> Callable[[int, int], None]:
    """Return what a task tells how far it is, and of how many."""
    task: TaskID = bar.add_task(what, total=None)
    return lambda done, total: bar.update(task, completed=done, total=max(done, total))


def warn_of_missing(reading: Reading) -> None:
    """Say so when there may be dead letters that were not seen."""
    if reading.missing:
        say(
            f"This may not be all: {reading.counted} were counted, but {len(reading.letters)} were seen. "
            "Somebody else may be reading, or the count lags; look again in a minute."
        )


def letters_or_groups(
    reading: Reading, shown: Sequence[DeadLetter], now: datetime, *, grouped: bool, json: bool
) -> None:
    """Show dead letters, or their reasons."""
    groups: list[Group] = letters.by_reason(shown) if grouped else []
    if not json:
        table = rendering.groups_table(groups, now) if grouped else rendering.letters_table(shown, now)
        show(table if shown else Text("No dead letters."))
        warn_of_missing(reading)
    elif grouped:
        write({"reasons": [letters.group_shape(one, now) for one in groups], "complete": not reading.missing})
    else:
        write({"letters": [letters.shape(one, now) for one in shown], "complete": not reading.missing})


def tell_done(done: Summary, deed: str, *, dry_run: bool, json: bool) -> None:
    """Show what became of the dead letters that were meant."""
    if json:
        write({"dry_run": dry_run, **done.shape()})
        return
    if dry_run:
        show(rendering.letters_table(done.meant, datetime.now(UTC)))
        show(Text(f"{len(done.meant)} dead letters would be {deed}."))
    else:
        show(Text(f"{len(done.taken)} of {len(done.meant)} dead letters {deed}."))
    if not done.meant and done.reading.letters:
        there = ", ".join(f"{one.reason} ({one.count})" for one in letters.by_reason(done.reading.letters))
        say(f"None of these is meant: {there}.")
    for message_id, why in done.not_sent.items():
        say(f"{message_id} stays in the dead-letter queue, since it could not be sent: {why}")
    for message_id, why in done.not_deleted.items():
        say(f"{message_id} could not be deleted and stays in the dead-letter queue: {why}")
    warn_of_missing(done.reading)
