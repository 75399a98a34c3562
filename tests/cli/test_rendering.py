"""What the operator sees: nothing of other people's texts is a command to the terminal."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from gluebrake_cli import letters, rendering
from gluebrake_cli.following import Followed
from gluebrake_cli.health import Alarm, Depth, Health, MappingState
from gluebrake_cli.letters import DeadLetter

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


def _shown(what: RenderableType) -> str:
    file = io.StringIO()
    Console(file=file, width=300, force_terminal=True, color_system=None).print(what)
    return file.getvalue()


def _letter(**changed: Any) -> DeadLetter:
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


def test_a_letter_is_a_row() -> None:
    """The table says what, why in words, how many runs, how old and after how many attempts."""
    shown = _shown(rendering.letters_table([_letter(), _letter(job_name="", job_run_ids=())], NOW))
    row = next(line for line in shown.splitlines() if "etl" in line)
    assert [cell.strip() for cell in row.strip("│").split("│")] == [
        *("5f2d9a31", "NotAllowed", "the job is outside `jobs`", "etl", "2", "1d 2h", "0")
    ]


def test_reasons_come_with_what_mends_them() -> None:
    """At three in the morning the remedy stands beside the reason, with the counts by job."""
    groups = letters.by_reason([_letter(), _letter(job_name="other"), _letter(job_name="")])
    shown = _shown(rendering.groups_table(groups, NOW))
    for text in ("add it to `jobs` and deploy, then redrive", "etl 1", "other 1", "(names none) 1"):
        assert text in shown


def test_one_letter_is_shown_whole() -> None:
    """Its body, each run and each attribute are there to be copied."""
    attributes = {"trace": {"DataType": "String", "StringValue": "abc"}, "b": {"DataType": "Binary"}}
    shown = _shown(rendering.letter_table(_letter(body="[bold]x[/bold]", attributes=attributes), NOW))
    for text in ("jr_1", "jr_2", "[bold]x[/bold]", "attribute trace", "abc", "(binary)"):
        assert text in shown


@given(st.text())
def test_no_text_is_a_command_to_the_terminal(text: str) -> None:
    """Control characters in what others wrote are replaced before they are shown."""
    shown = _shown(rendering.letter_table(_letter(body=text, error_message=text), NOW))
    assert all(char.isprintable() or char == "\n" for char in shown)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_json_is_ascii_and_says_the_same(text: str) -> None:
    """What a machine reads has nothing that a terminal might take for a command, and nothing is lost."""
    written = rendering.as_json({"body": text})
    assert written.isascii()
    assert all(char.isprintable() or char == "\n" for char in written)
    assert json.loads(written) == {"body": text}


def _run(number: int, **changed: Any) -> Followed:
    return Followed(job_name="etl", job_run_id=f"jr_{number}", **changed)


def test_the_runs_that_are_not_done_come_first() -> None:
    """Of many runs a screenful is shown, and how many there are of each."""
    runs = [*(_run(number, state="STOPPED") for number in range(30)), _run(99, state="STOPPING")]
    shown = _shown(rendering.followed_table(runs, dry_run=False))
    assert "30 of 31 stopped, 11 more not shown" in shown
    assert shown.index("jr_99") < shown.index("jr_0 ")


def test_a_dry_run_says_what_would_be() -> None:
    """Nothing is called stopped that was only asked about."""
    shown = _shown(rendering.followed_table([_run(1, outcome="WouldStop", state="RUNNING")], dry_run=True))
    assert "1 of 1 would stop" in shown


def _health(**changed: Any) -> Health:
    values: dict[str, Any] = {
        "stack": "Gluebrake",
        "queues": [Depth(name="stop", messages=1, in_flight=2, delayed=3)],
        "alarms": [Alarm("lost", "ALARM", "a letter came")],
        "mappings": [MappingState("stop", "Enabled")],
        "config": {"jobs": ("nightly-*",), "stop_queue_url": "https://queue"},
        "outcomes": [
            {"timestamp": (NOW - timedelta(seconds=5)).isoformat(), "outcome": "Stopped", "job_name": "etl"}
        ],
        "unknown": {},
    }
    return Health(**values | changed)


def test_everything_of_note_is_shown() -> None:
    """Queues, alarms, mappings, choices and outcomes stand below each other, what is wrong at the end."""
    shown = _shown(rendering.health(_health(), NOW))
    for text in ("not known", "a letter came", "Enabled", '["nightly-*"]', "Stopped", "! alarm: lost"):
        assert text in shown
    assert "https://queue" not in shown


def test_that_nothing_is_wrong_is_said() -> None:
    """An operator who was woken wants to read it."""
    assert "Nothing is wrong." in _shown(rendering.health(_health(alarms=[]), NOW))


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59, "59s"), (61, "1m 1s"), (7260, "2h 1m"), (90_061, "1d 1h")]
)
def test_ages_are_written_in_two_units(seconds: int, text: str) -> None:
    """An age is as exact as anybody needs it."""
    queue = Depth(name="stop", messages=0, in_flight=0, delayed=0, oldest_age_seconds=seconds)
    assert f" {text} " in _shown(rendering.health(_health(queues=[queue]), NOW))
