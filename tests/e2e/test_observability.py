"""What the deployed stack logs answers the questions saved with it, and the runbook's commands work."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.runbook import RUNBOOK
from local.aws import KEY, REGION
from local.deployment import log_group
from local.emulator import ROOT
from tests.e2e.conftest import Deployment
from tests.support.eventually import eventually
from tests.support.insights import fields_of

RUNBOOK_PAGE = (ROOT / "docs" / "operations.md").read_text()
FUNCTIONS = ("StopFunctionName", "ConfirmFunctionName")


@pytest.fixture(scope="module")
def run_id(deployment: Deployment) -> str:
    """Have a run stopped and confirmed, and a message refused; return the run's id."""
    (run_id,) = deployment.start("observed")
    request = {"JobName": "observed", "JobRunIds": [run_id], "Reason": "to see", "RequestedBy": "somebody"}
    deployment.send(json.dumps(request))
    deployment.send("no request at all")
    eventually(lambda: any(line["outcome"] == "Stopped" for line in _about(deployment, run_id)))
    eventually(lambda: any(line["outcome"] == "InvalidRequest" for line in _lines(deployment)))
    return run_id


def _lines(deployment: Deployment) -> list[Mapping[str, Any]]:
    """Return the lines that tell an outcome, of both functions."""
    texts = [text for function in FUNCTIONS for text in deployment.log(function) if '"outcome"' in text]
    return [line for line in map(json.loads, texts) if "outcome" in line]


def _about(deployment: Deployment, run_id: str) -> list[Mapping[str, Any]]:
    return [line for line in _lines(deployment) if line.get("job_run_id") == run_id]


def _saved(deployment: Deployment) -> dict[str, dict[str, Any]]:
    """Return the saved queries by name, as they stand in the template that was deployed."""
    body: Any = deployment.aws.cloudformation.get_template(StackName="Gluebrake")["TemplateBody"]
    template = body if isinstance(body, dict) else json.loads(body)
    resources = [
        r["Properties"] for r in template["Resources"].values() if r["Type"].endswith("QueryDefinition")
    ]
    return {properties["Name"]: properties for properties in resources}


def test_every_question_is_about_what_is_logged(deployment: Deployment, run_id: str) -> None:
    """Each field that a deployed query reads occurs in a line of the deployed functions."""
    assert _about(deployment, run_id)
    fields = {field for line in _lines(deployment) for field in line}
    queries = _saved(deployment)
    assert len(queries) == 4
    for name, query in queries.items():
        assert fields_of(query["QueryString"]) <= fields, name


def test_questions_are_asked_of_the_functions_logs(deployment: Deployment) -> None:
    """The log groups that the queries name are those that the functions write to."""
    written = {log_group(deployment.aws, deployment.outputs[function]) for function in FUNCTIONS}
    for query in _saved(deployment).values():
        assert {_physical(deployment, group["Ref"]) for group in query["LogGroupNames"]} == written


def _physical(deployment: Deployment, logical_id: str) -> str:
    answer = deployment.aws.cloudformation.describe_stack_resource(
        StackName="Gluebrake", LogicalResourceId=logical_id
    )
    return answer["StackResourceDetail"]["PhysicalResourceId"]


def test_the_log_tells_who_stopped_a_run_and_that_it_stopped(deployment: Deployment, run_id: str) -> None:
    """The lines of one run are its story: submitted for somebody, for a reason, and really stopped."""
    story = sorted(_about(deployment, run_id), key=lambda line: str(line["timestamp"]))
    assert (story[0]["service"], story[0]["outcome"]) == ("stop", "StopSubmitted")
    assert (story[-1]["service"], story[-1]["outcome"]) == ("confirm", "Stopped")
    assert {(line["requested_by"], line["reason"]) for line in story} == {("somebody", "to see")}
    assert len({line["sender"] for line in story}) == 1


def test_the_alarms_are_there_and_name_the_topic(deployment: Deployment) -> None:
    """Each line of the runbook is an alarm of the deployed stack, whose action is the stack's topic."""
    alarms = deployment.aws.cloudwatch.describe_alarms()["MetricAlarms"]
    actions = {alarm["AlarmName"]: alarm["AlarmActions"] for alarm in alarms}
    for name in RUNBOOK:
        (found,) = (actions[alarm] for alarm in actions if alarm.startswith(f"Gluebrake-Observability{name}"))
        assert found == [deployment.outputs["AlarmTopicArn"]]


def test_the_dashboard_is_there(deployment: Deployment) -> None:
    """The output names a dashboard, whose body names the deployed queues and functions."""
    body = deployment.aws.cloudwatch.get_dashboard(DashboardName=deployment.outputs["DashboardName"])
    text = body["DashboardBody"]
    assert len(json.loads(text)["widgets"]) == 13
    assert all(deployment.outputs[function] in text for function in FUNCTIONS)
    assert deployment.outputs["DeadLetterQueueUrl"].rpartition("/")[2] in text


def _sh(deployment: Deployment, block: str) -> None:
    """Run a block of docs/operations.md as an operator pastes it."""
    names = {re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper(): name for name in FUNCTIONS}
    environ = {
        **os.environ,
        **{variable: deployment.outputs[output] for variable, output in names.items()},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "AWS_ENDPOINT_URL": deployment.aws.endpoint,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "AWS_DEFAULT_REGION": REGION,
    }
    done = subprocess.run(["sh", "-ec", block], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _mappings(deployment: Deployment) -> set[str]:
    return {
        mapping["State"]
        for mapping in deployment.aws.lambda_.list_event_source_mappings()["EventSourceMappings"]
    }


def test_the_kill_switch_loses_nothing(deployment: Deployment) -> None:
    """With the mappings off a request waits in the queue; once they are on again, its run is stopped."""
    off, on = re.findall(
        r"^```sh\n(.+?)^```$", (ROOT / "docs" / "operations.md").read_text(), re.DOTALL | re.MULTILINE
    )
    (run_id,) = deployment.start("switched-off")
    _sh(deployment, off)
    try:
        eventually(lambda: _mappings(deployment) == {"Disabled"})
        deployment.send(json.dumps({"JobName": "switched-off", "JobRunIds": [run_id]}))
        waiting = deployment.aws.sqs.get_queue_attributes(
            QueueUrl=deployment.outputs["StopQueueUrl"], AttributeNames=["ApproximateNumberOfMessages"]
        )
        assert waiting["Attributes"]["ApproximateNumberOfMessages"] == "1"
        assert deployment.state("switched-off", run_id) == "RUNNING"
    finally:
        _sh(deployment, on)
    eventually(lambda: deployment.state("switched-off", run_id) == "STOPPED")
    assert deployment.stop_calls("switched-off") == [[run_id]]
