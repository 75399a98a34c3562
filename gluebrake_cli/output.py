"""The terminal: results go to standard output, questions and warnings to standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import msgspec
import typer
from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from gluebrake.model import AwsEnvironment
from gluebrake_cli import tables
from gluebrake_cli.dead_letters import group_by_reason
from gluebrake_cli.lease import Listing
from gluebrake_cli.removal import Summary

T = TypeVar("T")

stdout: Final = Console()
stderr: Final = Console(stderr=True)


def as_json(value: Any) -> str:
    """Encode a value as JSON in printable ASCII, so that the text has no control sequence for a terminal."""
    text = msgspec.json.format(msgspec.json.encode(value)).decode()
    return "".join(char if " " <= char <= "~" or char == "\n" else _escape(char) for char in text)


def _escape(char: str) -> str:
    return "".join(f"\\u{unit:04x}" for unit in memoryview(char.encode("utf-16-le")).cast("H"))


def write_json(environment: AwsEnvironment, members: Mapping[str, Any]) -> None:
    """Write a result as JSON to standard output, with its account and Region."""
    typer.echo(as_json({"account": environment.account, "region": environment.region, **members}))


def show(result: RenderableType) -> None:
    """Write a result to standard output. Its text is not markup. Lines are not cut, so that ids stay whole."""
    stdout.print(Text(result) if isinstance(result, str) else result, crop=False)


def show_aside(result: RenderableType) -> None:
    """Write a result to standard error, because standard output may be JSON."""
    stderr.print(result, crop=False)


def show_line(text: str) -> None:
    """Write one line to standard output without wrapping, so that a command in the line can be copied."""
    stdout.print(tables.unfolded(text), crop=False)


def note(text: str) -> None:
    """Write one line to standard error."""
    stderr.print(Text(text), soft_wrap=True)


def confirm(question: str) -> None:
    """Ask on standard error. Any answer but yes ends the command with exit code 1."""
    typer.confirm(question, abort=True, err=True)


def agrees(question: str) -> bool:
    """Ask on standard error. Any answer but yes, and the end of the input, mean no."""
    typer.echo(f"{question} [y/N]: ", nl=False, err=True)
    answer = sys.stdin.readline()
    if not answer:
        typer.echo(err=True)
    return answer.strip().lower() in {"y", "yes"}


def ask(question: str) -> str:
    """Ask on standard error for a line of text. The end of the input ends the command with exit code 1."""
    # `typer.prompt` writes a space to standard output, which may be JSON.
    typer.echo(f"{question}: ", nl=False, err=True)
    if answer := sys.stdin.readline():
        return answer.strip()
    raise typer.Abort


def show_live(values: Iterator[list[T]], render: Callable[[list[T]], RenderableType]) -> list[T]:
    """Show each value in place of the previous value, on standard error. Return the last value."""
    last: list[T] = []
    with Live(console=stderr, transient=True) as live:
        for last in values:
            live.update(render(last))
    return last


def warn_if_incomplete(listing: Listing) -> None:
    """Warn if the queue may have dead letters that were not received."""
    if listing.missing:
        note(
            f"This may not be all: {listing.counted} were counted, {len(listing.dead_letters)} received. "
            "Another consumer may have the rest, or the count lags. Repeat the command in a minute."
        )


def print_summary(
    summary: Summary, verb: str, environment: AwsEnvironment, *, dry_run: bool, json: bool
) -> None:
    """Show the result of a redrive or a drop. `verb` is the past participle, such as "dropped"."""
    if json:
        write_json(environment, {"dry_run": dry_run, **summary.as_json()})
        return
    place = tables.place(environment)
    letters = tables.counted(len(summary.matching), "dead letter")
    if not summary.matching and not summary.left_out:
        show(f"No dead letter {place} matches: none {'would be' if dry_run else 'was'} {verb}.")
    elif dry_run:
        show(tables.dead_letters_table(summary.matching, datetime.now(UTC)))
        show(f"{letters} would be {verb} {place}.")
    else:
        show(f"{len(summary.done)} of {letters} {verb} {place}.")
    if summary.left_out:
        left_out = tables.counted(summary.left_out, "dead letter")
        note(f"{left_out} left out, whose remedy is to drop: give --yes, or --reason or --message-id.")
    elif not summary.matching and summary.listing.dead_letters:
        groups = group_by_reason(summary.listing.dead_letters)
        note(f"None of these matches: {', '.join(f'{group.reason} ({group.count})' for group in groups)}.")
    for message_id, error in summary.not_sent.items():
        note(f"{message_id} stays in the dead-letter queue, because it could not be sent: {error}")
    for message_id, error in summary.not_deleted.items():
        note(f"{message_id} could not be deleted and stays in the dead-letter queue: {error}")
    warn_if_incomplete(summary.listing)
