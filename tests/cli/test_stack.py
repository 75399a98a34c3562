"""The deployment is found by its stack, and read from the resources in the stack's outputs."""

from __future__ import annotations

import dataclasses
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import ANY

from gluebrake.model import AwsEnvironment, JobRun
from gluebrake.stages import Queue
from gluebrake_cli.clients import open_session
from gluebrake_cli.errors import OperatorError
from gluebrake_cli.health import Alarm, MappingState
from gluebrake_cli.stack import Deployment, find
from tests.cli.command_line import STACK_ID
from tests.cli.stubbed import OUTPUTS, Stubbed
from tests.support.fakes.aws_server import ACCOUNT, REGION
from tests.support.simulated_aws import SimulatedAws

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
UUIDS = {
    "stopper": "9dfb8c77-389e-44d4-9452-f3326f5f15f5",
    "confirmer": "4859b7d1-233c-4838-8ef8-4e3200c20c0d",
}


@pytest.fixture
def config_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Name an empty file as ~/.aws/config, and remove every Region and profile from the environment."""
    file = tmp_path / "config"
    file.touch()
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
    return file


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ({"AWS_REGION": "eu-west-1"}, "eu-west-1"),
        ({"AWS_REGION": "eu-west-1", "profile": "us-east-1"}, "eu-west-1"),
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2", "profile": "us-east-1"}, "eu-west-1"),
        ({"AWS_DEFAULT_REGION": "eu-west-2", "profile": "us-east-1"}, "eu-west-2"),
        ({"AWS_REGION": "", "AWS_DEFAULT_REGION": "eu-west-2", "profile": "us-east-1"}, "eu-west-2"),
        ({"profile": "us-east-1"}, "us-east-1"),
        ({"--region": "eu-west-3", "AWS_REGION": "eu-west-1", "profile": "us-east-1"}, "eu-west-3"),
        ({}, None),
    ],
)
def test_the_region_has_one_order(
    config_file: Path, monkeypatch: pytest.MonkeyPatch, named: dict[str, str], expected: str | None
) -> None:
    """The order is --region, AWS_REGION, AWS_DEFAULT_REGION, the profile: as in the CDK, which deploys."""
    if "profile" in named:
        config_file.write_text(f"[default]\nregion = {named['profile']}\n")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        if name in named:
            monkeypatch.setenv(name, named[name])
    assert open_session(profile=None, region=named.get("--region")).region_name == expected


def test_aws_region_wins_over_the_region_of_a_given_profile(
    config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--profile selects credentials. Its Region is the last choice, as in the CDK."""
    config_file.write_text("[profile prod]\nregion = us-east-1\n")
    assert open_session(profile="prod", region=None).region_name == "us-east-1"
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert open_session(profile="prod", region=None).region_name == "eu-west-1"


def _stack(outputs: dict[str, str]) -> dict[str, Any]:
    stack = {
        "StackId": STACK_ID,
        "StackName": "x",
        "CreationTime": NOW,
        "StackStatus": "CREATE_COMPLETE",
        "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()],
    }
    return {"Stacks": [stack]}


def test_the_stack_names_its_resources_and_its_place(stubbed: Stubbed) -> None:
    """The deployment has the stack's name and outputs, and the account and the Region of the stack's ARN."""
    stubbed.answer("cloudformation", "describe_stacks", _stack(OUTPUTS), StackName="brake-2")
    deployment = find("brake-2", stubbed.clients, "eu-west-1")
    assert (deployment.stack, deployment.outputs) == ("Gluebrake", OUTPUTS)
    assert deployment.aws_environment == AwsEnvironment(ACCOUNT, REGION)


@pytest.mark.parametrize("account", ["", " (account 123456789012)"])
def test_a_missing_stack_is_an_error_with_its_place(stubbed: Stubbed, account: str) -> None:
    """The error names the Region and, if STS answers, the account: a wrong one is the most frequent cause."""
    stubbed.of("cloudformation").add_client_error(
        "describe_stacks", "ValidationError", "Stack with id Gluebrake does not exist"
    )
    if account:
        stubbed.answer("sts", "get_caller_identity", {"Account": ACCOUNT})
    else:
        stubbed.of("sts").add_client_error("get_caller_identity", "AccessDenied")
    place = re.escape(f"eu-west-1{account}")
    with pytest.raises(OperatorError, match=rf"no stack 'Gluebrake' in {place}: .*--region"):
        find("Gluebrake", stubbed.clients, "eu-west-1")


def test_an_optional_stage_may_be_missing(stubbed: Stubbed) -> None:
    """A stack has the queue and the function of an optional stage only if its configuration asks for them."""
    assert "sweep" not in stubbed.deployment.function_names
    assert Queue.SWEEP not in stubbed.deployment.queue_urls
    more = {"SweepQueueUrl": "https://sqs/1/sweep", "SweepFunctionName": "sweeper"}
    sweeping = dataclasses.replace(stubbed.deployment, outputs={**OUTPUTS, **more})
    assert list(sweeping.function_names.values()) == ["stopper", "confirmer", "sweeper"]
    assert sweeping.queue_urls[Queue.SWEEP] == "https://sqs/1/sweep"


def test_another_stack_is_an_error(stubbed: Stubbed) -> None:
    """A stack without the outputs of Gluebrake is refused at once."""
    stubbed.answer("cloudformation", "describe_stacks", _stack({"Other": "x"}), StackName="website")
    with pytest.raises(OperatorError, match="'website' is not a Gluebrake stack"):
        find("website", stubbed.clients, "eu-west-1")


def test_the_stacks_alarms_are_read(stubbed: Stubbed) -> None:
    """Metric alarms and composite alarms of the stack are read, with the names by which people know them."""
    alarm = "ObservabilityStopQueueStalls2280728E"
    resources = [(alarm, "AWS::CloudWatch::Alarm", "lost"), ("C", "AWS::CloudWatch::CompositeAlarm", "all")]
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
        "MetricAlarms": [{"AlarmName": "lost", "StateValue": "ALARM", "AlarmDescription": "a dead letter"}],
        "CompositeAlarms": [{"AlarmName": "all", "StateValue": "OK"}],
    }
    kinds = ["MetricAlarm", "CompositeAlarm"]
    stubbed.answer(
        "cloudwatch", "describe_alarms", answer, AlarmNames=["lost", "all"], AlarmTypes=kinds, MaxRecords=100
    )
    assert stubbed.deployment.alarms() == [
        Alarm("lost", "ALARM", "a dead letter", "StopQueueStalls"),
        Alarm("all", "OK", "", "C"),
    ]


def test_the_newest_age_of_each_queue_is_read(stubbed: Stubbed) -> None:
    """The first value is the newest. A queue without values has no age."""
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


def test_the_mappings_are_read(stubbed: Stubbed) -> None:
    """Each function has the state of its event source mapping."""
    for name, state in (("stopper", "Disabled"), ("confirmer", "Enabled")):
        stubbed.answer(
            "lambda_",
            "list_event_source_mappings",
            {"EventSourceMappings": [{"State": state, "UUID": UUIDS[name]}]},
            FunctionName=name,
        )
    assert stubbed.deployment.mappings() == [
        MappingState("stop", "Disabled", UUIDS["stopper"]),
        MappingState("confirm", "Enabled", UUIDS["confirmer"]),
    ]


def _answer_log_groups(stubbed: Stubbed) -> None:
    for name in ("stopper", "confirmer"):
        configuration = {"LoggingConfig": {"LogGroup": f"/{name}"}}
        stubbed.answer("lambda_", "get_function_configuration", configuration, FunctionName=name)


def _page(*entries: tuple[str, str], token: str = "") -> dict[str, Any]:
    events = [{"message": json.dumps({"timestamp": at, "outcome": outcome})} for at, outcome in entries]
    return {"events": [{"message": "START RequestId: 1"}, *events], **({"nextToken": token} if token else {})}


def _search(group: str, **more: Any) -> dict[str, Any]:
    start = int(NOW.timestamp() * 1000)
    return {"logGroupName": group, "filterPattern": "{ $.outcome = * }", "startTime": start, **more}


def test_both_logs_are_merged(stubbed: Stubbed) -> None:
    """The outcomes of both functions are in the order of time, without Lambda's own lines."""
    _answer_log_groups(stubbed)
    stop = _page(("03:00", "StopSubmitted"), ("03:02", "Retrying"))
    stubbed.answer("logs", "filter_log_events", stop, **_search("/stopper"))
    stubbed.answer("logs", "filter_log_events", _page(("03:01", "Stopped")), **_search("/confirmer"))
    outcomes = [line["outcome"] for line in stubbed.deployment.outcomes(NOW)]
    assert outcomes == ["StopSubmitted", "Stopped", "Retrying"]


def test_every_page_of_a_log_is_read(stubbed: Stubbed) -> None:
    """The newest events are on the last page, which may follow many empty ones. The end is exclusive."""
    _answer_log_groups(stubbed)
    end = {"endTime": int(NOW.timestamp() * 1000) + 59_999}
    for number in range(30):
        page, token = {"events": [], "nextToken": str(number + 1)}, {"nextToken": str(number)} if number else {}
        stubbed.answer("logs", "filter_log_events", page, **_search("/stopper", **end, **token))
    last = _page(("03:00", "Stopped"))
    stubbed.answer("logs", "filter_log_events", last, **_search("/stopper", **end, nextToken="30"))
    stubbed.answer("logs", "filter_log_events", {"events": []}, **_search("/confirmer", **end))
    lines = stubbed.deployment.outcomes(NOW, NOW + timedelta(minutes=1))
    assert [line["outcome"] for line in lines] == ["Stopped"]


def test_the_caller_is_the_identity_of_the_credentials(stubbed: Stubbed) -> None:
    """The request, and so the log, has the ARN."""
    arn = "arn:aws:sts::123456789012:assumed-role/ops/night-shift"
    stubbed.answer("sts", "get_caller_identity", {"UserId": "x", "Account": "123456789012", "Arn": arn})
    assert stubbed.deployment.caller() == arn


def test_states_are_read_page_by_page(deployment: Deployment, simulation: SimulatedAws) -> None:
    """Runs that fill two pages cost two calls. Of older runs, a few are read one by one."""
    for number in range(250):
        simulation.aws.glue.add_run("etl", f"jr_{number}", started_on=NOW - timedelta(minutes=number))
    runs = [JobRun("etl", f"jr_{number}") for number in range(250)]
    assert deployment.states(runs) == dict.fromkeys(runs, "RUNNING")
    assert (len(simulation.aws.requests("GetJobRuns")), simulation.aws.requests("GetJobRun")) == (2, [])
    assert len(deployment.states(runs[200:220])) == 5
    assert (len(simulation.aws.requests("GetJobRuns")), len(simulation.aws.requests("GetJobRun"))) == (3, 5)


def test_states_of_several_jobs_cost_few_calls(deployment: Deployment, simulation: SimulatedAws) -> None:
    """Jobs with several runs are read by pages, at most five jobs. Of the rest, five runs are read alone."""
    runs = [JobRun(f"shared_{job}", f"jr_{number}") for job in range(7) for number in range(3)]
    single = [JobRun(f"single_{job}", "jr_0") for job in range(4)]
    for run in (*runs, *single):
        simulation.aws.glue.add_run(run.job_name, run.run_id)
    states = deployment.states([*runs, *single])
    assert (len(simulation.aws.requests("GetJobRuns")), len(simulation.aws.requests("GetJobRun"))) == (5, 5)
    assert len(states) == 5 * 3 + 5
    assert set(states.values()) == {"RUNNING"}
    # Each reading chooses by chance, so that a few readings show them all.
    for _ in range(200):
        states |= deployment.states({*runs, *single} - states.keys())
    assert states.keys() == {*runs, *single}


def test_a_few_runs_of_several_jobs_are_read_one_by_one(
    deployment: Deployment, simulation: SimulatedAws
) -> None:
    """A page has up to 200 runs of which only one may be waited for."""
    runs = [JobRun(f"job_{number // 2}", f"jr_{number}") for number in range(5)]
    for run in runs:
        simulation.aws.glue.add_run(run.job_name, run.run_id)
    assert deployment.states(runs) == dict.fromkeys(runs, "RUNNING")
    assert simulation.aws.requests("GetJobRuns") == []


def test_a_run_that_glue_does_not_know_has_no_state(deployment: Deployment, simulation: SimulatedAws) -> None:
    """Its outcome is in the log, after the function has asked Glue twice."""
    simulation.aws.glue.add_job("etl")
    assert deployment.states([JobRun("etl", "jr_unknown")]) == {}
