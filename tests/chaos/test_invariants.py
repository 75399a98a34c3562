"""What is lost or invented is found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import pytest

from tests.support.invariants import Account, broken_promises, ended_too_often

ASKED: Final = json.dumps({"JobName": "etl", "JobRunIds": ["jr_1", "jr_2"]})
UNUSABLE: Final = "{"
REASON: Final[Mapping[str, Any]] = {"ERROR_CODE": {"DataType": "String", "StringValue": "InternalFailure"}}


def _line(run_id: str, outcome: str, **more: Any) -> dict[str, Any]:
    line = {"job_name": "etl", "job_run_id": run_id, "dry_run": False, "will_redeliver": False}
    return {**line, "outcome": outcome, **more}


GOOD: Final = Account(
    bodies=[ASKED, UNUSABLE],
    lines=[_line("jr_1", "StopSubmitted"), _line("jr_1", "Stopped"), _line("jr_2", "Failed")],
    letters=[
        (json.dumps({"JobName": "etl", "JobRunIds": ["jr_2"]}), REASON),
        (UNUSABLE, {"ERROR_CODE": {"StringValue": "InvalidRequest"}}),
    ],
    stop_calls=[{"JobName": "etl", "JobRunIds": ["jr_1", "jr_2"]}],
    max_runs=1000,
    events=[{"jobName": "etl", "jobRunId": "jr_1"}],
    left=0,
)


def test_a_good_account_breaks_no_promise() -> None:
    """Each demand ended, each failure has its letter, and nobody else's run was touched."""
    assert broken_promises(GOOD) + ended_too_often(GOOD) == []


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"lines": GOOD.lines[1:2]}, "lost: ('etl', 'jr_2', False)"),
        ({"lines": [*GOOD.lines[:1], GOOD.lines[2]]}, "lost: ('etl', 'jr_1', False)"),
        (
            {"lines": [_line("jr_1", "Stopped", will_redeliver=True), GOOD.lines[2]]},
            "lost: ('etl', 'jr_1', False)",
        ),
        ({"letters": GOOD.letters[:1]}, "lost: the message {"),
        ({"letters": GOOD.letters[1:]}, "no dead letter: ('etl', 'jr_2', False)"),
        ({"left": 2}, "stuck: 2 messages on the work queues"),
        ({"lines": [*GOOD.lines, _line("jr_3", "Stopped")]}, "invented in the log: ('etl', 'jr_3', False)"),
        ({"lines": [*GOOD.lines, _line("jr_1", "WouldStop", dry_run=True)]}, "invented in the log"),
        ({"letters": [*GOOD.letters, ("[", REASON)]}, "invented as a dead letter: ["),
        ({"events": [{"jobName": "etl", "jobRunId": "jr_3"}]}, "invented as an event: ('etl', 'jr_3')"),
        ({"stop_calls": [{"JobName": "etl", "JobRunIds": ["jr_3"]}]}, "stopped what nobody named"),
        ({"stop_calls": [{"JobName": "etl", "JobRunIds": ["jr_1"] * 2}]}, "not 1 to 25 distinct runs"),
    ],
)
def test_a_broken_promise_is_found(changes: dict[str, Any], found: str) -> None:
    """One thing that is missing, or one too many, is named, and nothing else."""
    (broken,) = broken_promises(replace(GOOD, **changes))
    assert broken.startswith(found)


def test_what_sqs_moved_is_not_lost() -> None:
    """A message that SQS itself moved to the dead-letter queue accounts for its demands."""
    assert broken_promises(replace(GOOD, lines=[], letters=[(ASKED, {}), GOOD.letters[1]])) == []


def test_a_dry_run_among_the_dead_letters_is_found() -> None:
    """A dry run never makes a dead letter."""
    dry = json.dumps({"JobName": "etl", "JobRunIds": ["jr_1"], "DryRun": True})
    lines = [*GOOD.lines, _line("jr_1", "NotFound", dry_run=True)]
    account = replace(GOOD, bodies=[*GOOD.bodies, dry], lines=lines, letters=[*GOOD.letters, (dry, REASON)])
    (broken,) = broken_promises(account)
    assert broken.startswith("a dry run as a dead letter")


def test_an_end_too_many_is_found() -> None:
    """A demand that one message asked for ends once."""
    account = replace(GOOD, lines=[*GOOD.lines, _line("jr_1", "Stopped")])
    assert ended_too_often(account) == ["ended too often: ('etl', 'jr_1', False)"]
