"""Tables for the operator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from rich.console import Group as Lines
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from gluebrake.model import AwsEnvironment
from gluebrake.outcomes import Outcome
from gluebrake_cli.dead_letters import DeadLetter, ReasonGroup, age
from gluebrake_cli.health import Health
from gluebrake_cli.reasons import explanation
from gluebrake_cli.runs import LogLine, RunStatus

SHORT_ID: Final = 8
"""The characters of a message id that tables show. Commands accept them for the whole id."""

_MAX_ROWS: Final = 20
# Their values are short: a wrapped one would be harder to read than a wrapped text.
_NOT_WRAPPED: Final = frozenset({"ago", "age", "message", "outcome", "reason", "state"})
_GOOD: Final = frozenset({"STOPPED", "OK", "Enabled", Outcome.STOPPED, Outcome.WOULD_STOP})
_BAD: Final = frozenset(
    {
        *("ALARM", "Disabled", "Disabling"),
        *(outcome for outcome in Outcome if outcome.is_failure),
    }
)


def place(environment: AwsEnvironment) -> str:
    """Return the Region and the account as the end of a sentence."""
    return f"in {environment.region} (account {environment.account})"


def heading(stack: str, environment: AwsEnvironment, *, observes: bool) -> list[Text]:
    """Return the first lines of a screen: which stack it shows, and whether that stack stops anything."""
    note = Text("It observes: it stops nothing (observe: true).", style="yellow")
    return [Text(f"{stack} {place(environment)}"), *([note] if observes else [])]


def dead_letters_table(dead_letters: Sequence[DeadLetter], now: datetime) -> Table:
    """Return a row for each dead letter, the oldest first."""
    rows = (
        [
            dead_letter.message_id[:SHORT_ID],
            dead_letter.reason,
            explanation(dead_letter.reason).meaning,
            dead_letter.job_name,
            dead_letter.run_count,
            duration(age(dead_letter.sent_at, now)),
            "" if dead_letter.attempts is None else str(dead_letter.attempts),
        ]
        for dead_letter in sorted(dead_letters, key=lambda dead_letter: dead_letter.sent_at)
    )
    return _table(["message", "reason", "meaning", "job", "runs", "age", "attempts"], rows)


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


def runs_table(statuses: Sequence[RunStatus], environment: AwsEnvironment, *, dry_run: bool) -> RenderableType:
    """Return a row for each run, no more than fill a screen: those first that may still be running."""
    stopped = [status for status in statuses if status.is_stopped(dry_run=dry_run)]
    not_stopped = [status for status in statuses if not status.is_stopped(dry_run=dry_run)]
    ended = [status for status in not_stopped if status.has_ended]
    active = [status for status in not_stopped if not status.has_ended]
    shown = [*active, *ended, *stopped][:_MAX_ROWS]
    # The runs of one job have a place for its name elsewhere, and their ids are long.
    has_jobs = len({status.job_name for status in statuses}) > 1
    rows = (
        [
            *([status.job_name] if has_jobs else []),
            *(status.job_run_id, status.state, status.outcome, status.error_message),
        ]
        for status in shown
    )
    counts = [f"{len(stopped)} of {len(statuses)} {'would stop' if dry_run else 'stopped'}"]
    if ended:
        counts.append(f"{len(ended)} {'ended before' if dry_run else 'ended by themselves'}")
    hidden = f", {len(statuses) - len(shown)} more not shown" if len(shown) < len(statuses) else ""
    return Lines(
        _table([*(["job"] if has_jobs else []), "run", "state", "outcome", "error"], rows),
        Text(f"{', '.join(counts)} {place(environment)}{hidden}"),
    )


def health_tables(health: Health, now: datetime) -> RenderableType:
    """Return a table for each section, then what is wrong."""
    queues = (
        [
            *(queue.name, str(queue.messages), str(queue.in_flight), str(queue.delayed)),
            _seconds(queue.oldest_age_seconds),
        ]
        for queue in health.queues
    )
    alarms = ([alarm.state, alarm.name, alarm.description] for alarm in health.alarms)
    mappings = ([mapping.function, mapping.state] for mapping in health.mappings)
    problems = [Text(f"! {printable(problem)}", style="red") for problem in health.problems]
    return Lines(
        *heading(health.stack, AwsEnvironment(health.account, health.region), observes=health.observes),
        _table(["queue", "messages", "in flight", "delayed", "oldest"], queues, "Queues"),
        _table(["alarm", "name", "meaning"], alarms, "Alarms"),
        _table(["function", "mapping"], mappings, "Mappings"),
        _config_table(health.config),
        _outcomes_table(health.outcomes, now),
        *(problems or [Text("Nothing is wrong.", style="green")]),
    )


def _config_table(config: Mapping[str, Any]) -> Table:
    # Queue URLs are long, and the stack's outputs have them.
    shown = {name: _value(value) for name, value in config.items() if not name.endswith("_url")}
    return _fields_table(shown, "Config")


def requester(line: LogLine) -> str:
    """Return who or what requested the stop, by a line of the log.

    For an event, a notification or an alarm action, the sender that SQS reports is only AWS's own.
    """
    return str(line.get("requested_by") or line.get("via") or line.get("sender", ""))


def _outcomes_table(lines: Iterable[LogLine], now: datetime) -> Table:
    rows = (
        [
            duration(age(datetime.fromisoformat(line["timestamp"]), now)),
            line["outcome"],
            line["job_name"],
            line.get("job_run_id", ""),
            requester(line),
            line.get("error_message", "") or line.get("reason", ""),
        ]
        for line in lines
    )
    return _table(["ago", "outcome", "job", "run", "requested by", "error or reason"], rows, "Outcomes")


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        # A long value is wrapped, not cut: the operator may have to copy it.
        table.add_column(column, overflow="fold", no_wrap=column in _NOT_WRAPPED)
    for row in rows:
        table.add_row(*(_cell(text) for text in row))
    return table


def _fields_table(fields: Mapping[str, str], title: str | None = None) -> Table:
    table = _table(["", ""], fields.items(), title)
    table.show_header = False
    return table


def _cell(text: str) -> Text:
    return Text(printable(text), style="green" if text in _GOOD else "red" if text in _BAD else "")


def printable(text: str) -> str:
    """Replace control characters: a terminal would obey them, and other people wrote the texts."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _value(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _seconds(seconds: int | None) -> str:
    return "not known" if seconds is None else duration(timedelta(seconds=seconds))


def duration(duration: timedelta) -> str:
    """Format a duration in its two largest units."""
    minutes, seconds = divmod(int(duration.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    units = [(days, "d"), (hours, "h"), (minutes, "m"), (seconds, "s")]
    first = next((index for index, (count, _) in enumerate(units) if count), len(units) - 1)
    return " ".join(f"{count}{unit}" for count, unit in units[first : first + 2])
