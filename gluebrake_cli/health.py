"""How a deployed Gluebrake is: its queues, its alarms, its mappings, its config, its last outcomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Protocol, Self, TypeVar

import msgspec
from msgspec import Struct

from gluebrake.settings import PREFIX, SettingsError, settings
from gluebrake_cli.errors import explained
from gluebrake_cli.following import Line

T = TypeVar("T")

# A storm fills a minute, a quiet week hardly a day: the time that is searched grows until there are enough.
WINDOWS: Final = (timedelta(minutes=1), timedelta(minutes=15), timedelta(hours=3), timedelta(days=1))


class Depth(Struct, frozen=True, kw_only=True):
    """What is on a queue."""

    name: str
    messages: int
    in_flight: int
    delayed: int
    oldest_age_seconds: int | None = None

    @classmethod
    def of(cls, name: str, attributes: Mapping[str, str]) -> Self:
        """Read SQS's queue attributes."""
        count = "ApproximateNumberOfMessages"
        return cls(
            name=name,
            messages=int(attributes[count]),
            in_flight=int(attributes[f"{count}NotVisible"]),
            delayed=int(attributes[f"{count}Delayed"]),
        )


class Alarm(Struct, frozen=True):
    """An alarm of the stack."""

    name: str
    state: str
    description: str


class MappingState(Struct, frozen=True):
    """A function's mapping to its queue; `state` is Lambda's."""

    function: str
    state: str


class Health(Struct, frozen=True, kw_only=True):
    """Everything of note; what could not be read is empty, and stands in `unknown` with the reason."""

    stack: str
    queues: Sequence[Depth]
    alarms: Sequence[Alarm]
    mappings: Sequence[MappingState]
    config: Mapping[str, Any]
    outcomes: Sequence[Line]
    """The newest first."""
    unknown: Mapping[str, str]

    @property
    def wrong(self) -> list[str]:
        """What needs somebody, in words."""
        dead = next((queue for queue in self.queues if queue.name == "dead letters"), None)
        letters = dead.messages + dead.in_flight if dead else 0
        return [
            *([f"dead letters: {letters}"] if letters else []),
            *(f"alarm: {alarm.name}" for alarm in self.alarms if alarm.state == "ALARM"),
            *(
                f"the {one.function} function's mapping is {one.state}"
                for one in self.mappings
                if one.state != "Enabled"
            ),
            *(f"{section}: {why}" for section, why in self.unknown.items()),
        ]


class Source(Protocol):
    """Where it is read from; each call may fail by itself."""

    @property
    def stack(self) -> str:
        """Return the stack's name."""

    def depths(self) -> list[Depth]:
        """Return what is on each queue."""

    def oldest_ages(self, now: datetime) -> Mapping[str, int]:
        """Return the age of each queue's oldest message in seconds, where it is known."""

    def alarms(self) -> list[Alarm]:
        """Return the stack's alarms."""

    def mappings(self) -> list[MappingState]:
        """Return the functions' mappings."""

    def configuration(self, function: str) -> Mapping[str, Any]:
        """Return a function's configuration."""

    def outcomes(self, since: datetime) -> list[Line]:
        """Return the log's outcomes, oldest first."""


def read(source: Source, now: datetime, outcomes: int) -> Health:
    """Read everything, with up to so many outcomes; what fails is told beside the rest."""
    unknown: dict[str, str] = {}

    def attempt(section: str, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except Exception as error:  # noqa: BLE001 - whatever it is, the other sections are still of use
            unknown[section] = explained(error) or repr(error)
            return None

    ages = attempt("age of the oldest message", lambda: source.oldest_ages(now)) or {}
    depths = attempt("queues", source.depths) or []
    return Health(
        stack=source.stack,
        queues=[msgspec.structs.replace(one, oldest_age_seconds=ages.get(one.name)) for one in depths],
        alarms=attempt("alarms", source.alarms) or [],
        mappings=attempt("mappings", source.mappings) or [],
        config=attempt("config", lambda: _config(source.configuration("stop"))) or {},
        outcomes=attempt("outcomes", lambda: _newest(source, now, outcomes)) or [],
        unknown=unknown,
    )


def _config(configuration: Mapping[str, Any]) -> dict[str, Any]:
    environ = configuration.get("Environment", {}).get("Variables", {})
    try:
        return msgspec.structs.asdict(settings(environ))
    except SettingsError:
        # Another version deployed it: what this one does not know is still worth showing.
        ours = {name: value for name, value in environ.items() if name.startswith(PREFIX)}
        return {name.removeprefix(PREFIX).lower(): value for name, value in ours.items()}


def _newest(source: Source, now: datetime, count: int) -> list[Line]:
    lines: list[Line] = []
    for window in WINDOWS:
        lines = source.outcomes(now - window)
        if len(lines) >= count:
            break
    return lines[::-1][:count]
