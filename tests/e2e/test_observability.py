"""The deployed stack's logs fit its saved queries, alarms and dashboard, and the runbook's commands work."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from typing import Any

import pytest

from infra.config import Config
from infra.queries import QUERIES
from infra.runbook import runbook
from local.deployment import log_group
from local.emulator import ROOT
from tests.docs.document import Document
from tests.e2e.cli import environ
from tests.e2e.conftest import Deployment
from tests.support.eventually import eventually
from tests.support.insights import fields_of

RUNBOOK_PAGE = Document(ROOT / "docs" / "operations.md")
FUNCTIONS = ("StopFunctionName", "ConfirmFunctionName")


@pytest.fixture(scope="module")
def run_id(deployment: Deployment) -> str:
    """Let a run be stopped and confirmed, another be left in a dry run, and a message be refused.

    Return the stopped run's id.
    """
    run_id, active = deployment.start("observed", 2)
    deployment.send(json.dumps({"JobName": "observed", "JobRunIds": [active], "DryRun": True}))
    eventually(lambda: any(line["outcome"] == "WouldStop" for line in _lines_of_run(deployment, active)))
    request = {"JobName": "observed", "JobRunIds": [run_id], "Reason": "over budget", "RequestedBy": "operator"}
    deployment.send(json.dumps(request))
    deployment.aws.sns.publish(TopicArn=deployment.outputs["SignalTopicArn"], Message="not a stop request")
    eventually(lambda: any(line["outcome"] == "Stopped" for line in _lines_of_run(deployment, run_id)))
    eventually(lambda: any(line["outcome"] == "InvalidRequest" for line in _outcome_lines(deployment)))
    return run_id


def _outcome_lines(deployment: Deployment) -> list[Mapping[str, Any]]:
    """Return the log lines of both functions that have an outcome."""
    texts = [text for function in FUNCTIONS for text in deployment.log(function) if '"outcome"' in text]
    return [line for line in map(json.loads, texts) if "outcome" in line]


def _lines_of_run(deployment: Deployment, run_id: str) -> list[Mapping[str, Any]]:
    return [line for line in _outcome_lines(deployment) if line.get("job_run_id") == run_id]


def _saved_queries(deployment: Deployment) -> dict[str, dict[str, Any]]:
    """Return the saved queries of the deployed template, by name."""
    body: Any = deployment.aws.cloudformation.get_template(StackName="Gluebrake")["TemplateBody"]
    template = body if isinstance(body, dict) else json.loads(body)
    resources = [
        r["Properties"] for r in template["Resources"].values() if r["Type"].endswith("QueryDefinition")
    ]
    return {properties["Name"]: properties for properties in resources}


def test_saved_queries_read_fields_that_are_logged(deployment: Deployment, run_id: str) -> None:
    """Each field of a deployed query occurs in a log line of the deployed functions."""
    assert _lines_of_run(deployment, run_id)
    fields = {field for line in _outcome_lines(deployment) for field in line}
    queries = _saved_queries(deployment)
    assert queries.keys() == {f"Gluebrake/{name}" for name in QUERIES}
    for name, query in queries.items():
        assert fields_of(query["QueryString"]) <= fields, name


def test_saved_queries_read_the_functions_log_groups(deployment: Deployment) -> None:
    """The log groups of the queries are the log groups of the functions."""
    log_groups = {log_group(deployment.aws, deployment.outputs[function]) for function in FUNCTIONS}
    for query in _saved_queries(deployment).values():
        assert {_physical_id(deployment, group["Ref"]) for group in query["LogGroupNames"]} == log_groups


def _physical_id(deployment: Deployment, logical_id: str) -> str:
    answer = deployment.aws.cloudformation.describe_stack_resource(
        StackName="Gluebrake", LogicalResourceId=logical_id
    )
    return answer["StackResourceDetail"]["PhysicalResourceId"]


def test_log_has_the_requester_and_the_confirmation_of_a_stop(deployment: Deployment, run_id: str) -> None:
    """The lines of one run have who requested the stop and why, and that the run is STOPPED."""
    lines = sorted(_lines_of_run(deployment, run_id), key=lambda line: str(line["timestamp"]))
    assert (lines[0]["service"], lines[0]["outcome"]) == ("stop", "StopSubmitted")
    assert (lines[-1]["service"], lines[-1]["outcome"]) == ("confirm", "Stopped")
    assert {(line["requested_by"], line["reason"]) for line in lines} == {("operator", "over budget")}
    assert len({line["sender"] for line in lines}) == 1


def test_alarms_exist_and_notify_the_topic(deployment: Deployment) -> None:
    """Each runbook entry is an alarm of the deployed stack, and the alarm's action is the stack's topic."""
    alarms = deployment.aws.cloudwatch.describe_alarms()["MetricAlarms"]
    actions = {alarm["AlarmName"]: alarm["AlarmActions"] for alarm in alarms}
    for name in runbook(Config()):
        (alarm_actions,) = (
            actions[alarm] for alarm in actions if alarm.startswith(f"Gluebrake-Observability{name}")
        )
        assert alarm_actions == [deployment.outputs["AlarmTopicArn"]]


def test_dashboard_exists(deployment: Deployment) -> None:
    """The output names a dashboard with the deployed queue and functions."""
    body = deployment.aws.cloudwatch.get_dashboard(DashboardName=deployment.outputs["DashboardName"])
    text = body["DashboardBody"]
    assert json.loads(text)["widgets"][0]["properties"]["view"] == "singleValue"
    assert all(deployment.outputs[function] in text for function in FUNCTIONS)
    assert deployment.outputs["DeadLetterQueueUrl"].rpartition("/")[2] in text


def _sh(deployment: Deployment, block: str) -> None:
    """Run a shell block of docs/operations.md as an operator would."""
    process = subprocess.run(
        ["sh", "-ec", block], env=environ(deployment), capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr


def _mapping_states(deployment: Deployment) -> set[str]:
    return {
        mapping["State"]
        for mapping in deployment.aws.lambda_.list_event_source_mappings()["EventSourceMappings"]
    }


def test_kill_switch_loses_no_request(deployment: Deployment) -> None:
    """While the mappings are disabled, a request waits. Once they are enabled again, its run is stopped."""
    (disable,) = RUNBOOK_PAGE.fences("Switch it off")
    enable = disable.replace("--no-enabled", "--enabled")
    (run_id,) = deployment.start("switched-off")
    _sh(deployment, disable)
    try:
        eventually(lambda: _mapping_states(deployment) == {"Disabled"})
        deployment.send(json.dumps({"JobName": "switched-off", "JobRunIds": [run_id]}))
        waiting = deployment.aws.sqs.get_queue_attributes(
            QueueUrl=deployment.outputs["StopQueueUrl"], AttributeNames=["ApproximateNumberOfMessages"]
        )
        assert waiting["Attributes"]["ApproximateNumberOfMessages"] == "1"
        assert deployment.state("switched-off", run_id) == "RUNNING"
    finally:
        _sh(deployment, enable)
    eventually(lambda: deployment.state("switched-off", run_id) == "STOPPED")
    assert deployment.stop_calls("switched-off") == [[run_id]]
