"""Tests of the stopwatch that adds up time by step."""

from __future__ import annotations

import pytest

from benchmarks.stopwatch import OTHER, Stopwatch


def test_time_counts_for_the_innermost_step() -> None:
    """A nested step's time does not count for the outer step, and time outside all steps is other time."""
    stopwatch = Stopwatch(iter([0.0, 1.0, 3.0, 7.0, 8.0, 9.0]).__next__)
    count = stopwatch.timed("count", lambda: "counted")
    log = stopwatch.timed("log", lambda: count())  # noqa: PLW0108 - the lambda makes the call a nested one
    assert log() == "counted"
    stopwatch.lap()
    assert stopwatch.seconds == {OTHER: 1.0 + 1.0, "log": 2.0 + 1.0, "count": 4.0}


def test_time_of_a_step_that_raises_counts() -> None:
    """An exception ends a step as a return does."""
    stopwatch = Stopwatch(iter([0.0, 1.0, 3.0, 4.0]).__next__)
    with pytest.raises(ZeroDivisionError):
        stopwatch.timed("log", lambda: 1 / 0)()
    stopwatch.lap()
    assert stopwatch.seconds == {OTHER: 1.0 + 1.0, "log": 2.0}
