"""Tests that the invariants detect what is lost and what is invented."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from tests.support.invariants import Evidence, repeated_ends, violations
from tests.support.selections import RunFacts, SentSelection

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


HOUR: Final = timedelta(hours=1)
NOON: Final = datetime(2026, 11, 24, 12, tzinfo=UTC)
SELECTION: Final = json.dumps({"JobName": "nightly", "Select": {}})
DATED: Final = json.dumps({"JobName": "nightly", "Select": {"StartedBefore": NOON.isoformat()}})
NARROWER: Final = DATED.replace('"StartedBefore"', '"Except": ["jr_1"], "StartedBefore"')
SELECTED: Final = replace(
    GOOD,
    bodies=[*GOOD.bodies, SELECTION],
    selections=[SentSelection(job_name="nightly", started_before=NOON)],
    runs={("nightly", "old"): RunFacts(NOON - timedelta(seconds=1)), ("nightly", "young"): RunFacts(NOON)},
    lines=[*GOOD.lines, _line("old", "Stopped", job_name="nightly")],
    events=[*GOOD.events, {"jobName": "nightly", "jobRunId": "old"}],
    stop_calls=[*GOOD.stop_calls, {"JobName": "nightly", "JobRunIds": ["old"]}],
    active=[("nightly", "young")],
)


def _failed_selection(outcome: str = "Failed") -> dict[str, Any]:
    line = {"job_name": "nightly", "outcome": outcome, "error_message": "Select: matches 9 runs"}
    return {**line, "dry_run": False, "will_redeliver": False}


def test_selected_run_is_no_violation() -> None:
    """A run that started before the selection was sent may be stopped, and has an end."""
    assert violations(SELECTED) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"lines": GOOD.lines}, "submitted without an end: ('nightly', 'old', False)"),
        (
            {"lines": [*GOOD.lines, _line("old", "StopSubmitted", job_name="nightly")]},
            "submitted without an end: ('nightly', 'old', False)",
        ),
        (
            {"stop_calls": [*GOOD.stop_calls, {"JobName": "nightly", "JobRunIds": ["young"]}]},
            "stopped a run that no message names",
        ),
        (
            {"lines": [*SELECTED.lines, _line("young", "Stopped", job_name="nightly")]},
            "invented in the log: ('nightly', 'young', False)",
        ),
        (
            {"lines": [*SELECTED.lines, _line("old", "WouldStop", job_name="nightly", dry_run=True)]},
            "invented in the log: ('nightly', 'old', True)",
        ),
        (
            {"events": [{"jobName": "nightly", "jobRunId": "young"}]},
            "invented as an event: ('nightly', 'young')",
        ),
        (
            {"active": [("nightly", "old")], "lines": GOOD.lines, "stop_calls": GOOD.stop_calls},
            "selected and not stopped: ('nightly', 'old')",
        ),
        ({"lines": [*SELECTED.lines, _failed_selection()]}, "no dead letter of a selection: nightly"),
        (
            {"lines": [*SELECTED.lines, _failed_selection("TooManyRuns")]},
            "no dead letter of a selection: nightly",
        ),
        (
            {"dead_letters": [*GOOD.dead_letters, (DATED.replace("nightly", "etl"), ERROR_ATTRIBUTES)]},
            "invented as a dead letter",
        ),
        (
            {"dead_letters": [*GOOD.dead_letters, (DATED.replace("12:00", "13:00"), ERROR_ATTRIBUTES)]},
            "invented as a dead letter",
        ),
        (
            {"dead_letters": [*GOOD.dead_letters, (SELECTION, ERROR_ATTRIBUTES)]},
            "invented as a dead letter",
        ),
        (
            {"dead_letters": [*GOOD.dead_letters, (NARROWER, ERROR_ATTRIBUTES)]},
            "invented as a dead letter",
        ),
    ],
)
def test_violation_of_a_selection_is_detected(changes: dict[str, Any], expected: str) -> None:
    """A run without an end, a younger run, or a selection without its dead letter is one violation."""
    (violation,) = violations(replace(SELECTED, **changes))
    assert violation.startswith(expected)


@pytest.mark.parametrize(("body", "attributes"), [(SELECTION, {}), (DATED, {}), (DATED, ERROR_ATTRIBUTES)])
def test_dead_letter_of_a_selection_accounts_for_its_runs(body: str, attributes: dict[str, Any]) -> None:
    """Runs of a selection that is among the dead letters, by SQS or by a function, need no end of their own."""
    dead_letters = [*GOOD.dead_letters, (body, attributes)]
    assert violations(replace(SELECTED, lines=GOOD.lines, dead_letters=dead_letters)) == []


@pytest.mark.parametrize(
    ("select", "before"),
    [
        ({}, NOON),
        ({"OlderThanMinutes": 30}, NOON - timedelta(minutes=30)),
        ({"StartedBefore": "2026-11-24T11:00:00Z"}, NOON - timedelta(hours=1)),
        ({"StartedBefore": "2026-11-24T13:00:00Z", "OlderThanMinutes": 1}, NOON - timedelta(minutes=1)),
    ],
)
@pytest.mark.parametrize("is_event", [True, False], ids=["event", "message"])
def test_time_of_a_selection_is_the_earliest(
    select: dict[str, Any], before: datetime, *, is_event: bool
) -> None:
    """A selection means runs that started before each of its times, and before it was sent."""
    request = {"JobName": "nightly", "Select": select, "DryRun": True}
    parsed = SentSelection.parse(json.dumps({"detail": request} if is_event else request), NOON)
    assert parsed == SentSelection(job_name="nightly", dry_run=True, started_before=before)


@pytest.mark.parametrize(
    ("select", "meant"),
    [
        ({}, {"plain", "with arguments", "of yesterday"}),
        ({"StartedAfter": (NOON - HOUR).isoformat()}, {"plain", "with arguments"}),
        ({"Arguments": {"--day": "1"}}, {"with arguments"}),
        ({"Arguments": {"--day": "2"}}, set()),
        ({"Except": ["plain", "another"]}, {"with arguments", "of yesterday"}),
        ({"States": ["WAITING"]}, {"plain", "with arguments", "of yesterday"}),
    ],
)
def test_every_condition_of_a_selection_counts(select: dict[str, Any], meant: set[str]) -> None:
    """A selection means the runs of its job that fulfil each condition. States change, so they do not count."""
    runs = {
        ("nightly", "plain"): RunFacts(NOON - HOUR),
        ("nightly", "with arguments"): RunFacts(NOON - HOUR, {"--day": "1", "--env": "dev"}),
        ("nightly", "of yesterday"): RunFacts(NOON - 24 * HOUR),
        ("nightly", "young"): RunFacts(NOON),
        ("etl", "plain"): RunFacts(NOON - HOUR),
    }
    parsed = SentSelection.parse(json.dumps({"JobName": "nightly", "Select": select}), NOON)
    assert parsed
    assert {key for key in runs if parsed.may_mean(key, runs, dry_run=False)} == {
        ("nightly", run_id) for run_id in meant
    }
    assert not parsed.may_mean(("nightly", "unknown"), runs, dry_run=False)
    assert not parsed.may_mean(("nightly", "plain"), runs, dry_run=True)


@pytest.mark.parametrize(
    ("named", "meant"),
    [(["first"], {"second", "third"}), (["second"], {"third"}), (["gone"], {"of gone"}), (["a"], {"a", "b"})],
)
def test_attempts_lead_to_a_named_run(named: list[str], meant: set[str]) -> None:
    """Attempts are the runs of the job that retry a named run, or one of its attempts, and started in time."""
    previous = {"second": "first", "third": "second", "of gone": "gone", "a": "b", "b": "a", "first": ""}
    runs = {("etl", run_id): RunFacts(NOON - HOUR, {}, of) for run_id, of in previous.items()}
    runs["etl", "young"] = RunFacts(NOON, {}, "first")
    runs["etl", "after an unknown run"] = RunFacts(NOON - HOUR, {}, "unknown")
    runs["report", "second"] = RunFacts(NOON - HOUR, {}, "first")
    request = {"JobName": "etl", "JobRunIds": named, "IncludeAttempts": True}
    parsed = SentSelection.parse(json.dumps({"detail": request}), NOON)
    assert parsed
    assert {key for key in runs if parsed.may_mean(key, runs, dry_run=False)} == {
        ("etl", run_id) for run_id in meant
    }


INCLUDING: Final = json.dumps({"JobName": "etl", "JobRunIds": ["jr_1", "jr_2"], "IncludeAttempts": True})
LIMITED: Final = json.dumps({**json.loads(INCLUDING), "AttemptsStartedBefore": NOON.isoformat()})
WITH_ATTEMPTS: Final = replace(
    GOOD,
    bodies=[INCLUDING, UNUSABLE],
    selections=[SentSelection(job_name="etl", started_before=NOON, named=frozenset({"jr_1", "jr_2"}))],
    runs={
        ("etl", "attempt"): RunFacts(NOON - HOUR, {}, "jr_1"),
        ("etl", "young"): RunFacts(NOON, {}, "jr_1"),
        ("etl", "other"): RunFacts(NOON - HOUR),
    },
    lines=[*GOOD.lines, _line("attempt", "Stopped")],
    stop_calls=[*GOOD.stop_calls, {"JobName": "etl", "JobRunIds": ["attempt"]}],
    active=[("etl", "young"), ("etl", "other")],
)
WITHOUT_JR_2: Final = [line for line in WITH_ATTEMPTS.lines if line["job_run_id"] != "jr_2"]
_WHOLE: Final = {"job_name": "etl", "outcome": "Failed", "error_message": "", "dry_run": False}
WHOLE_FAILURE: Final = {**_WHOLE, "will_redeliver": False}


def test_attempt_is_no_violation() -> None:
    """An attempt that started before the request was sent may be stopped, and has an end."""
    assert violations(WITH_ATTEMPTS) == []


def test_dead_letter_of_a_request_accounts_for_its_attempts() -> None:
    """A request that failed as a whole is a dead letter, and its runs need no end of their own."""
    for dead_letter in ((INCLUDING, {}), (LIMITED, ERROR_ATTRIBUTES)):
        dead_letters = [dead_letter, GOOD.dead_letters[1]]
        assert violations(replace(WITH_ATTEMPTS, lines=[WHOLE_FAILURE], dead_letters=dead_letters)) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"lines": GOOD.lines}, "submitted without an end: ('etl', 'attempt', False)"),
        ({"lines": WITHOUT_JR_2}, "lost: ('etl', 'jr_2', False)"),
        ({"lines": [*WITHOUT_JR_2, {**WHOLE_FAILURE, "dry_run": True}]}, "lost: ('etl', 'jr_2', False)"),
        (
            {"lines": WITHOUT_JR_2, "bodies": [INCLUDING, REQUEST, UNUSABLE]},
            "lost: ('etl', 'jr_2', False)",
        ),
        ({"lines": [*WITH_ATTEMPTS.lines, WHOLE_FAILURE]}, "no dead letter of a selection: etl"),
        ({"lines": [*WITH_ATTEMPTS.lines, _line("young", "Stopped")]}, "invented in the log"),
        ({"lines": [*WITH_ATTEMPTS.lines, _line("other", "Stopped")]}, "invented in the log"),
        ({"active": [("etl", "attempt")], "lines": GOOD.lines, "stop_calls": []}, "selected and not stopped"),
        (
            {"dead_letters": [*GOOD.dead_letters, (LIMITED.replace("12:00", "13:00"), ERROR_ATTRIBUTES)]},
            "invented as a dead letter",
        ),
    ],
)
def test_violation_of_a_request_for_attempts_is_detected(changes: dict[str, Any], expected: str) -> None:
    """A named run or an attempt without an end, or a run that no request means, is one violation."""
    (violation,) = violations(replace(WITH_ATTEMPTS, **changes))
    assert violation.startswith(expected)


@pytest.mark.parametrize("body", ["{", "[]", REQUEST])
def test_other_message_is_no_selection(body: str) -> None:
    """A message that is unusable or names runs selects none."""
    assert SentSelection.parse(body, NOON) is None
