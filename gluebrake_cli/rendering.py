"""What the operator sees: tables of values, and the same values as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from rich.console import Group as Lines
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from gluebrake.outcomes import Outcome
from gluebrake_cli.following import Followed, Line
from gluebrake_cli.health import Health
from gluebrake_cli.letters import DeadLetter, Group, age
from gluebrake_cli.reasons import meaning

SHORT_ID: Final = 8
"""So much of a message's id tells it from the others; commands take it for the whole."""

_MOST_ROWS: Final = 20
# Columns of words of our own, which are short: a broken one would be harder to read than a broken text.
_OUR_WORDS: Final = frozenset({"ago", "age", "message", "outcome", "reason", "state"})
_GOOD: Final = frozenset({"STOPPED", "OK", "Enabled", Outcome.STOPPED, Outcome.WOULD_STOP})
_BAD: Final = frozenset(
    {
        *("ALARM", "Disabled", "Disabling"),
        *(Outcome.FAILED, Outcome.INVALID_REQUEST, Outcome.NOT_ALLOWED, Outcome.NOT_FOUND),
        *(Outcome.STOP_TIMED_OUT, Outcome.TOO_MANY_RUNS),
    }
)


def as_json(value: Any) -> str:
    """Write a value as JSON of printable ASCII alone: no terminal takes any of it for a command."""
    text = msgspec.json.format(msgspec.json.encode(value)).decode()
    return "".join(char if " " <= char <= "~" or char == "\n" else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return "".join(f"\\u{unit:04x}" for unit in memoryview(char.encode("utf-16-le")).cast("H"))


def letters_table(letters: Sequence[DeadLetter], now: datetime) -> Table:
    """Show dead letters, the oldest first."""
    rows = (
        [
            letter.message_id[:SHORT_ID],
            letter.reason,
            meaning(letter.reason).words,
            letter.job_name,
            letter.runs,
            _ago(age(letter.sent_at, now)),
            "" if letter.attempts is None else str(letter.attempts),
        ]
        for letter in sorted(letters, key=lambda letter: letter.sent_at)
    )
    return _table(["message", "reason", "in words", "job", "runs", "age", "attempts"], rows)


def groups_table(groups: Iterable[Group], now: datetime) -> Table:
    """Show the reasons, and how often each is given for which job."""
    rows = (
        [
            group.reason,
            str(group.count),
            "\n".join(f"{job or '(names none)'} {count}" for job, count in group.jobs.items()),
            _ago(age(group.oldest, now)),
            f"{meaning(group.reason).words}: {meaning(group.reason).remedy}",
        ]
        for group in groups
    )
    return _table(["reason", "letters", "by job", "oldest", "what it says, and what mends it"], rows)


def letter_table(letter: DeadLetter, now: datetime) -> Table:
    """Show one dead letter whole."""
    told = meaning(letter.reason)
    fields = {
        "message": letter.message_id,
        "reason": letter.reason,
        "in words": told.words,
        "what mends it": told.remedy,
        "error": letter.error_message,
        "job": letter.job_name,
        "runs": "\n".join(letter.job_run_ids) or letter.runs,
        "sent": f"{letter.sent_at.isoformat(timespec='seconds')} ({_ago(age(letter.sent_at, now))} ago)",
        "attempts": "" if letter.attempts is None else str(letter.attempts),
        **{
            f"attribute {name}": value.get("StringValue", "(binary)")
            for name, value in letter.attributes.items()
        },
        "body": letter.body,
    }
    return _fields(fields)


def followed_table(followed: Sequence[Followed], *, dry_run: bool) -> RenderableType:
    """Show how far the runs have come: those first that are not as asked, a screenful at most."""
    rest = [one for one in followed if not one.is_as_asked(dry_run=dry_run)]
    done = [one for one in followed if one.is_as_asked(dry_run=dry_run)]
    shown = [*rest, *done][:_MOST_ROWS]
    rows = ([one.job_run_id, one.state, one.outcome, one.error_message] for one in shown)
    table = _table(["run", "state", "outcome", "error"], rows)
    more = f", {len(followed) - len(shown)} more not shown" if len(shown) < len(followed) else ""
    what = "would stop" if dry_run else "stopped"
    return Lines(table, Text(f"{len(done)} of {len(followed)} {what}{more}"))


def health(health: Health, now: datetime) -> RenderableType:
    """Show everything of note."""
    queues = (
        [one.name, *map(str, (one.messages, one.in_flight, one.delayed)), _seconds(one.oldest_age_seconds)]
        for one in health.queues
    )
    alarms = ([alarm.state, alarm.name, alarm.description] for alarm in health.alarms)
    wrong = [Text(f"! {_clean(text)}", style="red") for text in health.wrong]
    return Lines(
        _table(["queue", "messages", "in flight", "delayed", "oldest"], queues, "Queues"),
        _table(["alarm", "name", "what it means"], alarms, "Alarms"),
        _table(["function", "mapping"], ([one.function, one.state] for one in health.mappings), "Mappings"),
        _config(health.config),
        _outcomes(health.outcomes, now),
        *(wrong or [Text("Nothing is wrong.", style="green")]),
    )


def _config(config: Mapping[str, Any]) -> Table:
    # Where the queues are is told by the stack's outputs, to those who must know.
    chosen = {name: _plain(value) for name, value in config.items() if not name.endswith("_url")}
    return _fields(chosen, "Config")


def _outcomes(lines: Iterable[Line], now: datetime) -> Table:
    rows = (
        [
            _ago(age(datetime.fromisoformat(line["timestamp"]), now)),
            line["outcome"],
            line["job_name"],
            line.get("job_run_id", ""),
            line.get("requested_by", ""),
            line.get("error_message", "") or line.get("reason", ""),
        ]
        for line in lines
    )
    return _table(["ago", "outcome", "job", "run", "asked by", "error, or why it was asked"], rows, "Outcomes")


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        # What is too long is wrapped, not cut: it may be needed whole.
        table.add_column(column, overflow="fold", no_wrap=column in _OUR_WORDS)
    for row in rows:
        table.add_row(*(_cell(text) for text in row))
    return table


def _fields(fields: Mapping[str, str], title: str | None = None) -> Table:
    table = _table(["", ""], fields.items(), title)
    table.show_header = False
    return table


def _cell(text: str) -> Text:
    return Text(_clean(text), style="green" if text in _GOOD else "red" if text in _BAD else "")


def _clean(text: str) -> str:
    """Replace what a terminal might obey: the texts are other people's."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _seconds(seconds: int | None) -> str:
    return "not known" if seconds is None else _ago(timedelta(seconds=seconds))


def _ago(passed: timedelta) -> str:
    """Write a time that has passed, in its largest two units."""
    minutes, seconds = divmod(int(passed.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    units = [(days, "d"), (hours, "h"), (minutes, "m"), (seconds, "s")]
    first = next((index for index, (count, _) in enumerate(units) if count), len(units) - 1)
    return " ".join(f"{count}{unit}" for count, unit in units[first : first + 2])
