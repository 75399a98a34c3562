"""The health of a deployment: what is wrong, and what is unknown."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gluebrake.model import AwsEnvironment
from gluebrake.settings import environment
from gluebrake_cli import health
from gluebrake_cli.errors import OperatorError
from gluebrake_cli.health import Alarm, Health, MappingState, QueueDepth
from gluebrake_cli.runs import LogLine
from tests.support.builders import SETTINGS

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
QUEUE_URLS = {"stop_queue_url": "s", "confirm_queue_url": "c", "dead_letter_queue_url": "d"}


def _line(minutes_ago: int, **changed: Any) -> LogLine:
    line = {"outcome": "Stopped", "job_name": "etl", "job_run_id": f"jr_{minutes_ago}"}
    return {**line, "minutes_ago": minutes_ago, **changed}


class _Source:
    """A healthy deployment with the changes of a test. An exception is raised."""

    stack = "Gluebrake"
    aws_environment = AwsEnvironment("123456789012", "eu-west-1")

    def __init__(self, **changed: Any) -> None:
        self._sections: dict[str, Any] = {
            "depths": [QueueDepth(name="dead letters", messages=0, in_flight=0, delayed=0)],
            "oldest_ages": {"dead letters": 7},
            "alarms": [Alarm("lost", "OK", "dead letters"), Alarm("new", "INSUFFICIENT_DATA", "")],
            "mappings": [MappingState("stop", "Enabled", "1"), MappingState("confirm", "Enabled", "2")],
            "configuration": {"Environment": {"Variables": environment({**SETTINGS, **QUEUE_URLS})}},
            **changed,
        }
        self.searched: list[tuple[timedelta, timedelta | None]] = []

    def _read(self, name: str) -> Any:
        if isinstance(self._sections[name], Exception):
            raise self._sections[name]
        return self._sections[name]

    def depths(self) -> list[QueueDepth]:
        """Return the depths."""
        return list(self._read("depths"))

    def oldest_ages(self, now: datetime) -> Mapping[str, int]:
        """Return the ages."""
        assert now == NOW
        return dict(self._read("oldest_ages"))

    def alarms(self) -> list[Alarm]:
        """Return the alarms."""
        return list(self._read("alarms"))

    def problem_messages(self, since: datetime) -> list[str]:
        """Return the lines about problems, of the last hour."""
        assert since == NOW - timedelta(hours=1)
        return list(self._read("problem_messages"))

    def mappings(self) -> list[MappingState]:
        """Return the mappings."""
        return list(self._read("mappings"))

    def configuration(self, function: str) -> Mapping[str, Any]:
        """Return the configuration."""
        assert function == "stop"
        return dict(self._read("configuration"))

    def outcomes(self, since: datetime, until: datetime | None) -> list[LogLine]:
        """Return one outcome for each minute."""
        self.searched.append((NOW - since, None if until is None else NOW - until))
        first, last = (int((NOW - moment) / timedelta(minutes=1)) for moment in (since, until or NOW))
        return [_line(ago) for ago in range(first, last, -1)]


def _read(**changed: Any) -> Health:
    return health.read(_Source(**changed), NOW, 2)


def test_a_healthy_deployment_has_no_problems() -> None:
    """Empty queues, alarms that are not in ALARM and enabled mappings are no problem."""
    report = _read()
    assert (report.problems, report.unknown) == ([], {})
    assert report.queues[0].oldest_age_seconds == 7
    assert report.config["jobs"] == ("*",)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        (
            {"depths": [QueueDepth(name="dead letters", messages=2, in_flight=1, delayed=0)]},
            "3 dead letters: requests that could not be carried out",
        ),
        ({"alarms": [Alarm("lost", "ALARM", "")]}, "the alarm lost is in ALARM"),
        ({"alarms": [Alarm("x-1", "ALARM", "", "Lost")]}, "the alarm Lost is in ALARM"),
        ({"mappings": [MappingState("stop", "Disabled", "1")]}, "the stop function's mapping is Disabled"),
        ({"alarms": OperatorError("denied")}, "alarms: denied"),
    ],
)
def test_each_problem_is_named(changed: dict[str, Any], problem: str) -> None:
    """A section that cannot be read is a problem as well: an unknown state is not a healthy one."""
    report = _read(**changed)
    assert [found.text for found in report.problems] == report.as_json()["wrong"] == [problem]


@pytest.mark.parametrize("section", ["depths", "oldest_ages", "alarms", "mappings", "configuration"])
def test_an_error_of_one_section_leaves_the_rest(section: str) -> None:
    """Each section fails by itself, with an unexpected error too."""
    report = _read(**{section: ZeroDivisionError("odd")})
    assert list(report.unknown.values()) == ["ZeroDivisionError('odd')"]
    assert sum(map(bool, (report.queues, report.alarms, report.mappings, report.config, report.outcomes))) >= 4


def test_an_alarm_that_counts_kinds_names_them() -> None:
    """The kinds are read only if such an alarm is in ALARM. Other alarms have none."""
    lines = ['{"message": "Failed"}', '{"message": "Failed"}', '{"message": "NotFound"}']
    alarms = [Alarm("x-1", "ALARM", "", "RunsNotStopped"), Alarm("x-2", "ALARM", "", "FunctionErrors")]
    report = _read(alarms=alarms, problem_messages=lines)
    assert report.as_json()["wrong"] == [
        "the alarm RunsNotStopped is in ALARM; the log of the last hour has Failed 2",
        "the alarm FunctionErrors is in ALARM",
    ]
    unread = _read(alarms=alarms[:1], problem_messages=OperatorError("denied"))
    assert unread.as_json()["wrong"] == ["the alarm RunsNotStopped is in ALARM", "kinds of problems: denied"]


def test_outcomes_are_searched_from_the_newest() -> None:
    """Windows follow each other backwards until they hold enough outcomes, and the newest is first."""
    source = _Source()
    report = health.read(source, NOW, 2)
    assert [line["minutes_ago"] for line in report.outcomes] == [1, 2]
    # The first window has no end: AWS's clock may be ahead of this one.
    minute = timedelta(minutes=1)
    assert source.searched == [(minute, None), (15 * minute, minute)]


def test_each_run_counts_once() -> None:
    """A submission and a poll say nothing more once the run is STOPPED. They take no place of another run."""
    refused = {"outcome": "InvalidRequest", "job_name": "", "message_ids": ["m"]}
    submitted = _line(4, outcome="StopSubmitted", job_run_id="jr_1")
    lines = [_line(1), submitted, refused, refused | {"message_ids": ["n"]}, _line(5)]
    assert [line["outcome"] for line in health.latest(lines)] == ["Stopped", *["InvalidRequest"] * 2, "Stopped"]


def test_as_many_outcomes_are_read_as_exist() -> None:
    """The search goes on until enough runs are found, however many lines each of them has."""

    class _Polled(_Source):
        def outcomes(self, since: datetime, until: datetime | None) -> list[LogLine]:
            lines = super().outcomes(since, until)
            return [line for line in lines for _ in range(10)]

    assert [line["minutes_ago"] for line in health.read(_Polled(), NOW, 5).outcomes] == [1, 2, 3, 4, 5]


def test_a_complete_sweep_is_no_outcome_of_a_run() -> None:
    """Its line names no run, job or policy. A sweep of a policy that is not deployed has an error."""
    swept = {"outcome": "Swept", "job_name": "", "error_message": "", "message_ids": ["m"]}
    incomplete = {**swept, "error_message": "not deployed: old", "message_ids": ["n"]}
    assert [*health.latest([swept, incomplete])] == [incomplete]


def test_the_account_and_the_region_are_shown() -> None:
    """Whose health it is, is part of the report."""
    assert (_read().account, _read().region) == ("123456789012", "eu-west-1")


def test_another_versions_config_is_shown_as_it_is() -> None:
    """Variables that this version does not know are shown by their names."""
    report = _read(configuration={"Environment": {"Variables": {"GLUEBRAKE_BRAVERY": "7", "OTHER": "x"}}})
    assert report.config == {"bravery": "7"}
