"""What `gluebrake verify` concludes from the answers of AWS and of STOP."""

from __future__ import annotations

from typing import Any, Final

import pytest

from gluebrake_cli import proofs
from gluebrake_cli.proofs import Answer, RunReading
from gluebrake_cli.runs import LogLine, RunStatus

DENIED: Final = Answer("AccessDeniedException", "with an explicit deny")
RUNNING, STOPPED = RunReading("RUNNING"), RunReading("STOPPED")


def _line(service: str, outcome: str, **more: Any) -> LogLine:
    return {"service": service, "outcome": outcome, **more}


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        ({"SuccessfulSubmissions": [{"JobRunId": "jr"}], "Errors": []}, Answer()),
        ({"Errors": [{"ErrorDetail": {"ErrorCode": "Protected", "ErrorMessage": ""}}]}, Answer("Protected")),
        ({"SuccessfulSubmissions": [], "Errors": []}, None),
        (None, None),
    ],
)
def test_stops_response_is_parsed(response: Any, answer: Answer | None) -> None:
    """A response that names no run is no acceptance of the stop."""
    parsed = proofs.parse_answer(response)
    assert parsed == answer or (answer is None and parsed.code == "NoAnswer")
    assert parsed.is_accepted is (answer == Answer())


def test_an_answer_has_a_text() -> None:
    """The text has the code, and the message if there is one."""
    texts = [Answer().text, Answer("Protected").text, DENIED.text]
    assert texts == ["Glue accepted the stop", "Protected", "AccessDeniedException: with an explicit deny"]


@pytest.mark.parametrize(
    ("answer", "reading", "problem"),
    [
        (DENIED, RUNNING, ""),
        (Answer(), RUNNING, "was not denied the stop of a run whose job has the protect tag: Glue accepted"),
        (Answer("Retrying", "no tags"), RUNNING, "Retrying: no tags"),
        (DENIED, STOPPED, "the run is STOPPED although its job has the protect tag"),
        (DENIED, RunReading("FAILED", error_message="no module"), "the run is FAILED: no module"),
    ],
)
def test_protection_needs_a_denial_and_a_running_run(answer: Answer, reading: RunReading, problem: str) -> None:
    """Both must hold, else the problem is named."""
    found = proofs.protection_problem(answer, reading)
    assert problem in found
    assert bool(problem) is bool(found)


@pytest.mark.parametrize(
    ("answer", "reading", "protects"),
    [
        (DENIED, RUNNING, True),
        (Answer(), RUNNING, False),
        (None, RunReading("STOPPING"), False),
        (Answer("JobRunCannotBeStoppedException"), STOPPED, False),
        (Answer("Retrying"), RUNNING, None),
        (DENIED, RunReading("FAILED"), None),
        (None, RunReading("FAILED"), None),
    ],
)
def test_an_empty_tag_is_judged_by_the_answer_and_the_run(
    answer: Answer | None, reading: RunReading, *, protects: bool | None
) -> None:
    """A run that goes on after a denial is protected, and one that stops is not. All else decides nothing."""
    assert proofs.empty_tag_protects(answer, reading) is protects


@pytest.mark.parametrize(
    ("state", "outcome", "problem"),
    [
        ("STOPPED", "StopSubmitted", ""),
        ("", "", "the run is unknown, and no function logged an outcome of the stop request"),
        ("STOPPING", "StopSubmitted", "the run is STOPPING, and its last outcome is StopSubmitted: why"),
        (
            "RUNNING",
            "Failed",
            "its last outcome is Failed: why. Drop its dead letter: gluebrake drop --job etl",
        ),
    ],
)
def test_a_run_that_is_not_stopped_is_explained(state: str, outcome: str, problem: str) -> None:
    """The state and the last outcome are named, and the command that drops a dead letter."""
    status = RunStatus(
        job_name="etl", job_run_id="jr", state=state, outcome=outcome, error_message="why" if outcome else ""
    )
    found = proofs.stop_problem(status)
    assert problem in found
    assert bool(problem) is bool(found)


def test_the_last_final_outcome_of_a_function_counts() -> None:
    """Outcomes that lead to a further stage, redelivered ones, and those of another function do not count."""
    log = [
        _line("stop", "Protected", number=1),
        _line("stop", "Failed", number=2),
        _line("stop", "Failed", will_redeliver=True),
        _line("stop", "StopSubmitted"),
        _line("confirm", "Stopped"),
    ]
    assert proofs.final_outcome(log, "stop") == log[1]
    assert proofs.final_outcome(log[2:4], "stop") is None


@pytest.mark.parametrize(
    ("seen", "answer"),
    [
        ({}, ""),
        ({"STARTING": {True}}, "a run in STARTING has a StartedOn"),
        (
            {"WAITING": {False}, "STARTING": {True, False}},
            "a run in WAITING has no StartedOn; a run in STARTING has no StartedOn at first, and has one later",
        ),
    ],
)
def test_started_on_is_answered_by_state(seen: dict[str, set[bool]], answer: str) -> None:
    """Each state before RUNNING that was seen has its answer."""
    assert proofs.started_on(seen) == answer


@pytest.mark.parametrize(
    ("confirm_sender", "answer"),
    [
        ("AIDA:me", "SQS names STOP's role by a trusted sender id: CONFIRM logs the first sender, AIDA:me"),
        (
            "AROA2:stop",
            "CONFIRM does not trust STOP's messages: SQS names their sender AROA2:stop, not AROA1, AROA3",
        ),
        (None, ""),
    ],
)
def test_the_sender_is_answered_by_both_logs(confirm_sender: str | None, answer: str) -> None:
    """CONFIRM logs the first sender only if it trusts the sender of STOP's message."""
    log = [_line("stop", "StopSubmitted", sender="AIDA:me")]
    if confirm_sender:
        log.append(_line("confirm", "Stopped", sender=confirm_sender))
    assert proofs.sender(log, ["AROA1", "AROA3"]) == answer


@pytest.mark.parametrize(
    ("state", "is_active"), [("", True), ("RUNNING", True), ("STOPPING", False), ("STOPPED", False)]
)
def test_a_run_that_glue_does_not_show_counts_as_active(state: str, *, is_active: bool) -> None:
    """The clean-up stops a run that has just been started."""
    assert RunReading(state).is_active is is_active
