"""Tests of the response to a direct invocation: each run is either submitted or has an error."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from gluebrake.contract import StopRequest
from gluebrake.decisions.invoke_response import invoke_response
from gluebrake.model import MessageResult, RunResult
from gluebrake.outcomes import Outcome
from tests.support.builders import target
from tests.unit.parsing.events import message

pytestmark = pytest.mark.disable_socket

REFUSED: Final = "JobRunCannotBeStoppedException"

# A run's outcome; Glue's code and text and the run's state; the code and the text in the response.
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


def _result(outcome: Outcome, run_id: str = "jr_1", reported: tuple[str, str, str] = ("", "", "")) -> RunResult:
    code, error, state = reported
    return RunResult(target(run_id), outcome, code, error, state)


def _run(run_id: str) -> dict[str, Any]:
    return {"JobName": "etl", "JobRunId": run_id}


def test_response_has_all_of_sixty_runs() -> None:
    """Glue's limit of 25 runs does not apply to the response, which has all runs in order."""
    results = [
        _result(Outcome.STOP_SUBMITTED if number % 3 else Outcome.NOT_FOUND, f"jr_{number}")
        for number in range(60)
    ]
    response = invoke_response(results, [])
    assert response.keys() == {"SuccessfulSubmissions", "Errors"}
    assert response["SuccessfulSubmissions"] == [_run(f"jr_{number}") for number in range(60) if number % 3]
    assert [error["JobRunId"] for error in response["Errors"]] == [f"jr_{number}" for number in range(0, 60, 3)]


@pytest.mark.parametrize(("outcome", "reported", "expected"), CODES)
def test_run_that_was_not_submitted_has_a_code(
    outcome: Outcome, reported: tuple[str, str, str], expected: tuple[str, str]
) -> None:
    """The code is Glue's if there is one and the run is not retried, else the outcome's name."""
    code, text = expected
    error = {**_run("jr_1"), "ErrorDetail": {"ErrorCode": code, "ErrorMessage": text}}
    response = invoke_response([_result(outcome, "jr_1", reported)], [])
    assert response == {"SuccessfulSubmissions": [], "Errors": [error]}
    assert type(response["Errors"][0]["ErrorDetail"]["ErrorCode"]) is str


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.STOP_SUBMITTED])
def test_run_of_another_outcome_is_not_a_submission(outcome: Outcome) -> None:
    """Only a run with the outcome StopSubmitted is among SuccessfulSubmissions."""
    response = invoke_response([_result(outcome)], [])
    assert response["SuccessfulSubmissions"] == []
    assert len(response["Errors"]) == 1


def test_message_without_runs_has_an_error() -> None:
    """The error of a message has the job's name if the message could be parsed, and no run id."""
    parsed = StopRequest(job_name="etl", job_run_ids=("jr_1",))
    results = [
        MessageResult(message("{"), Outcome.INVALID_REQUEST, "the body: is not JSON"),
        MessageResult(message("{}"), Outcome.TOO_MANY_RUNS, "too many", request=parsed),
        MessageResult(message("{}"), Outcome.NO_ACTIVE_RUNS, "none", request=parsed),
        MessageResult(message("{}"), Outcome.PROTECTED, "it is", "Protected", parsed),
        MessageResult(message("{}"), Outcome.RETRYING, "Rate exceeded", "ThrottlingException", parsed),
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
    errors = invoke_response([], results)["Errors"]
    assert [(error.get("JobName"), error["ErrorDetail"]["ErrorCode"]) for error in errors] == codes
    assert [error["ErrorDetail"]["ErrorMessage"] for error in errors] == [result.why for result in results]
    assert not any("JobRunId" in error for error in errors)


def test_response_without_runs_has_two_empty_lists() -> None:
    """The response has both lists, also if they are empty."""
    assert invoke_response([], []) == {"SuccessfulSubmissions": [], "Errors": []}


def test_response_that_lambda_would_refuse_is_shortened() -> None:
    """The whole request is done, so the response has the first runs of each list and counts them all."""
    results = [
        _result(Outcome.FAILED, f"jr_{number}", ("Failed", "x" * 7000, "")) for number in range(1001)
    ] + [_result(Outcome.STOP_SUBMITTED, f"jr_{number}") for number in range(3)]
    response = invoke_response(results, [])
    assert len(json.dumps(response)) < 6_000_000
    assert [error["JobRunId"] for error in response["Errors"]] == [f"jr_{number}" for number in range(500)]
    assert len(response["SuccessfulSubmissions"]) == 3
    assert response["Truncated"] == {"Errors": 1001, "SuccessfulSubmissions": 3}
