"""Answering: every run that a direct invocation named is either submitted or refused."""

from __future__ import annotations

from typing import Any, Final

import pytest

from gluebrake.contract import StopRequest
from gluebrake.decisions.invoke_response import answer
from gluebrake.model import MessageResult, RunResult
from gluebrake.outcomes import Outcome
from tests.support.builders import target
from tests.unit.parsing.events import message

pytestmark = pytest.mark.disable_socket

REFUSED: Final = "JobRunCannotBeStoppedException"

# What became of a run, Glue's code and text, the run's state; and the code and the text of the answer.
CODES: Final[list[tuple[Outcome, tuple[str, str, str], tuple[str, str]]]] = [
    (Outcome.ALREADY_STOPPING, (REFUSED, "No.", "STOPPING"), (REFUSED, "No. The run is STOPPING.")),
    (Outcome.ALREADY_FINISHED, (REFUSED, "No.", "FAILED"), (REFUSED, "No. The run is FAILED.")),
    (Outcome.ALREADY_FINISHED, ("", "", "STOPPED"), ("AlreadyFinished", "The run is STOPPED.")),
    (Outcome.NOT_FOUND, ("EntityNotFoundException", "No run", ""), ("EntityNotFoundException", "No run")),
    (Outcome.PROTECTED, ("Protected", "the job matches", ""), ("Protected", "the job matches")),
    (Outcome.NOT_ALLOWED, ("NotAllowed", "none of jobs", ""), ("NotAllowed", "none of jobs")),
    (Outcome.WOULD_STOP, ("", "", "RUNNING"), ("WouldStop", "The run is RUNNING.")),
    (Outcome.RETRYING, ("ThrottlingException", "Rate exceeded", ""), ("Retrying", "Rate exceeded")),
    (Outcome.DEFERRED, ("", "", ""), ("Deferred", "")),
    (Outcome.FAILED, ("AccessDeniedException", "denied", ""), ("AccessDeniedException", "denied")),
    (Outcome.FAILED, ("", "", "RUNNING"), ("Failed", "The run is RUNNING.")),
]


def _result(outcome: Outcome, run_id: str = "jr_1", said: tuple[str, str, str] = ("", "", "")) -> RunResult:
    code, error, state = said
    return RunResult(target(run_id), outcome, code, error, state)


def _run(run_id: str) -> dict[str, Any]:
    return {"JobName": "etl", "JobRunId": run_id}


def test_sixty_runs_have_sixty_answers() -> None:
    """Glue's limit of 25 is not the caller's: all runs are in one answer, in the order in which they came."""
    results = [
        _result(Outcome.STOP_SUBMITTED if number % 3 else Outcome.NOT_FOUND, f"jr_{number}")
        for number in range(60)
    ]
    answered = answer(results, [])
    assert answered.keys() == {"SuccessfulSubmissions", "Errors"}
    assert answered["SuccessfulSubmissions"] == [_run(f"jr_{number}") for number in range(60) if number % 3]
    assert [error["JobRunId"] for error in answered["Errors"]] == [f"jr_{number}" for number in range(0, 60, 3)]


@pytest.mark.parametrize(("outcome", "said", "answered"), CODES)
def test_refused_run_has_a_code(
    outcome: Outcome, said: tuple[str, str, str], answered: tuple[str, str]
) -> None:
    """The code is Glue's where that is the last word, else our outcome; the text says all that is known."""
    code, text = answered
    error = {**_run("jr_1"), "ErrorDetail": {"ErrorCode": code, "ErrorMessage": text}}
    got = answer([_result(outcome, "jr_1", said)], [])
    assert got == {"SuccessfulSubmissions": [], "Errors": [error]}
    assert type(got["Errors"][0]["ErrorDetail"]["ErrorCode"]) is str


@pytest.mark.parametrize("outcome", [one for one in Outcome if one is not Outcome.STOP_SUBMITTED])
def test_only_what_was_submitted_is_called_submitted(outcome: Outcome) -> None:
    """No other outcome counts as a submission."""
    answered = answer([_result(outcome)], [])
    assert answered["SuccessfulSubmissions"] == []
    assert len(answered["Errors"]) == 1


def test_message_without_runs_is_answered_too() -> None:
    """What was asked in vain has an error with the job's name where that could be read, and no run's id."""
    known = StopRequest(job_name="etl", job_run_ids=("jr_1",))
    whole = [
        MessageResult(message("{"), Outcome.INVALID_REQUEST, "the body: is not JSON"),
        MessageResult(message("{}"), Outcome.TOO_MANY_RUNS, "too many", request=known),
        MessageResult(message("{}"), Outcome.NO_ACTIVE_RUNS, "none", request=known),
        MessageResult(message("{}"), Outcome.PROTECTED, "it is", "Protected", known),
        MessageResult(message("{}"), Outcome.RETRYING, "Rate exceeded", "ThrottlingException", known),
        MessageResult(message("{}"), Outcome.IGNORED, "it is over"),
    ]
    codes = [
        (None, "InvalidRequest"),
        ("etl", "TooManyRuns"),
        ("etl", "NoActiveRuns"),
        ("etl", "Protected"),
        ("etl", "Retrying"),
        (None, "Ignored"),
    ]
    errors = answer([], whole)["Errors"]
    assert [(error.get("JobName"), error["ErrorDetail"]["ErrorCode"]) for error in errors] == codes
    assert [error["ErrorDetail"]["ErrorMessage"] for error in errors] == [one.why for one in whole]
    assert not any("JobRunId" in error for error in errors)


def test_nothing_asked_is_nothing_answered() -> None:
    """Both lists are there when they are empty."""
    assert answer([], []) == {"SuccessfulSubmissions": [], "Errors": []}
