"""The tables show everything, and no control character of other people's texts."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from gluebrake.model import AwsEnvironment
from gluebrake_cli import tables
from gluebrake_cli.dead_letters import DeadLetter, group_by_reason
from gluebrake_cli.health import Alarm, Health, MappingState, QueueDepth
from gluebrake_cli.runs import RunStatus

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
ENVIRONMENT = AwsEnvironment("123456789012", "eu-west-1")


def _shown(value: RenderableType) -> str:
    file = io.StringIO()
    Console(file=file, width=300, force_terminal=True, color_system=None).print(value)
    return file.getvalue()


def _dead_letter(**changed: Any) -> DeadLetter:
    values: dict[str, Any] = {
        "message_id": "5f2d9a31-0000",
        "reason": "NotAllowed",
        "error_message": "the job matches none of jobs",
        "job_name": "etl",
        "job_run_ids": ("jr_1", "jr_2"),
        "sent_at": NOW - timedelta(hours=26),
        "attempts": 0,
        "body": "{}",
        "attributes": {},
    }
    return DeadLetter(**values | changed)


def test_a_dead_letter_is_a_row() -> None:
    """The row has the id, the reason and its meaning, the job, the runs, the age and the attempts."""
    shown = _shown(tables.dead_letters_table([_dead_letter(), _dead_letter(job_name="", job_run_ids=())], NOW))
    row = next(line for line in shown.splitlines() if "etl" in line)
    assert [cell.strip() for cell in row.strip("│").split("│")] == [
        *("5f2d9a31", "NotAllowed", "The job matches none of the patterns in `jobs`.", "etl", "2", "1d 2h", "0")
    ]


def test_reasons_have_their_remedy() -> None:
    """Each reason has its remedy and its counts by job."""
    groups = group_by_reason([_dead_letter(), _dead_letter(job_name="other"), _dead_letter(job_name="")])
    shown = _shown(tables.groups_table(groups, NOW))
    for text in (
        "Add the job to `jobs` and deploy, if it may be stopped. Redrive it",
        "etl 1",
        "other 1",
        "(names none) 1",
    ):
        assert text in shown


def test_a_dead_letter_is_shown_whole() -> None:
    """The body, each run and each attribute can be copied."""
    attributes = {"trace": {"DataType": "String", "StringValue": "abc"}, "b": {"DataType": "Binary"}}
    shown = _shown(tables.dead_letter_table(_dead_letter(body="[bold]x[/bold]", attributes=attributes), NOW))
    for text in ("jr_1", "jr_2", "[bold]x[/bold]", "attribute trace", "abc", "(binary)"):
        assert text in shown


def test_a_dead_letter_shows_what_carried_its_request() -> None:
    """The row exists only for a request that an event, a notification or an alarm action carried."""
    shown = _shown(tables.dead_letter_table(_dead_letter(via="event 1 of aws.glue in account 1"), NOW))
    assert [cell.strip() for cell in _row(shown, "via").strip("│").split("│")] == [
        *("via", "event 1 of aws.glue in account 1")
    ]
    assert "via" not in _shown(tables.dead_letter_table(_dead_letter(), NOW))


def _row(shown: str, first: str) -> str:
    return next(line for line in shown.splitlines() if line.strip("│ ").startswith(first))


@given(st.text())
def test_no_control_character_is_shown(text: str) -> None:
    """A terminal would obey control characters in other people's texts."""
    shown = _shown(tables.dead_letter_table(_dead_letter(body=text, error_message=text), NOW))
    assert all(char.isprintable() or char == "\n" for char in shown)


def _run(number: int, **changed: Any) -> RunStatus:
    return RunStatus(job_name="etl", job_run_id=f"jr_{number}", **changed)


def test_runs_that_may_be_running_are_first() -> None:
    """Of many runs a screenful is shown: first the active ones, then those that ended by themselves."""
    runs = [
        *(_run(number, state="STOPPED") for number in range(30)),
        _run(97, state="SUCCEEDED"),
        _run(98, outcome="AlreadyFinished"),
        _run(99, state="STOPPING"),
    ]
    shown = _shown(tables.runs_table(runs, ENVIRONMENT, dry_run=False))
    place = "in eu-west-1 (account 123456789012)"
    assert f"30 of 33 stopped, 2 ended by themselves {place}, 13 more not shown" in shown
    assert shown.index("jr_99") < shown.index("jr_97") < shown.index("jr_98") < shown.index("jr_0 ")


def test_a_dry_run_shows_what_would_stop() -> None:
    """A dry run does not call a run stopped, also not one that is over."""
    runs = [_run(1, outcome="WouldStop", state="RUNNING"), _run(2, outcome="AlreadyFinished", state="STOPPED")]
    shown = _shown(tables.runs_table(runs, ENVIRONMENT, dry_run=True))
    assert "1 of 2 would stop, 1 ended before in eu-west-1" in shown


def test_runs_of_several_jobs_have_their_jobs() -> None:
    """Runs of one job have no column for its name, because their ids need the place."""
    of_other = RunStatus(job_name="other", job_run_id="jr_1", state="STOPPED")
    assert "other" in _shown(tables.runs_table([_run(1), of_other], ENVIRONMENT, dry_run=False))
    assert "other" not in _shown(tables.runs_table([of_other], ENVIRONMENT, dry_run=False))


def _health(**changed: Any) -> Health:
    values: dict[str, Any] = {
        "account": "123456789012",
        "region": "eu-west-1",
        "stack": "Gluebrake",
        "queues": [QueueDepth(name="stop", messages=1, in_flight=2, delayed=3)],
        "alarms": [Alarm("lost", "ALARM", "a dead letter")],
        "mappings": [MappingState("stop", "Enabled", "1")],
        "config": {"jobs": ("nightly-*",), "stop_queue_url": "https://queue"},
        "outcomes": [
            {"timestamp": (NOW - timedelta(seconds=5)).isoformat(), "outcome": "Stopped", "job_name": "etl"}
        ],
        "unknown": {},
    }
    return Health(**values | changed)


def test_each_section_is_shown() -> None:
    """Queues, alarms, mappings, configuration and outcomes are shown, and at the end what is wrong."""
    shown = _shown(tables.health_tables(_health(), NOW))
    assert shown.startswith("Gluebrake in eu-west-1 (account 123456789012)")
    for text in ("not known", "a dead letter", "Enabled", '["nightly-*"]', "Stopped", "! alarm: lost"):
        assert text in shown
    assert "https://queue" not in shown


@pytest.mark.parametrize(
    ("line", "requester"),
    [
        ({"requested_by": "ops", "via": "event 1 of x in account 1", "sender": "AIDA"}, "ops"),
        (
            {"requested_by": "", "via": "event 1 of x in account 1", "sender": "AIDA"},
            "event 1 of x in account 1",
        ),
        ({"requested_by": "", "sender": "AROA:producer"}, "AROA:producer"),
        ({}, ""),
    ],
)
def test_an_outcome_names_who_or_what_requested_it(line: dict[str, str], requester: str) -> None:
    """What carried a request comes before the sender, which for AWS's services is an id that no one knows."""
    assert tables.requester(line) == requester
    outcome = {"timestamp": NOW.isoformat(), "outcome": "Stopped", "job_name": "etl", **line}
    assert requester in _shown(tables.health_tables(_health(outcomes=[outcome]), NOW))


def test_a_deployment_that_observes_has_a_sentence() -> None:
    """The first thing that an operator must know of such a stack is that it stops nothing."""
    sentence = "It observes: it stops nothing (observe: true)."
    shown = _shown(tables.health_tables(_health(config={"observe": True}), NOW))
    assert shown.splitlines()[1].strip() == sentence
    assert sentence not in _shown(tables.health_tables(_health(config={"observe": False}), NOW))


def test_a_healthy_deployment_has_a_sentence() -> None:
    """The operator need not conclude it from the tables."""
    assert "Nothing is wrong." in _shown(tables.health_tables(_health(alarms=[]), NOW))


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59, "59s"), (61, "1m 1s"), (7260, "2h 1m"), (90_061, "1d 1h")]
)
def test_ages_are_written_in_two_units(seconds: int, text: str) -> None:
    """The largest unit and the next are exact enough."""
    queue = QueueDepth(name="stop", messages=0, in_flight=0, delayed=0, oldest_age_seconds=seconds)
    assert f" {text} " in _shown(tables.health_tables(_health(queues=[queue]), NOW))
