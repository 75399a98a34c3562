"""The tables show every value, and remove control characters from untrusted texts."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from gluebrake_cli import tables
from gluebrake_cli.dead_letters import DeadLetter, group_by_reason

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


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
    """The row has the id, the reason, the job, the runs, the age, the attempts, and what was wrong."""
    shown = _shown(tables.dead_letters_table([_dead_letter(), _dead_letter(job_name="", job_run_ids=())], NOW))
    row = next(line for line in shown.splitlines() if "etl" in line)
    assert [cell.strip() for cell in row.split("  ") if cell] == [
        *("5f2d9a31", "NotAllowed", "etl", "2", "1d 2h", "0", "the job matches none of jobs")
    ]


def test_a_dead_letter_is_legible_on_80_columns() -> None:
    """The error message has lines of its own, and no word of it is lost."""
    error = "JobRunIds[0]: Expected `str` of length <= 255, which is the longest id that Glue gives to a run"
    long = _dead_letter(reason="JobRunCannotBeStoppedException", error_message=error, job_name="nightly-load")
    file = io.StringIO()
    Console(file=file, width=80, force_terminal=True, color_system=None).print(
        tables.dead_letters_table([long], NOW)
    )
    lines = [line.rstrip() for line in file.getvalue().splitlines()]
    assert max(map(len, lines)) <= 80
    assert lines[2:4] == ["5f2d9a31", "  JobRunCannotBeStoppedException  nightly-load  2     1d 2h  0"]
    assert " ".join(" ".join(lines[4:]).split()) == error


def test_a_dead_letter_without_an_error_message_has_the_meaning() -> None:
    """SNS and producers give none."""
    shown = _shown(tables.dead_letters_table([_dead_letter(error_message="")], NOW))
    assert "The job matches none of the patterns in `jobs`." in shown


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


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59, "59s"), (61, "1m 1s"), (7260, "2h 1m"), (90_061, "1d 1h")]
)
def test_ages_are_written_in_two_units(seconds: int, text: str) -> None:
    """The largest unit and the next are exact enough."""
    assert tables.duration(timedelta(seconds=seconds)) == text
