"""A stack with `observe: true` stops no run, whatever requests it, and reports what it would stop."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from gluebrake.contract import STOP_REQUESTED
from local.emulator import ROOT
from tests.e2e.cli import environ, gluebrake
from tests.e2e.conftest import Deployment
from tests.support.eventually import eventually
from tests.support.glue_alarms import ELAPSED_TIME

Send = Callable[[Deployment, str, Sequence[str]], None]
"""Requests a stop of runs of a job in one of the ways."""


@pytest.fixture
def job(request: pytest.FixtureRequest) -> str:
    """Return a job name for the test alone."""
    return re.sub(r"\W+", "-", str(request.node.name))


def _request(job: str, run_ids: Sequence[str]) -> dict[str, Any]:
    return {"JobName": job, "JobRunIds": [*run_ids]}


def _on_the_queue(deployment: Deployment, job: str, run_ids: Sequence[str]) -> None:
    deployment.send(json.dumps(_request(job, run_ids)))


def _as_a_selection(deployment: Deployment, job: str, _: Sequence[str]) -> None:
    deployment.send(json.dumps({"JobName": job, "Select": {}}))


def _on_the_bus(deployment: Deployment, job: str, run_ids: Sequence[str]) -> None:
    deployment.aws.events.put_events(
        Entries=[
            {
                "EventBusName": deployment.outputs["EventBusName"],
                "Source": "tests",
                "DetailType": STOP_REQUESTED,
                "Detail": json.dumps(_request(job, run_ids)),
            }
        ]
    )


def _by_an_alarm(deployment: Deployment, job: str, _: Sequence[str]) -> None:
    """Let an alarm fire that notifies the topic. Its event also matches the rule."""
    began = datetime.now(UTC)
    # The emulator's SNS timestamps have whole seconds, and an alarm means no run that started after it.
    eventually(lambda: datetime.now(UTC) - began > timedelta(seconds=1))
    cloudwatch = deployment.aws.cloudwatch
    dimensions = {"JobName": job, "JobRunId": "ALL", "Type": "count"}
    cloudwatch.put_metric_alarm(
        AlarmName=f"glue-{job}",
        **ELAPSED_TIME,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        AlarmActions=[deployment.outputs["SignalTopicArn"]],
    )
    cloudwatch.set_alarm_state(AlarmName=f"glue-{job}", StateValue="ALARM", StateReason="by hand")


def _by_a_sweep(deployment: Deployment, _job: str, _: Sequence[str]) -> None:
    """Make the deployment's guardrail policy due. It means the job of this way only."""
    request = {"Policies": ["observed"], "Due": datetime.now(UTC).isoformat()}
    deployment.aws.sqs.send_message(
        QueueUrl=deployment.outputs["SweepQueueUrl"], MessageBody=json.dumps(request)
    )


def _by_invocation(deployment: Deployment, job: str, run_ids: Sequence[str]) -> None:
    answer = deployment.aws.lambda_.invoke(
        FunctionName=deployment.outputs["StopFunctionName"],
        Payload=json.dumps(_request(job, run_ids)).encode(),
    )
    response = json.loads(answer["Payload"].read())
    assert response["SuccessfulSubmissions"] == []
    assert {error["JobRunId"]: error["ErrorDetail"]["ErrorCode"] for error in response["Errors"]} == (
        dict.fromkeys(run_ids, "WouldStop")
    )


WAYS: Final[Mapping[str, tuple[Send, int]]] = {
    "queue": (_on_the_queue, 1),
    "selection": (_as_a_selection, 1),
    "bus": (_on_the_bus, 1),
    "alarm": (_by_an_alarm, 2),
    "sweep": (_by_a_sweep, 1),
    "invocation": (_by_invocation, 1),
}
"""The ways to request a stop, each with the number of messages that it leads to."""


def _lines(deployment: Deployment, job: str) -> list[dict[str, Any]]:
    """Return the log lines about a job that have an outcome."""
    messages = [*deployment.log("StopFunctionName"), *deployment.log("ConfirmFunctionName")]
    lines = [json.loads(message) for message in messages if f'"job_name":"{job}"' in message]
    return [line for line in lines if "outcome" in line]


@pytest.mark.parametrize("way", WAYS)
def test_no_request_stops_a_run(observing_deployment: Deployment, job: str, way: str) -> None:
    """Each run is reported as one that would stop. It is still running, and there is no dead letter."""
    send, messages = WAYS[way]
    run_ids = observing_deployment.start(job, 2)
    send(observing_deployment, job, run_ids)

    def reported() -> bool:
        ids = {message_id for line in _lines(observing_deployment, job) for message_id in line["message_ids"]}
        return len(ids) == messages

    eventually(reported)
    lines = _lines(observing_deployment, job)
    assert {line["job_run_id"] for line in lines} == set(run_ids)
    assert {(line["outcome"], line["observe"], line["dry_run"]) for line in lines} == {
        ("WouldStop", True, True)
    }
    assert {observing_deployment.state(job, run_id) for run_id in run_ids} == {"RUNNING"}
    assert observing_deployment.stop_calls(job) == []
    assert observing_deployment.dead_letter(job) is None


def test_a_request_that_fails_leaves_no_dead_letter(observing_deployment: Deployment, job: str) -> None:
    """A dry run that fails is only in the log: a run that Glue does not know is looked for twice."""
    observing_deployment.start(job, 0)
    observing_deployment.send(json.dumps(_request(job, ["jr_unknown"])))
    outcomes = ["Retrying", "NotFound"]
    eventually(lambda: [line["outcome"] for line in _lines(observing_deployment, job)] == outcomes)
    assert observing_deployment.dead_letter(job) is None


def test_a_message_that_is_no_request_becomes_a_dead_letter(observing_deployment: Deployment, job: str) -> None:
    """Nothing tells whether a message that cannot be read is a dry run, so it is kept as always."""
    observing_deployment.send(f"please stop {job}")
    eventually(lambda: observing_deployment.dead_letter(job))
    # A dead letter is a problem that `gluebrake status` shows with exit code 1.
    observing_deployment.aws.sqs.purge_queue(QueueUrl=observing_deployment.outputs["DeadLetterQueueUrl"])


@pytest.mark.parametrize(
    ("arguments", "instead"),
    [
        (("stop", "etl", "jr_1"), "give --dry-run"),
        (("redrive", "--reason", "none"), "give --dry-run"),
        (("sweep", "--jobs", "*", "--stop", "--yes", "1"), "leave out --stop"),
    ],
    ids=["stop", "redrive", "sweep"],
)
def test_the_command_refuses(
    observing_deployment: Deployment, arguments: tuple[str, ...], instead: str
) -> None:
    """A request that the stack would consume without a stop is not sent. The error says what to do."""
    done = subprocess.run(
        ["gluebrake", *arguments],
        cwd=ROOT,
        env=environ(observing_deployment),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == (
        "gluebrake: the stack 'Gluebrake' observes: it reads a stop request, reports what it would stop, and"
        f" stops nothing. Deploy with `observe: false` first, or {instead}\n"
    )


def test_the_command_sends_a_dry_run(observing_deployment: Deployment, job: str) -> None:
    """With --dry-run the request is sent, and the exit code is 0: each run would be stopped."""
    (run_id,) = observing_deployment.start(job)
    shown = gluebrake(observing_deployment, "stop", job, run_id, "--dry-run", "--wait", "--every", "0.2")
    assert [run["outcome"] for run in shown["runs"]] == ["WouldStop"]
    assert (shown["all_stopped"], shown["all_over"]) == (True, False)
    assert gluebrake(observing_deployment, "status")["config"]["observe"] is True
