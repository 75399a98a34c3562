"""Direct invocations that are larger than a message, or whose response is larger than Lambda accepts."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from gluebrake.decisions.invoke_response import invoke_response
from gluebrake.model import RunResult
from gluebrake.outcomes import Outcome
from tests.support.builders import target
from tests.support.simulated_aws import STOP, SimulatedAws

LARGEST_RESPONSE: Final = 6_291_556
RUN_ID: Final = "jr_" + "5d41402abc4b2a76" * 4


@pytest.mark.parametrize(
    "payload",
    [
        {"JobName": "etl", "JobRunIds": [f"{RUN_ID}{number}" for number in range(16_000)]},
        {"JobName": "etl", "JobRunIds": ["jr_1"], "Priority": "x" * 1_100_000},
        {"JobName": "etl", "JobRunIds": ["jr_1"], "Priority": "\u00e9" * 300_000},
        "x" * 1_100_000,
        [["x" * 1_100_000]],
        {"TopicArn": "arn:aws:sns:eu-west-1:123456789012:t", "Message": "x" * 1_100_000},
    ],
    ids=["run ids", "unknown field", "letters of two bytes", "text", "list", "notification"],
)
def test_payload_that_no_dead_letter_can_hold_is_refused_once(simulation: SimulatedAws, payload: Any) -> None:
    """The caller gets an answer with the limit. The dead letter has the beginning of the payload."""
    response = _invoke(simulation, payload)
    assert response["SuccessfulSubmissions"] == []
    (error,) = response["Errors"]
    assert error["ErrorDetail"]["ErrorCode"] == "InvalidRequest"
    assert "at most 1,000,000 are allowed" in error["ErrorDetail"]["ErrorMessage"]
    (letter,) = simulation.dead_letter_queue
    assert json.dumps(payload).startswith(letter.body)
    assert len(letter.body) > 10_000
    assert not simulation.aws.requests("BatchStopJobRun")


def test_payload_just_below_the_limit_gets_its_own_answer(simulation: SimulatedAws) -> None:
    """13,000 long ids are too many runs, and their dead letter is the whole request."""
    run_ids = [f"{RUN_ID}{number}" for number in range(13_000)]
    response = _invoke(simulation, {"JobName": "etl", "JobRunIds": run_ids})
    assert [error["ErrorDetail"]["ErrorCode"] for error in response["Errors"]] == ["TooManyRuns"]
    (letter,) = simulation.dead_letter_queue
    assert json.loads(letter.body)["JobRunIds"] == run_ids


@pytest.mark.parametrize(
    ("job_name", "run_id", "error", "runs"),
    [
        ("etl", RUN_ID, "", 40_000),
        ("\U0001f6d1" * 255, "\U0001f6d1" * 251, "", 3_000),
        ("etl", "jr_1", "x" * 50_000, 200),
    ],
    ids=["many", "long names", "long errors"],
)
@pytest.mark.parametrize("outcome", [Outcome.STOP_SUBMITTED, Outcome.FAILED])
def test_response_fits_into_lambdas_limit(
    job_name: str, run_id: str, error: str, runs: int, outcome: Outcome
) -> None:
    """A response that is too large has the first runs of each list, and the length of the whole lists."""
    results = [RunResult(target(f"{run_id}{n}", job_name), outcome, error=error) for n in range(runs)]
    response = invoke_response(results, [])
    assert len(json.dumps(response)) < LARGEST_RESPONSE
    name = "SuccessfulSubmissions" if outcome is Outcome.STOP_SUBMITTED else "Errors"
    assert response.get("Truncated", {name: len(response[name])})[name] == runs
    assert response[name][0]["JobRunId"] == f"{run_id}0"
    assert len(response[name]) > 10


def test_response_that_fits_is_whole() -> None:
    """A response of 20,000 runs is BatchStopJobRun's own, without further members."""
    results = [RunResult(target(f"{RUN_ID}{n}"), Outcome.STOP_SUBMITTED) for n in range(20_000)]
    response = invoke_response(results, [])
    assert response.keys() == {"SuccessfulSubmissions", "Errors"}
    assert len(response["SuccessfulSubmissions"]) == 20_000


def _invoke(simulation: SimulatedAws, payload: Any) -> dict[str, Any]:
    response = simulation.functions[STOP](payload, simulation.context)
    assert response is not None
    return response
