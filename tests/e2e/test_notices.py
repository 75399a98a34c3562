"""The deployed stack publishes notices, and a notice leads to no other."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import jsonschema
import pytest

from gluebrake_cli import shell
from local import jobs
from local.emulator import ROOT
from tests.docs.document import Document
from tests.e2e.cli import environ
from tests.e2e.conftest import Deployment, up
from tests.e2e.sweep_policies import NEVER
from tests.support.eventually import eventually
from tests.unit.test_notice_message import CHAT_SCHEMA

PAGE: Final = Document(ROOT / "docs" / "notices.md")
JOBS: Final = 40
RUNS_OF_A_JOB: Final = 25
CONFIG: Final[Mapping[str, Any]] = {
    "retrySeconds": [1, 900],
    "confirmSeconds": [1, 1],
    "policies": [
        {
            "name": name,
            "jobs": [f"{name}-*"],
            "mode": mode,
            "maxRuns": 1000,
            "reason": f"{name} says so",
            "schedule": NEVER,
            "maxMinutes": 60,
        }
        for name, mode in (("stopping", "stop"), ("reporting", "report"), ("many", "stop"))
    ],
}


@pytest.fixture(scope="module")
def noticing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Deploy policies, with a queue that follows the notice topic by the commands of the page."""
    with up(tmp_path_factory.mktemp("noticing"), CONFIG, GLUEBRAKE_LOCAL_WINDOW_SECONDS="10") as deployment:
        (commands,) = PAGE.fences("A ticket")
        variables = {shell.variable_name(name): value for name, value in deployment.outputs.items()}
        command = ["sh", "-ec", commands]
        subprocess.run(command, cwd=ROOT, env=environ(deployment) | variables, check=True, capture_output=True)
        for function in ("Confirm", "Sweep"):
            _set_window(deployment, function, 1)
        yield deployment


def _set_window(deployment: Deployment, function: str, seconds: int) -> None:
    """Set how long a function's mapping waits for a full batch: 10 seconds at most in this deployment."""
    client = deployment.aws.lambda_
    name = deployment.outputs[f"{function}FunctionName"]
    (mapping,) = client.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
    client.update_event_source_mapping(UUID=mapping["UUID"], MaximumBatchingWindowInSeconds=seconds)


@pytest.fixture
def notices(noticing: Deployment) -> Iterator[list[dict[str, Any]]]:
    """Return the list to which `_receive` adds notices. Later notices of the test are removed."""
    yield []
    noticing.aws.sqs.purge_queue(QueueUrl=_queue(noticing))


def _queue(deployment: Deployment) -> str:
    return deployment.aws.sqs.get_queue_url(QueueName="gluebrake-tickets")["QueueUrl"]


def _receive(deployment: Deployment, notices: list[dict[str, Any]]) -> None:
    """Move what the queue has to the notices."""
    url = _queue(deployment)
    while messages := deployment.aws.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            notices.append(json.loads(message["Body"]))
            deployment.aws.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def _await(deployment: Deployment, notices: list[dict[str, Any]], text: str) -> dict[str, Any]:
    """Wait for a notice whose text contains another, and check that it has the schema of chat clients."""

    def received() -> dict[str, Any] | None:
        _receive(deployment, notices)
        return next((notice for notice in notices if text in notice["content"]["description"]), None)

    notice = eventually(received)
    jsonschema.validate(notice, CHAT_SCHEMA)
    return notice


def _start(deployment: Deployment, job: str, count: int = 1, *, minutes: int = 120) -> list[str]:
    jobs.create(deployment.aws, [job])
    return jobs.start(deployment.aws, job, count, {jobs.STARTED_MINUTES_AGO: str(minutes)})


def _sweep(deployment: Deployment, policy: str) -> None:
    body = json.dumps({"Policies": [policy], "Due": datetime.now(UTC).isoformat()})
    deployment.aws.sqs.send_message(QueueUrl=deployment.outputs["SweepQueueUrl"], MessageBody=body)


def test_stop_of_a_policy_gives_one_notice(noticing: Deployment, notices: list[dict[str, Any]]) -> None:
    """CONFIRM says that the run is stopped, by which policy and why. SWEEP says nothing of it."""
    (run_id,) = _start(noticing, "stopping-etl")
    _sweep(noticing, "stopping")
    notice = _await(noticing, notices, run_id)
    description = notice["content"]["description"]
    assert notice["content"]["title"].startswith("Gluebrake: 1 stopped (")
    assert "why `stopping says so`" in description
    assert "`policy/stopping`" in description
    assert len([each for each in notices if run_id in each["content"]["description"]]) == 1


def test_failed_stop_gives_one_notice(noticing: Deployment, notices: list[dict[str, Any]]) -> None:
    """A run that Glue does not know may still be active under another name."""
    _start(noticing, "failing")
    noticing.send(json.dumps({"JobName": "failing", "JobRunIds": ["jr_unknown"]}))
    notice = _await(noticing, notices, "jr_unknown")
    assert notice["content"]["title"].startswith("Gluebrake: 1 not stopped (")
    assert "NotFound: " in notice["content"]["description"]


def test_policy_that_reports_gives_one_notice(noticing: Deployment, notices: list[dict[str, Any]]) -> None:
    """The run is named with its age and an upper bound of its cost, and is still running."""
    (run_id,) = _start(noticing, "reporting-etl")
    _sweep(noticing, "reporting")
    description = _await(noticing, notices, run_id)["content"]["description"]
    assert "The policy reporting newly matches 1 run and stopped none of them" in description
    assert "active for 2 h" in description
    assert "(estimate)" in description
    assert noticing.state("reporting-etl", run_id) == "RUNNING"


def test_notice_on_each_queue_leads_to_none(noticing: Deployment, notices: list[dict[str, Any]]) -> None:
    """The functions ignore it: it is neither a request nor a failure."""
    noticing.send(json.dumps({"JobName": "loop", "JobRunIds": ["jr_loop"]}))
    notice = _await(noticing, notices, "jr_loop")
    notices.clear()
    functions = {"Stop", "Confirm", "Sweep"}
    for name in functions:
        url = noticing.outputs[f"{name}QueueUrl"]
        noticing.aws.sqs.send_message(QueueUrl=url, MessageBody=json.dumps(notice))
    eventually(lambda: {name for name in functions if _ignored(noticing, name)} == functions)
    _receive(noticing, notices)
    assert notices == []
    assert noticing.dead_letter("Gluebrake Notice") is None


def _ignored(deployment: Deployment, function: str) -> bool:
    lines = deployment.log(f"{function}FunctionName")
    return any("this is a notice of Gluebrake" in line for line in lines)


def test_thousand_stops_give_few_notices(noticing: Deployment, notices: list[dict[str, Any]]) -> None:
    """A sweep that finds 1,000 runs of 40 jobs leads to at most ten notices, which count all of them."""
    for number in range(JOBS):
        _start(noticing, f"many-{number}", RUNS_OF_A_JOB)
    _set_window(noticing, "Confirm", 10)
    _sweep(noticing, "many")

    def counted() -> int:
        _receive(noticing, notices)
        return sum(_stopped(notice["content"]["title"]) for notice in notices)

    eventually(lambda: counted() == JOBS * RUNS_OF_A_JOB)
    assert len(notices) <= 10


def _stopped(title: str) -> int:
    """Return the number of stopped runs that a title names."""
    count, _, rest = title.removeprefix("Gluebrake: ").partition(" ")
    return int(count) if rest.startswith("stopped") else 0
