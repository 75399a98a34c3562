"""The screen of `gluebrake status`: the verdict, the problems, numbers of the stack, the latest outcomes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from rich.console import Group as Lines
from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from gluebrake.decisions.run_cost import in_words
from gluebrake_cli import requesters
from gluebrake_cli.dead_letters import age
from gluebrake_cli.health import Health, Problem, QueueDepth
from gluebrake_cli.records import Records
from gluebrake_cli.runs import LogLine, measures
from gluebrake_cli.tables import OBSERVES, cell, counted, duration, place, printable

_COLUMNS: Final = ("latest runs", "ago", "outcome", "job", "used (estimate)")
_MOST_NAMES: Final = 5
_NOTE_LINES: Final = 2
_SETTINGS: Final = {"jobs": "jobs", "protected_jobs": "protectedJobs", "protect_tag": "protectTag"}
"""The settings that say which runs may be stopped, by their keys in the configuration."""


def status_screen(health: Health, now: datetime) -> RenderableType:
    """Return the screen, with the verdict in the first line. Only problems are explained."""
    style = "red" if health.problems else "green"
    return Lines(
        Text(f"{health.stack} {place(health.aws_environment)}: {verdict(health)}", style=style),
        *([OBSERVES] if health.observes else []),
        *(part for problem in health.problems for part in (Text(), *explained(problem))),
        Text(),
        *(Text(f"{name:<10}{printable(text)}") for name, text in _numbers(health).items()),
        *(_outcomes(health.outcomes, now) if health.outcomes else ()),
    )


def verdict(health: Health) -> str:
    """Return whether anything is wrong, in a few words."""
    number = len(health.problems)
    return counted(number, "problem") if number else "all is well"


def explained(problem: Problem) -> list[RenderableType]:
    """Return a problem, and what to do about it."""
    remedy = [Padding(Text(printable(problem.remedy)), (0, 0, 0, 2))] if problem.remedy else []
    return [Text(f"! {printable(problem.text)}", style="red"), *remedy]


def line(health: Health) -> str:
    """Return the verdict on one of several environments."""
    return f"{verdict(health)}, observes" if health.observes else verdict(health)


def sums(found: Sequence[Health]) -> Iterator[str]:
    """Yield the numbers of problems in several environments."""
    letters = sum(health.dead_letters for health in found)
    rung = sum(alarm.state == "ALARM" for health in found for alarm in health.alarms)
    disabled = sum(mapping.state != "Enabled" for health in found for mapping in health.mappings)
    yield (
        f"{counted(letters, 'dead letter')}, {counted(rung, 'alarm')} in ALARM,"
        f" {counted(disabled, 'mapping')} not enabled."
    )
    if unknown := sum(len(health.unknown) for health in found):
        yield f"{counted(unknown, 'section')} could not be read, so these numbers may be higher."
    if observing := sum(health.observes for health in found):
        yield f"{counted(observing, 'environment')} with `observe: true`: nothing is stopped there."


def _numbers(health: Health) -> dict[str, str]:
    """Return a line for each section, by its name."""
    rung = sum(alarm.state == "ALARM" for alarm in health.alarms)
    enabled = sum(mapping.state == "Enabled" for mapping in health.mappings)
    texts = {
        "queues": ", ".join(map(_depth, health.queues)),
        "alarms": _count(rung, len(health.alarms), "in ALARM"),
        "mappings": _count(enabled, len(health.mappings), "enabled"),
        "config": "; ".join(_settings(health.config)),
        "outcomes": "" if health.outcomes else "none in the last day",
    }
    unknown = {name: "not known" for name in texts if name in health.unknown}
    return {name: text for name, text in (texts | unknown).items() if text}


def _count(number: int, total: int, which: str) -> str:
    amount = {0: "none", total: "all"}.get(number, str(number))
    return f"{total}, {amount} {which}" if total else ""


def _depth(queue: QueueDepth) -> str:
    total = queue.messages + queue.in_flight + queue.delayed
    details = {"in flight": queue.in_flight, "delayed": queue.delayed}
    notes = [f"{number} {name}" for name, number in details.items() if number]
    if total and queue.oldest_age_seconds is not None:
        notes.append(f"oldest {duration(timedelta(seconds=queue.oldest_age_seconds))}")
    return f"{queue.name} {total}" + (f" ({', '.join(notes)})" if notes else "")


def _settings(config: Mapping[str, Any]) -> Iterator[str]:
    for name, key in _SETTINGS.items():
        if name in config:
            yield f"{key} {_listed(config[name])}"
    if config:
        yield "more: --json"


def _listed(value: Any) -> str:
    names = [value] if isinstance(value, str) else [*map(str, value)]
    more = [f"and {len(names) - _MOST_NAMES} more"] if len(names) > _MOST_NAMES else []
    return ", ".join([*names[:_MOST_NAMES], *more]) or "none"


def _outcomes(lines: Sequence[LogLine], now: datetime) -> Iterator[RenderableType]:
    yield Text()
    rows = [
        [
            *(line.get("job_run_id", ""), _ago(line["timestamp"], now)),
            *(line["outcome"], line["job_name"], in_words(measures(line))),
        ]
        for line in lines
    ]
    yield Records(
        _COLUMNS,
        [[cell(text) for text in row] for row in rows],
        notes=[Text(printable(" ".join(_note(line).split()))) for line in lines],
        note_lines=_NOTE_LINES,
    )


def _ago(timestamp: str, now: datetime) -> str:
    """Return a duration in its largest unit only, because the line has little room."""
    return duration(age(datetime.fromisoformat(timestamp), now)).partition(" ")[0]


def _note(line: LogLine) -> str:
    error = line.get("error_message", "")
    texts = {**({"error": error} if error else {}), **requesters.labelled(line)}
    return "; ".join(f"{label}: {text}" for label, text in texts.items())
