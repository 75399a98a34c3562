"""The screen of `gluebrake status`: the verdict first, and no more than what an operator needs."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from rich.console import Console

from gluebrake_cli import requesters
from gluebrake_cli.health import ENABLE_MAPPING, Alarm, Health, MappingState, QueueDepth
from gluebrake_cli.status_screen import status_screen

NOW: Final = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
ARN: Final = (
    "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Operator_0123456789abcdef/jane.doe@example.com"
)
SENDER: Final = "AROAEXAMPLEEXAMPLEEX:jane.doe@example.com"
MEANING: Final = "Glue was asked to stop runs, but CONFIRM does not check whether they have stopped."


def _run_id(number: int) -> str:
    return f"jr_{number:064}"


def _line(number: int = 1, **changed: Any) -> dict[str, Any]:
    timestamp = (NOW - timedelta(minutes=number)).isoformat()
    line = {"timestamp": timestamp, "outcome": "Stopped", "job_name": "etl", "job_run_id": _run_id(number)}
    return line | changed


def _health(**changed: Any) -> Health:
    values: dict[str, Any] = {
        "account": "123456789012",
        "region": "eu-west-1",
        "stack": "Gluebrake",
        "queues": [
            QueueDepth(name=name, messages=0, in_flight=0, delayed=0)
            for name in ("stop", "confirm", "dead letters")
        ],
        "alarms": [Alarm(f"Gluebrake-{n}", "OK", MEANING, "ConfirmQueueStalls") for n in range(13)],
        "mappings": [MappingState("stop", "Enabled", "1"), MappingState("confirm", "Enabled", "2")],
        "config": {
            "jobs": ("*",),
            "protected_jobs": (),
            "protect_tag": "gluebrake:protect",
            "stop_queue_url": "",
        },
        "outcomes": [],
        "unknown": {},
    }
    return Health(**values | changed)


def _shown(health: Health, width: int = 300, *, terminal: bool = True) -> list[str]:
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=terminal, color_system=None)
    console.print(status_screen(health, NOW), crop=False)
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_the_first_line_is_the_verdict() -> None:
    """The operator need not conclude it from tables. It names stack, account and Region."""
    assert _shown(_health())[0] == "Gluebrake in eu-west-1 (account 123456789012): all is well"
    broken = _health(unknown={"alarms": "denied"}, mappings=[MappingState("stop", "Disabled", "1")])
    assert _shown(broken)[0] == "Gluebrake in eu-west-1 (account 123456789012): 2 problems"


def test_what_is_right_is_counted() -> None:
    """Each section of a healthy stack is one line, without the texts of alarms that are not in ALARM."""
    assert _shown(_health()) == [
        "Gluebrake in eu-west-1 (account 123456789012): all is well",
        "",
        "queues    stop 0, confirm 0, dead letters 0",
        "alarms    13, none in ALARM",
        "mappings  2, all enabled",
        "config    jobs *; protectedJobs none; protectTag gluebrake:protect; more: --json",
        "outcomes  none in the last day",
    ]


@pytest.mark.parametrize("width", [80, 120, 200])
def test_a_healthy_stack_fits_on_a_screen(width: int) -> None:
    """Five outcomes with long texts leave the screen below 30 lines, and every run id is whole."""
    usage = {"DpuHoursConsumed": 3.2, "EstimatedCostUsd": 1.41}
    outcomes = [_line(n, requested_by=ARN, sender=SENDER, reason="over budget", **usage) for n in range(1, 6)]
    shown = _shown(_health(outcomes=outcomes), width)
    assert len(shown) <= 30
    assert {_run_id(n) for n in range(1, 6)} <= {word for line in shown for word in line.split()}


def test_an_outcome_is_a_plain_line_if_the_output_is_no_terminal() -> None:
    """`grep` with a run id shows the outcome of the run, and who requested it."""
    line = _line(requested_by=ARN, sender=SENDER, reason="over budget")
    (found,) = [line for line in _shown(_health(outcomes=[line]), 80, terminal=False) if _run_id(1) in line]
    assert found.split()[1:4] == ["1m", "Stopped", "etl"]
    assert found.endswith(f"sender (by SQS): {SENDER}; reason: over budget; requested by (a claim): {ARN}")


def test_a_refused_message_has_its_error() -> None:
    """It has no run. Its error is one line."""
    refused = {**_line(3, outcome="InvalidRequest", error_message="why\nnot"), "message_ids": ["m"]}
    del refused["job_run_id"]
    assert "error: why not" in "\n".join(_shown(_health(outcomes=[_line(), refused])))


@pytest.mark.parametrize(
    ("line", "labelled"),
    [
        (
            {"requested_by": "ops", "via": "event 1 of x in account 1", "sender": "AIDA"},
            {"sender (by SQS)": "AIDA", "via": "event 1 of x in account 1", "requested by (a claim)": "ops"},
        ),
        ({"requested_by": "", "sender": "AROA:producer"}, {"sender (by SQS)": "AROA:producer"}),
        ({"requested_by": "", "sender": "invocation"}, {"sender": "invocation"}),
        ({}, {}),
    ],
)
def test_a_claim_is_not_shown_as_a_fact(line: dict[str, str], labelled: dict[str, str]) -> None:
    """Anyone who may send can claim a name. The sender is the one that SQS reports, if a queue has seen it."""
    assert requesters.labelled(line) == labelled


def test_only_what_is_wrong_is_explained() -> None:
    """Each problem has its remedy. An alarm has the name that docs/operations.md gives it."""
    stalls = Alarm(
        "Gluebrake-ObservabilityConfirmQueueStallsFD0B2675-1", "ALARM", MEANING, "ConfirmQueueStalls"
    )
    shown = _shown(
        _health(
            queues=[QueueDepth(name="dead letters", messages=2, in_flight=0, delayed=0, oldest_age_seconds=61)],
            alarms=[stalls, Alarm("Gluebrake-2", "OK", "not shown", "StopQueueStalls")],
            mappings=[MappingState("stop", "Disabled", "1")],
            unknown={"config": "denied"},
        )
    )
    assert shown[:15] == [
        "Gluebrake in eu-west-1 (account 123456789012): 4 problems",
        "",
        "! 2 dead letters: requests that could not be carried out",
        "  `gluebrake dead-letters --by-reason` shows why, and what to do.",
        "",
        "! the alarm ConfirmQueueStalls is in ALARM",
        f"  {MEANING}",
        "",
        "! the stop function's mapping is Disabled",
        f"  {ENABLE_MAPPING}",
        "",
        "! config: denied",
        "",
        "queues    dead letters 2 (oldest 1m 1s)",
        "alarms    2, 1 in ALARM",
    ]
    assert shown[15:17] == ["mappings  1, none enabled", "config    not known"]


def test_messages_are_counted_with_what_they_wait_for() -> None:
    """A delayed message is a retry or a poll to come, and no problem."""
    queue = QueueDepth(name="stop", messages=1, in_flight=2, delayed=3)
    assert "queues    stop 6 (2 in flight, 3 delayed)" in _shown(_health(queues=[queue]))


def test_long_lists_of_jobs_are_shortened() -> None:
    """The whole configuration is in the JSON."""
    (line,) = [line for line in _shown(_health(config={"jobs": [f"j{n}" for n in range(8)]})) if "jobs" in line]
    assert line == "config    jobs j0, j1, j2, j3, j4, and 3 more; more: --json"


def test_a_deployment_that_observes_has_a_sentence() -> None:
    """The first thing that an operator must know of such a stack is that it stops nothing."""
    sentence = "It observes: it stops nothing (observe: true)."
    assert _shown(_health(config={"observe": True}))[1] == sentence
    assert sentence not in _shown(_health(config={"observe": False}))


def test_no_control_character_is_shown() -> None:
    """A terminal would obey control characters in other people's texts."""
    line = _line(reason="\x1b[2J", requested_by="\x9b", error_message="a\rb")
    shown = _shown(_health(outcomes=[line], unknown={"alarms": "\x1b"}))
    assert all(char.isprintable() for text in shown for char in text)
