"""Numbers, durations and dollars are written for people."""

from __future__ import annotations

import pytest

from gluebrake.decisions.readable import at_most, count, dollars, duration, number

pytestmark = pytest.mark.disable_socket


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.000087, "less than 0.01"),
        (0.01, "0.01"),
        (0.0312, "0.031"),
        (3.2, "3.2"),
        (9.96, "10"),
        (12.4, "12"),
        (1234.5, "1,234"),
    ],
)
def test_number_has_two_significant_digits(value: float, text: str) -> None:
    """Numbers from 10 on are whole. A very small number has no exponent, and is not shown as zero."""
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "at most 0"), (0.000087, "less than 0.01"), (3.2, "at most 3.2")]
)
def test_upper_bound_says_that_it_is_one(value: float, text: str) -> None:
    """A very small number has one bound only."""
    assert at_most(value) == text


@pytest.mark.parametrize(
    ("usd", "text"),
    [(0, "$0.00"), (0.004, "less than $0.01"), (1.408, "$1.41"), (999.5, "$999.50"), (21_120.4, "$21,120")],
)
def test_dollars_have_cents_where_they_matter(usd: float, text: str) -> None:
    """Less than a cent is not shown as zero."""
    assert dollars(usd) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (41.6, "42 s"),
        (59.7, "1 min"),
        (125, "2 min 5 s"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (86_400, "1 d"),
        (100_000, "1 d 3 h"),
    ],
)
def test_duration_has_its_two_largest_units(seconds: float, text: str) -> None:
    """A unit of zero is left out."""
    assert duration(seconds) == text


@pytest.mark.parametrize(("number_of", "text"), [(0, "0 runs"), (1, "1 run"), (2000, "2,000 runs")])
def test_noun_agrees_with_its_count(number_of: int, text: str) -> None:
    """Only one is singular."""
    assert count(number_of, "run") == text
