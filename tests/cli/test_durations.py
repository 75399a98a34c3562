"""Durations on the command line: one form for every option."""

from __future__ import annotations

import pytest
import typer

from gluebrake_cli import durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("2400", 2400),
        ("0.2", 0.2),
        ("2.0", 2),
        ("90s", 90),
        ("40m", 2400),
        ("2h", 7200),
        ("1h30m", 5400),
        ("1d2h3m4s", 93784),
    ],
)
def test_a_plain_number_counts_in_the_unit_of_the_option(text: str, seconds: float) -> None:
    """A number has no unit for historical reasons. Every other duration names its units."""
    assert durations.seconds(text) == seconds
    if text.isdecimal():
        assert durations.minutes(text) == seconds
    elif seconds % 60 == 0 and "." not in text:
        assert durations.minutes(text) * 60 == seconds


@pytest.mark.parametrize(
    "text", ["", "h", "-1", "2 h", "2H", "30m1h", "1h30", "2w", "1e3", "\N{FULLWIDTH DIGIT ONE}"]
)
def test_another_text_is_refused(text: str) -> None:
    """The error says what is allowed."""
    with pytest.raises(typer.BadParameter, match="must be a number of seconds, or such as 90s, 40m or 1h30m"):
        durations.seconds(text)
    with pytest.raises(
        typer.BadParameter, match="must be a number of minutes, or such as 90m, 2h, 1h30m or 1d"
    ):
        durations.minutes(text)


@pytest.mark.parametrize("text", ["90s", "1.5", "1m1s"])
def test_minutes_are_whole(text: str) -> None:
    """A stop request counts in whole minutes, and a rounded age would mean other runs."""
    with pytest.raises(typer.BadParameter, match="must be a number of minutes"):
        durations.minutes(text)
