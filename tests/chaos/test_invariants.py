"""Tests that the invariants detect what is lost and what is invented."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import pytest

from tests.support.invariants import Evidence, repeated_ends, violations

REQUEST: Final = json.dumps({"JobName": "etl", "JobRunIds": ["jr_1", "jr_2"]})
UNUSABLE: Final = "{"
ERROR_ATTRIBUTES: Final[Mapping[str, Any]] = {
    "ERROR_CODE": {"DataType": "String", "StringValue": "InternalFailure"}
}


def _line(run_id: str, outcome: str, **fields: Any) -> dict[str, Any]:
    line = {"job_name": "etl", "job_run_id": run_id, "dry_run": False, "will_redeliver": False}
    return {**line, "outcome": outcome, **fields}


GOOD: Final = Evidence(
    bodies=[REQUEST, UNUSABLE],
    lines=[_line("jr_1", "StopSubmitted"), _line("jr_1", "Stopped"), _line("jr_2", "Failed")],
    dead_letters=[
        (json.dumps({"JobName": "etl", "JobRunIds": ["jr_2"]}), ERROR_ATTRIBUTES),
        (UNUSABLE, {"ERROR_CODE": {"StringValue": "InvalidRequest"}}),
    ],
    stop_calls=[{"JobName": "etl", "JobRunIds": ["jr_1", "jr_2"]}],
    max_runs=1000,
    events=[{"jobName": "etl", "jobRunId": "jr_1"}],
    undelivered=0,
)


def test_good_evidence_has_no_violation() -> None:
    """Each target ended, each failure has its dead letter, and no other run was stopped."""
    assert violations(GOOD) + repeated_ends(GOOD) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"lines": GOOD.lines[1:2]}, "lost: ('etl', 'jr_2', False)"),
        ({"lines": [*GOOD.lines[:1], GOOD.lines[2]]}, "lost: ('etl', 'jr_1', False)"),
        (
            {"lines": [_line("jr_1", "Stopped", will_redeliver=True), GOOD.lines[2]]},
            "lost: ('etl', 'jr_1', False)",
        ),
        ({"dead_letters": GOOD.dead_letters[:1]}, "lost: the message {"),
        ({"dead_letters": GOOD.dead_letters[1:]}, "no dead letter: ('etl', 'jr_2', False)"),
        ({"undelivered": 2}, "stuck: 2 messages on the work queues"),
        ({"lines": [*GOOD.lines, _line("jr_3", "Stopped")]}, "invented in the log: ('etl', 'jr_3', False)"),
        ({"lines": [*GOOD.lines, _line("jr_1", "WouldStop", dry_run=True)]}, "invented in the log"),
        ({"dead_letters": [*GOOD.dead_letters, ("[", ERROR_ATTRIBUTES)]}, "invented as a dead letter: ["),
        ({"events": [{"jobName": "etl", "jobRunId": "jr_3"}]}, "invented as an event: ('etl', 'jr_3')"),
        ({"stop_calls": [{"JobName": "etl", "JobRunIds": ["jr_3"]}]}, "stopped a run that no message names"),
        ({"stop_calls": [{"JobName": "etl", "JobRunIds": ["jr_1"] * 2}]}, "not 1 to 25 distinct runs"),
    ],
)
def test_violation_is_detected(changes: dict[str, Any], expected: str) -> None:
    """One missing or additional element is one violation, which names the element."""
    (violation,) = violations(replace(GOOD, **changes))
    assert violation.startswith(expected)


def test_message_that_sqs_moved_is_not_lost() -> None:
    """The targets of a message that SQS moved to the dead-letter queue need no outcome."""
    assert violations(replace(GOOD, lines=[], dead_letters=[(REQUEST, {}), GOOD.dead_letters[1]])) == []


def test_dead_letter_of_a_dry_run_is_detected() -> None:
    """A dry run never makes a dead letter."""
    dry = json.dumps({"JobName": "etl", "JobRunIds": ["jr_1"], "DryRun": True})
    lines = [*GOOD.lines, _line("jr_1", "NotFound", dry_run=True)]
    dead_letters = [*GOOD.dead_letters, (dry, ERROR_ATTRIBUTES)]
    evidence = replace(GOOD, bodies=[*GOOD.bodies, dry], lines=lines, dead_letters=dead_letters)
    (violation,) = violations(evidence)
    assert violation.startswith("a dry run as a dead letter")


def test_repeated_end_is_detected() -> None:
    """A target that one message names has one final outcome."""
    evidence = replace(GOOD, lines=[*GOOD.lines, _line("jr_1", "Stopped")])
    assert repeated_ends(evidence) == ["ended too often: ('etl', 'jr_1', False)"]
