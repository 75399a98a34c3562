"""A deployed Gluebrake is found by its stack, and read where it says that things are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from gluebrake.model import JobRun
from gluebrake_cli import aws
from gluebrake_cli.aws import Clients, Deployment
from gluebrake_cli.errors import OperatorError
from gluebrake_cli.health import Alarm, MappingState
from tests.support.simulated_aws import World

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
OUTPUTS = {
    "StopQueueUrl": "https://sqs/1/stop",
    "ConfirmQueueUrl": "https://sqs/1/confirm",
    "DeadLetterQueueUrl": "https://sqs/1/dead",
    "StopFunctionName": "stopper",
    "ConfirmFunctionName": "confirmer",
}


class _Stubbed:
    """Clients whose answers a test prepares; each is checked against the service's own model."""

    def __init__(self) -> None:
        session = boto3.Session("key", "secret", region_name="eu-west-1")
        self.clients = Clients(session)
        self.deployment = Deployment(self.clients, "Gluebrake", OUTPUTS)
        self._stubbers: dict[str, Stubber] = {}

    def of(self, service: str) -> Stubber:
        """Return the stubber of a service."""
        if service not in self._stubbers:
            self._stubbers[service] = Stubber(getattr(self.clients, service))
            self._stubbers[service].activate()
        return self._stubbers[service]

    def answer(self, service: str, operation: str, answer: dict[str, Any], **expected: Any) -> None:
        """Prepare the answer to the next call of a service."""
        self.of(service).add_response(operation, answer, expected)

    def check(self) -> None:
        """Make sure that each prepared call was made."""
        for stubber in self._stubbers.values():
            stubber.assert_no_pending_responses()


@pytest.fixture
def stubbed() -> Iterator[_Stubbed]:
    """Prepare clients, and check at the end that all that was prepared was asked for."""
    stubbed = _Stubbed()
    yield stubbed
    stubbed.check()


def _stack(outputs: dict[str, str]) -> dict[str, Any]:
    told = [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()]
    return {
        "Stacks": [{"StackName": "x", "CreationTime": NOW, "StackStatus": "CREATE_COMPLETE", "Outputs": told}]
    }


def test_a_stack_tells_where_things_are(stubbed: _Stubbed) -> None:
    """The outputs name the queues and the functions."""
    stubbed.answer("cloudformation", "describe_stacks", _stack(OUTPUTS), StackName="brake-2")
    deployment = aws.find("brake-2", stubbed.clients, "eu-west-1")
    assert (deployment.stack, deployment.outputs) == ("brake-2", OUTPUTS)


def test_no_stack_is_told_with_what_to_give(stubbed: _Stubbed) -> None:
    """The Region stands in the error, since it is most often the wrong one."""
    stubbed.of("cloudformation").add_client_error(
        "describe_stacks", "ValidationError", "Stack with id Gluebrake does not exist"
    )
    with pytest.raises(OperatorError, match=r"no stack 'Gluebrake' in eu-west-1: .*--region"):
        aws.find("Gluebrake", stubbed.clients, "eu-west-1")


def test_another_stack_is_none_of_ours(stubbed: _Stubbed) -> None:
    """A stack without our outputs is told as that, not as a crash later."""
    stubbed.answer("cloudformation", "describe_stacks", _stack({"Other": "x"}), StackName="website")
    with pytest.raises(OperatorError, match="'website' is no Gluebrake"):
        aws.find("website", stubbed.clients, "eu-west-1")


def test_the_stacks_alarms_are_read(stubbed: _Stubbed) -> None:
    """Only the alarms of the stack are told, of either kind, and no call is made for none."""
    resources = [("A", "AWS::CloudWatch::Alarm", "lost"), ("C", "AWS::CloudWatch::CompositeAlarm", "all")]
    listed = [
        {
            "LogicalResourceId": logical,
            "PhysicalResourceId": physical,
            "ResourceType": kind,
            "ResourceStatus": "CREATE_COMPLETE",
            "LastUpdatedTimestamp": NOW,
        }
        for logical, kind, physical in (*resources, ("Q", "AWS::SQS::Queue", "dead"))
    ]
    stubbed.answer(
        "cloudformation", "list_stack_resources", {"StackResourceSummaries": listed}, StackName="Gluebrake"
    )
    answer = {
        "MetricAlarms": [{"AlarmName": "lost", "StateValue": "ALARM", "AlarmDescription": "a letter"}],
        "CompositeAlarms": [{"AlarmName": "all", "StateValue": "OK"}],
    }
    kinds = ["MetricAlarm", "CompositeAlarm"]
    stubbed.answer(
        "cloudwatch", "describe_alarms", answer, AlarmNames=["lost", "all"], AlarmTypes=kinds, MaxRecords=100
    )
    assert stubbed.deployment.alarms() == [Alarm("lost", "ALARM", "a letter"), Alarm("all", "OK", "")]


def test_the_newest_age_of_each_queue_is_read(stubbed: _Stubbed) -> None:
    """The first value is the newest; a queue that CloudWatch knows nothing of has no age."""
    results = [
        {"Id": "q0", "Values": [12.0, 900.0]},
        {"Id": "q1", "Values": []},
        {"Id": "q2", "Values": [3.0]},
    ]
    stubbed.answer(
        "cloudwatch",
        "get_metric_data",
        {"MetricDataResults": results},
        StartTime=NOW - timedelta(minutes=15),
        EndTime=NOW,
        ScanBy="TimestampDescending",
        MetricDataQueries=ANY,
    )
    assert stubbed.deployment.oldest_ages(NOW) == {"stop": 12, "dead letters": 3}


def test_the_mappings_are_read(stubbed: _Stubbed) -> None:
    """A mapping that somebody disabled is told by its function."""
    for name, state in (("stopper", "Disabled"), ("confirmer", "Enabled")):
        stubbed.answer(
            "lambda_",
            "list_event_source_mappings",
            {"EventSourceMappings": [{"State": state}]},
            FunctionName=name,
        )
    assert stubbed.deployment.mappings() == [
        MappingState("stop", "Disabled"),
        MappingState("confirm", "Enabled"),
    ]


def test_both_logs_are_read_as_one(stubbed: _Stubbed) -> None:
    """The outcomes of both functions come in the order of time, without Lambda's own lines."""
    for name in ("stopper", "confirmer"):
        stubbed.answer(
            "lambda_",
            "get_function_configuration",
            {"LoggingConfig": {"LogGroup": f"/{name}"}},
            FunctionName=name,
        )
    lines = {
        "/stopper": [("03:00", "StopSubmitted"), ("03:02", "Retrying")],
        "/confirmer": [("03:01", "Stopped")],
    }
    for group, told in lines.items():
        events = [{"message": json.dumps({"timestamp": at, "outcome": outcome})} for at, outcome in told]
        stubbed.answer(
            "logs",
            "filter_log_events",
            {"events": [{"message": "START RequestId: 1"}, *events]},
            logGroupName=group,
            filterPattern="{ $.outcome = * }",
            startTime=int(NOW.timestamp() * 1000),
        )
    assert [line["outcome"] for line in stubbed.deployment.outcomes(NOW)] == [
        "StopSubmitted",
        "Stopped",
        "Retrying",
    ]


def test_who_asks_is_the_identity_of_the_credentials(stubbed: _Stubbed) -> None:
    """The ARN stands in the request, and so in the log."""
    arn = "arn:aws:sts::123456789012:assumed-role/ops/night-shift"
    stubbed.answer("sts", "get_caller_identity", {"UserId": "x", "Account": "123456789012", "Arn": arn})
    assert stubbed.deployment.caller() == arn


def test_states_are_read_page_by_page(deployment: Deployment, world: World) -> None:
    """As many runs as fill two pages cost two calls, and runs older than those pages a few more each time."""
    for number in range(250):
        world.aws.glue.add_run("etl", f"jr_{number}", started_on=NOW - timedelta(minutes=number))
    runs = [JobRun("etl", f"jr_{number}") for number in range(250)]
    assert deployment.states(runs) == dict.fromkeys(runs, "RUNNING")
    assert (len(world.aws.requests("GetJobRuns")), world.aws.requests("GetJobRun")) == (2, [])
    assert len(deployment.states(runs[200:220])) == 5
    assert (len(world.aws.requests("GetJobRuns")), len(world.aws.requests("GetJobRun"))) == (3, 5)


def test_a_run_that_glue_does_not_know_has_no_state(deployment: Deployment, world: World) -> None:
    """It is told by the log, after the function has asked twice."""
    world.aws.glue.add_job("etl")
    assert deployment.states([JobRun("etl", "jr_unknown")]) == {}
