"""A deployed Gluebrake stops and confirms runs, and reports the runs that it could not stop."""

from __future__ import annotations

import json
from itertools import cycle, islice
from typing import Any

import pytest

from local import jobs
from local.aws import ACCOUNT, REGION
from tests.e2e.conftest import Deployment
from tests.support.eventually import eventually

UNKNOWN = f"jr_{'0' * 64}"


@pytest.fixture
def job(request: pytest.FixtureRequest) -> str:
    """Return the test's name as its job name."""
    return str(request.node.name)


def _stop_request(job_name: str, run_ids: list[str]) -> str:
    return json.dumps({"JobName": job_name, "JobRunIds": run_ids})


def _attributes(message: dict[str, Any]) -> dict[str, str]:
    return {name: attribute["StringValue"] for name, attribute in message["MessageAttributes"].items()}


def _outcomes(deployment: Deployment, job_name: str) -> set[tuple[str, bool]]:
    """Return the outcomes of a job's runs at STOP, and whether each is that of a dry run."""
    log = [line for line in deployment.log("StopFunctionName") if job_name in line and '"outcome"' in line]
    return {(line["outcome"], line["dry_run"]) for line in map(json.loads, log)}


def test_message_stops_the_runs_that_it_names(deployment: Deployment, job: str) -> None:
    """A message on the queue stops the runs that it names. The job's other run continues."""
    *named, unnamed = deployment.start(job, 4)
    deployment.send(_stop_request(job, named))
    eventually(lambda: deployment.states(job) == {"STOPPED", "RUNNING"})
    assert deployment.stop_calls(job) == [named]
    assert deployment.state(job, unnamed) == "RUNNING"


def test_event_stops_the_runs_that_it_names(deployment: Deployment, job: str) -> None:
    """An event on the bus stops the runs that it names."""
    named = deployment.start(job, 2)
    deployment.aws.events.put_events(
        Entries=[
            {
                "EventBusName": deployment.outputs["EventBusName"],
                "Source": "tests.guardrail",
                "DetailType": "Glue Job Run Stop Requested",
                "Detail": _stop_request(job, named),
            }
        ]
    )
    eventually(lambda: deployment.states(job) == {"STOPPED"})
    assert deployment.stop_calls(job) == [named]


def test_repeated_run_id_is_stopped_once(deployment: Deployment, job: str) -> None:
    """A run id that a message repeats is sent to Glue once."""
    (run_id,) = deployment.start(job)
    deployment.send(_stop_request(job, [run_id, run_id, run_id]))
    eventually(lambda: deployment.states(job) == {"STOPPED"})
    assert deployment.stop_calls(job) == [[run_id]]


def test_invalid_message_becomes_a_dead_letter(deployment: Deployment) -> None:
    """A body that is not a stop request becomes a dead letter with the same body and an error code."""
    body = 'please stop the "nightly" job\n'
    deployment.send(body)
    dead_letter = eventually(lambda: deployment.dead_letter("please"))
    assert dead_letter["Body"] == body
    assert _attributes(dead_letter)["ERROR_CODE"] == "InvalidRequest"


def test_unknown_run_becomes_a_dead_letter_after_a_retry(deployment: Deployment, job: str) -> None:
    """A run that Glue does not know is retried once, and then becomes a dead letter with this run id only."""
    (run_id,) = deployment.start(job)
    deployment.send(_stop_request(job, [UNKNOWN, run_id]))
    dead_letter = eventually(lambda: deployment.dead_letter(job))
    assert json.loads(dead_letter["Body"])["JobRunIds"] == [UNKNOWN]
    assert _attributes(dead_letter)["ERROR_CODE"] == "EntityNotFoundException"
    assert deployment.stop_calls(job) == [[UNKNOWN, run_id], [UNKNOWN]]
    assert deployment.states(job) <= {"STOPPING", "STOPPED"}


def test_stopped_run_is_confirmed(deployment: Deployment, job: str) -> None:
    """Once Glue reports STOPPED, the run's outcome is logged with its time to stop."""
    (run_id,) = deployment.start(job)
    deployment.send(_stop_request(job, [run_id]))
    (line,) = eventually(
        lambda: [line for line in deployment.log("ConfirmFunctionName") if run_id in line and "Stopped" in line]
    )
    assert json.loads(line)["outcome"] == "Stopped"
    assert json.loads(line)["TimeToStop"] > 0


def test_run_that_never_stops_becomes_a_dead_letter(deployment: Deployment, job: str) -> None:
    """A run that is STOPPING past the deadline becomes a dead letter, whose body is a valid stop request."""
    (run_id,) = deployment.start(job, arguments={"--refuse-to-stop": "true"})
    deployment.send(_stop_request(job, [run_id]))
    dead_letter = eventually(lambda: deployment.dead_letter(job))
    assert json.loads(dead_letter["Body"])["JobRunIds"] == [run_id]
    assert _attributes(dead_letter)["ERROR_CODE"] == "StopTimedOut"
    assert deployment.state(job, run_id) == "STOPPING"


def test_thousand_messages_are_one_invocation(high_volume_deployment: Deployment) -> None:
    """A thousand messages need one invocation and, for each job, one call for every 25 distinct runs."""
    sizes = {"wide": 30, "wider": 51, "narrow": 5}
    runs = [(job, run_id) for job, size in sizes.items() for run_id in high_volume_deployment.start(job, size)]
    bodies = [_stop_request(job, [run_id]) for job, run_id in islice(cycle(runs), 1000)]
    for start in range(0, len(bodies), 10):
        high_volume_deployment.aws.sqs.send_message_batch(
            QueueUrl=high_volume_deployment.outputs["StopQueueUrl"],
            Entries=[{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies[start : start + 10])],
        )
    for job in sizes:
        eventually(lambda job=job: high_volume_deployment.states(job) == {"STOPPED"})  # type: ignore[misc]
    assert {job: len(high_volume_deployment.stop_calls(job)) for job in sizes} == {
        "wide": 2,
        "wider": 3,
        "narrow": 1,
    }
    assert sum(line.startswith("START") for line in high_volume_deployment.log("StopFunctionName")) == 1


def test_run_that_ended_without_a_stop_is_reported_as_finished(deployment: Deployment, job: str) -> None:
    """If CONFIRM finds a run that has ended but is not STOPPED, the outcome is FinishedBeforeStop."""
    (run_id,) = deployment.start(job, arguments={jobs.SECONDS: "0"})
    eventually(lambda: deployment.state(job, run_id) == "SUCCEEDED")
    deployment.aws.sqs.send_message(
        QueueUrl=deployment.outputs["ConfirmQueueUrl"], MessageBody=_stop_request(job, [run_id])
    )
    (line,) = eventually(lambda: [line for line in deployment.log("ConfirmFunctionName") if run_id in line])
    assert (json.loads(line)["outcome"], json.loads(line)["state"]) == ("FinishedBeforeStop", "SUCCEEDED")


def test_job_with_the_protect_tag_is_not_stopped(deployment: Deployment, job: str) -> None:
    """The runs of a job with the protect tag continue if a request names them. A dry run reports it."""
    (run_id,) = deployment.start(job)
    arn = f"arn:aws:glue:{REGION}:{ACCOUNT}:job/{job}"
    deployment.aws.glue.tag_resource(ResourceArn=arn, TagsToAdd={"Gluebrake:Protect": "true"})
    deployment.send(_stop_request(job, [run_id]))
    deployment.send(json.dumps({"JobName": job, "JobRunIds": [run_id], "DryRun": True}))
    outcomes = eventually(lambda: lines if len(lines := _outcomes(deployment, job)) == 2 else None)
    assert outcomes == {("Protected", True), ("Protected", False)}
    assert deployment.state(job, run_id) == "RUNNING"
