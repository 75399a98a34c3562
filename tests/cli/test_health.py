"""How a deployed Gluebrake is: what is wrong, and what cannot be known."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gluebrake.settings import environment
from gluebrake_cli import health
from gluebrake_cli.errors import OperatorError
from gluebrake_cli.following import Line
from gluebrake_cli.health import Alarm, Depth, Health, MappingState
from tests.support.builders import SETTINGS

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
QUEUE_URLS = {"stop_queue_url": "s", "confirm_queue_url": "c", "dead_letter_queue_url": "d"}


class _Source:
    """A Gluebrake that is well, but for what a test changes; an exception is what a call ends in."""

    stack = "Gluebrake"

    def __init__(self, **changed: Any) -> None:
        self._told: dict[str, Any] = {
            "depths": [Depth(name="dead letters", messages=0, in_flight=0, delayed=0)],
            "oldest_ages": {"dead letters": 7},
            "alarms": [Alarm("lost", "OK", "letters"), Alarm("new", "INSUFFICIENT_DATA", "")],
            "mappings": [MappingState("stop", "Enabled"), MappingState("confirm", "Enabled")],
            "configuration": {"Environment": {"Variables": environment({**SETTINGS, **QUEUE_URLS})}},
            **changed,
        }
        self.since: list[timedelta] = []

    def _tell(self, name: str) -> Any:
        if isinstance(self._told[name], Exception):
            raise self._told[name]
        return self._told[name]

    def depths(self) -> list[Depth]:
        """Tell the depths."""
        return list(self._tell("depths"))

    def oldest_ages(self, now: datetime) -> Mapping[str, int]:
        """Tell the ages."""
        assert now == NOW
        return dict(self._tell("oldest_ages"))

    def alarms(self) -> list[Alarm]:
        """Tell the alarms."""
        return list(self._tell("alarms"))

    def mappings(self) -> list[MappingState]:
        """Tell the mappings."""
        return list(self._tell("mappings"))

    def configuration(self, function: str) -> Mapping[str, Any]:
        """Tell the configuration."""
        assert function == "stop"
        return dict(self._tell("configuration"))

    def outcomes(self, since: datetime) -> list[Line]:
        """Tell one outcome for each minute."""
        self.since.append(NOW - since)
        minutes = int((NOW - since) / timedelta(minutes=1))
        return [{"outcome": "Stopped", "minutes_ago": ago} for ago in range(minutes, 0, -1)]


def _read(**changed: Any) -> Health:
    return health.read(_Source(**changed), NOW, 2)


def test_a_quiet_gluebrake_is_well() -> None:
    """Empty queues, alarms that are silent and mappings that are enabled are nothing to wake anybody for."""
    found = _read()
    assert (found.wrong, found.unknown) == ([], {})
    assert found.queues[0].oldest_age_seconds == 7
    assert found.config["jobs"] == ("*",)


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({"depths": [Depth(name="dead letters", messages=2, in_flight=1, delayed=0)]}, "dead letters: 3"),
        ({"alarms": [Alarm("lost", "ALARM", "")]}, "alarm: lost"),
        ({"mappings": [MappingState("stop", "Disabled")]}, "the stop function's mapping is Disabled"),
        ({"alarms": OperatorError("denied")}, "alarms: denied"),
    ],
)
def test_what_needs_somebody_is_named(changed: dict[str, Any], wrong: str) -> None:
    """Each thing that is wrong is told in words; not to know is wrong as well, for silence is never success."""
    assert _read(**changed).wrong == [wrong]


@pytest.mark.parametrize("section", ["depths", "oldest_ages", "alarms", "mappings", "configuration"])
def test_what_cannot_be_read_leaves_the_rest(section: str) -> None:
    """Each section fails by itself, an error that nobody foresaw included."""
    found = _read(**{section: ZeroDivisionError("odd")})
    assert list(found.unknown.values()) == ["ZeroDivisionError('odd')"]
    assert sum(map(bool, (found.queues, found.alarms, found.mappings, found.config, found.outcomes))) >= 4


def test_the_newest_outcomes_are_found_in_the_shortest_time_that_has_them() -> None:
    """The time that is searched grows only until there are enough, and the newest come first."""
    source = _Source()
    found = health.read(source, NOW, 2)
    assert [line["minutes_ago"] for line in found.outcomes] == [1, 2]
    assert source.since == [timedelta(minutes=1), timedelta(minutes=15)]


def test_another_versions_config_is_shown_as_it_is() -> None:
    """What this version's settings do not fit is still shown, by the variables' names."""
    found = _read(configuration={"Environment": {"Variables": {"GLUEBRAKE_BRAVERY": "7", "OTHER": "x"}}})
    assert found.config == {"bravery": "7"}
