"""Tables for the operator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from gluebrake.model import AwsEnvironment
from gluebrake.outcomes import Outcome
from gluebrake_cli.dead_letters import DeadLetter, ReasonGroup, age
from gluebrake_cli.reasons import explanation
from gluebrake_cli.records import Records

SHORT_ID: Final = 8
"""The characters of a message id that tables show. Commands accept them for the whole id."""

OBSERVES: Final = Text("It observes: it stops nothing (observe: true).", style="yellow")

# The values in these columns are short, so they stay on one line while longer texts are wrapped.
_NOT_WRAPPED: Final = frozenset({"reason"})
_GOOD: Final = frozenset({"STOPPED", "OK", "Enabled", Outcome.STOPPED, Outcome.WOULD_STOP})
_BAD: Final = frozenset(
    {
        *("ALARM", "Disabled", "Disabling"),
        *(outcome for outcome in Outcome if outcome.is_failure),
    }
)


def place(environment: AwsEnvironment) -> str:
    """Return the Region and the account in words, for the end of a sentence."""
    return f"in {environment.region} (account {environment.account})"


def heading(stack: str, environment: AwsEnvironment, *, observes: bool) -> list[Text]:
    """Return the first lines of a screen: the stack, and whether the stack only observes."""
    return [Text(f"{stack} {place(environment)}"), *([OBSERVES] if observes else [])]


def dead_letters_table(dead_letters: Sequence[DeadLetter], now: datetime) -> RenderableType:
    """Return the dead letters, the oldest first, each with its error message or, without one, the meaning."""
    oldest_first = sorted(dead_letters, key=lambda dead_letter: dead_letter.sent_at)
    rows = (
        [
            dead_letter.message_id[:SHORT_ID],
            dead_letter.reason,
            dead_letter.job_name,
            dead_letter.run_count,
            duration(age(dead_letter.sent_at, now)),
            "" if dead_letter.attempts is None else str(dead_letter.attempts),
        ]
        for dead_letter in oldest_first
    )
    return Records(
        ["message", "reason", "job", "runs", "age", "attempts"],
        [[cell(text) for text in row] for row in rows],
        notes=[
            Text(printable(" ".join((each.error_message or explanation(each.reason).meaning).split())))
            for each in oldest_first
        ],
    )


def groups_table(groups: Iterable[ReasonGroup], now: datetime) -> Table:
    """Return a row for each reason, with its dead letters counted by job."""
    rows = (
        [
            group.reason,
            str(group.count),
            "\n".join(f"{job or '(names none)'} {count}" for job, count in group.jobs.items()),
            duration(age(group.oldest, now)),
            f"{explanation(group.reason).meaning} {explanation(group.reason).remedy}",
        ]
        for group in groups
    )
    return _table(["reason", "dead letters", "by job", "oldest", "meaning and remedy"], rows)


def dead_letter_table(dead_letter: DeadLetter, now: datetime) -> Table:
    """Return every field of one dead letter."""
    reason = explanation(dead_letter.reason)
    sent_at = dead_letter.sent_at.isoformat(timespec="seconds")
    attributes = {
        f"attribute {name}": value.get("StringValue", "(binary)")
        for name, value in dead_letter.attributes.items()
    }
    fields = {
        "message": dead_letter.message_id,
        "reason": dead_letter.reason,
        "meaning": reason.meaning,
        "remedy": reason.remedy,
        "error": dead_letter.error_message,
        "job": dead_letter.job_name,
        "runs": "\n".join(dead_letter.job_run_ids) or dead_letter.run_count,
        "sent": f"{sent_at} ({duration(age(dead_letter.sent_at, now))} ago)",
        "attempts": "" if dead_letter.attempts is None else str(dead_letter.attempts),
        **({"via": dead_letter.via} if dead_letter.via else {}),
        **attributes,
        "body": dead_letter.body,
    }
    return _fields_table(fields)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table()
    for column in columns:
        # A long value is wrapped, not cut, so that the operator can copy it.
        table.add_column(column, overflow="fold", no_wrap=column in _NOT_WRAPPED)
    for row in rows:
        table.add_row(*(cell(text) for text in row))
    return table


def _fields_table(fields: Mapping[str, str]) -> Table:
    table = _table(["", ""], fields.items())
    table.show_header = False
    return table


def cell(text: str) -> Text:
    """Return a text in the colour of its meaning, without control characters."""
    return Text(printable(text), style="green" if text in _GOOD else "red" if text in _BAD else "")


def unfolded(text: str) -> Text:
    """Return a line that is not wrapped on a narrow terminal, so that an id or a command can be copied."""
    return Text(printable(text), no_wrap=True, overflow="ignore")


def printable(text: str) -> str:
    """Replace control characters, which a terminal would obey: the texts are from other people."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def duration(duration: timedelta) -> str:
    """Format a duration in its two largest units."""
    minutes, seconds = divmod(int(duration.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    units = [(days, "d"), (hours, "h"), (minutes, "m"), (seconds, "s")]
    first = next((index for index, (count, _) in enumerate(units) if count), len(units) - 1)
    return " ".join(f"{count}{unit}" for count, unit in units[first : first + 2])
