"""A deployed Gluebrake stops runs, whichever way it is asked, and tells what it could not do."""

from __future__ import annotations

import json
from itertools import cycle, islice
from typing import Any

import pytest

from local import jobs
from tests.e2e.conftest import Deployment
from tests.support.eventually import eventually

UNKNOWN = f"jr_{'0' * 64}"


@pytest.fixture
def job(request: pytest.FixtureRequest) -> str:
    """Return a job name of the test's own."""
    return str(request.node.name)


def _asking(job_name: str, run_ids: list[str]) -> str:
    return json.dumps({"JobName": job_name, "JobRunIds": run_ids})


def _reason(letter: dict[str, Any]) -> dict[str, str]:
    return {name: attribute["StringValue"] for name, attribute in letter["MessageAttributes"].items()}


def test_a_message_stops_the_runs_it_names(deployment: Deployment, job: str) -> None:
    """Runs named by a message on the queue are STOPPED; the job's other run is not touched."""
    *named, other = deployment.start(job, 4)
    deployment.send(_asking(job, named))
    eventually(lambda: deployment.states(job) == {"STOPPED", "RUNNING"})
    assert deployment.stop_calls(job) == [named]
    assert deployment.state(job, other) == "RUNNING"


def test_an_event_stops_the_runs_it_names(deployment: Deployment, job: str) -> None:
    """Runs named by an event on the bus are STOPPED."""
    named = deployment.start(job, 2)
    deployment.aws.events.put_events(
        Entries=[
            {
                "EventBusName": deployment.outputs["EventBusName"],
                "Source": "tests.guardrail",
                "DetailType": "Glue Job Run Stop Requested",
                "Detail": _asking(job, named),
            }
        ]
    )
    eventually(lambda: deployment.states(job) == {"STOPPED"})
    assert deployment.stop_calls(job) == [named]


def test_a_run_named_twice_is_stopped_once(deployment: Deployment, job: str) -> None:
    """A run that a message repeats is in one call, once."""
    (run_id,) = deployment.start(job)
    deployment.send(_asking(job, [run_id, run_id, run_id]))
    eventually(lambda: deployment.states(job) == {"STOPPED"})
    assert deployment.stop_calls(job) == [[run_id]]


def test_an_unreadable_message_becomes_a_dead_letter(deployment: Deployment) -> None:
    """A body that is no request arrives in the dead-letter queue as it was, with the reason."""
    body = 'please stop the "nightly" job\n'
    deployment.send(body)
    letter = eventually(lambda: deployment.dead_letter("please"))
    assert letter["Body"] == body
    assert _reason(letter)["ERROR_CODE"] == "InvalidRequest"


def test_an_unknown_run_becomes_a_dead_letter_after_a_retry(deployment: Deployment, job: str) -> None:
    """A run that Glue does not know is asked for again before it is given up, as a request of its own."""
    (run_id,) = deployment.start(job)
    deployment.send(_asking(job, [UNKNOWN, run_id]))
    letter = eventually(lambda: deployment.dead_letter(job))
    assert json.loads(letter["Body"])["JobRunIds"] == [UNKNOWN]
    assert _reason(letter)["ERROR_CODE"] == "EntityNotFoundException"
    assert deployment.stop_calls(job) == [[UNKNOWN, run_id], [UNKNOWN]]
    assert deployment.states(job) <= {"STOPPING", "STOPPED"}


def test_a_stopped_run_is_confirmed(deployment: Deployment, job: str) -> None:
    """Once Glue says STOPPED, that is logged as the run's outcome, with the time that it took."""
    (run_id,) = deployment.start(job)
    deployment.send(_asking(job, [run_id]))
    (line,) = eventually(
        lambda: [line for line in deployment.log("ConfirmFunctionName") if run_id in line and "Stopped" in line]
    )
    assert json.loads(line)["outcome"] == "Stopped"
    assert json.loads(line)["TimeToStop"] > 0


def test_a_run_that_never_stops_becomes_a_dead_letter(deployment: Deployment, job: str) -> None:
    """A run that stays STOPPING past the deadline is dead-lettered as a request that can be sent again."""
    (run_id,) = deployment.start(job, arguments={"--refuse-to-stop": "true"})
    deployment.send(_asking(job, [run_id]))
    letter = eventually(lambda: deployment.dead_letter(job))
    assert json.loads(letter["Body"])["JobRunIds"] == [run_id]
    assert _reason(letter)["ERROR_CODE"] == "StopTimedOut"
    assert deployment.state(job, run_id) == "STOPPING"


def test_a_thousand_messages_are_one_invocation(storm: Deployment) -> None:
    """A storm of messages costs one invocation and, for each job, a call for every 25 distinct runs."""
    sizes = {"wide": 30, "wider": 51, "narrow": 5}
    runs = [(job, run_id) for job, size in sizes.items() for run_id in storm.start(job, size)]
    bodies = [_asking(job, [run_id]) for job, run_id in islice(cycle(runs), 1000)]
    for start in range(0, len(bodies), 10):
        storm.aws.sqs.send_message_batch(
            QueueUrl=storm.outputs["StopQueueUrl"],
            Entries=[{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies[start : start + 10])],
        )
    for job in sizes:
        eventually(lambda job=job: storm.states(job) == {"STOPPED"})  # type: ignore[misc]
    assert {job: len(storm.stop_calls(job)) for job in sizes} == {"wide": 2, "wider": 3, "narrow": 1}
    assert sum(line.startswith("START") for line in storm.log("StopFunctionName")) == 1


def test_a_run_that_ended_by_itself_finished_first(deployment: Deployment, job: str) -> None:
    """A run that is over when it is looked at, but not STOPPED, is told as that and not as stopped."""
    (run_id,) = deployment.start(job, arguments={jobs.SECONDS: "0"})
    eventually(lambda: deployment.state(job, run_id) == "SUCCEEDED")
    deployment.aws.sqs.send_message(
        QueueUrl=deployment.outputs["ConfirmQueueUrl"], MessageBody=_asking(job, [run_id])
    )
    (line,) = eventually(lambda: [line for line in deployment.log("ConfirmFunctionName") if run_id in line])
    assert (json.loads(line)["outcome"], json.loads(line)["state"]) == ("FinishedBeforeStop", "SUCCEEDED")
