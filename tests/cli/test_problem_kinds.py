"""The lines of the logs show which kinds of problems an alarm has counted."""

from __future__ import annotations

import json

import pytest

from gluebrake_cli import problem_kinds
from tests.infra.emitted import simulate_all_outcomes


def _line(kind: str) -> str:
    return json.dumps({"level": "WARNING", "message": kind})


def test_lines_are_counted_by_alarm_and_kind() -> None:
    """The most frequent kind is the first in words."""
    kinds = problem_kinds.count(map(_line, ("Unconfirmed", "Failed", "NotFound", "Failed")))
    assert kinds == {"RunsNotStopped": {"Failed": 2, "Unconfirmed": 1}, "RequestsRefused": {"NotFound": 1}}
    assert problem_kinds.in_words(kinds["RunsNotStopped"]) == "Failed 2, Unconfirmed 1"


@pytest.mark.parametrize("text", ["", "START RequestId: 1", "[]", "{}", _line("Stopped")])
def test_other_lines_are_no_problems(text: str) -> None:
    """A log also has lines of Lambda, of other versions, and of what an operator logs."""
    assert problem_kinds.count([text]) == {}


def test_the_lines_of_the_functions_are_counted() -> None:
    """What the functions log of a problem is found by its level, and belongs to one of the alarms."""
    lines = [line for line in simulate_all_outcomes(sweeps=True).lines if line["level"] in {"WARNING", "ERROR"}]
    counted = problem_kinds.count(json.dumps(line, default=str) for line in lines)
    assert counted.keys() == {"RunsNotStopped", "RequestsRefused", "Malfunctions"}
    assert sum(sum(kinds.values()) for kinds in counted.values()) == len(lines)
