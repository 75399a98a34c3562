"""The canary: its job and script, and the schedule, the metric and the alarm that exist while it is on."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import boto3
import pytest
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

from gluebrake.contract import NAMESPACE
from gluebrake.patterns import matches, matches_any
from gluebrake.settings import StopSettings, load
from infra import canary_job
from infra.config import Config
from infra.config import load as load_config
from infra.names import CANARY_JOB, STACK
from tests.infra.conftest import Synthesise
from tests.infra.template import Template, plain
from tests.support.simulated_aws import SimulatedAws

_JOB_ARN: Final = f"arn:aws:glue:eu-west-1:123456789012:job/{CANARY_JOB}"
_QUEUE: Final = "https://sqs.eu-west-1.amazonaws.com/123456789012/stop"
_SCRIPT: Final = Path(canary_job.__file__)
_KINDS: Final = {
    "AWS::Scheduler::Schedule": "CanarySchedule",
    "AWS::Logs::MetricFilter": "CanaryStopped",
    "AWS::CloudWatch::Alarm": "ObservabilityCanarySilent",
}
"""The resources that exist only while the canary is on, by type."""


@pytest.fixture(scope="module")
def daily(synthesised: Synthesise) -> Template:
    """Return the template with a daily canary."""
    return synthesised(canary="rate(1 day)")


def _statements(template: Template, role: str) -> list[dict[str, Any]]:
    statements: list[dict[str, Any]] = template.only("AWS::IAM::Policy", role)["PolicyDocument"]["Statement"]
    return statements


def test_the_stack_has_the_name_that_the_job_starts_with(template: Template) -> None:
    """The job's name is fixed, so it is one job for the one stack of an account and Region."""
    assert (template.directory / f"{STACK}.template.json").exists()
    assert CANARY_JOB.startswith(f"{STACK}-")
    assert re.fullmatch(r"[A-Za-z0-9-]+", CANARY_JOB)


def test_the_job_is_small_and_is_not_repeated(template: Template) -> None:
    """A run that is not stopped costs a sixteenth of a DPU for 15 minutes at most, and starts no other run."""
    job = template.only("AWS::Glue::Job")
    assert (job["MaxCapacity"], job["Timeout"], job["MaxRetries"]) == (0.0625, 15, 0)
    assert job["Timeout"] * 60 > canary_job.WAIT_SECONDS
    assert (job["Command"]["Name"], job["Command"]["PythonVersion"]) == ("pythonshell", "3.9")
    assert template.body["Outputs"]["CanaryJobName"]["Value"] == {"Ref": _logical_id(template)}


def _logical_id(template: Template) -> str:
    (logical_id,) = template.resources("AWS::Glue::Job")
    return logical_id


def test_the_jobs_role_can_read_the_script_log_and_request_a_stop(template: Template) -> None:
    """The role has no other permission, and only Glue can assume it."""
    read_script, request_stop, log = _statements(template, "CanaryRole")
    script = template.only("AWS::Glue::Job")["Command"]["ScriptLocation"].removeprefix("s3://")
    assert read_script == {
        "Sid": "ReadScript",
        "Effect": "Allow",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{script}",
    }
    assert request_stop == {
        "Sid": "RequestStop",
        "Effect": "Allow",
        "Action": "sqs:SendMessage",
        "Resource": "<MessagingStopQueue.Arn>",
    }
    assert log == {
        "Sid": "Log",
        "Effect": "Allow",
        "Action": ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": "arn:aws:logs:eu-west-1:123456789012:log-group:/aws-glue/python-jobs/*",
    }
    assert _principals(template, "CanaryRole") == [{"Service": "glue.amazonaws.com"}]
    assert template.only("AWS::IAM::Role", "CanaryRole").keys() == {"AssumeRolePolicyDocument"}


def _principals(template: Template, role: str) -> list[Any]:
    document = template.only("AWS::IAM::Role", role)["AssumeRolePolicyDocument"]
    return [statement["Principal"] for statement in document["Statement"]]


def test_the_scripts_asset_is_the_script(template: Template) -> None:
    """Glue runs the file of the repository, unchanged."""
    assets = json.loads((template.directory / f"{STACK}.assets.json").read_text())["files"].values()
    (path,) = (asset["source"]["path"] for asset in assets if asset["source"]["path"].endswith(".py"))
    assert (template.directory / path).read_bytes() == _SCRIPT.read_bytes()


def test_the_script_is_for_the_python_of_glue() -> None:
    """The script is valid in Python 3.9, and imports nothing that Glue does not have."""
    tree = ast.parse(_SCRIPT.read_text(), feature_version=(3, 9))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported == {"argparse", "boto3", "json", "sys", "time"}
    assert modules == {"__future__", "collections.abc", "typing"}


def _arguments(template: Template) -> list[str]:
    """Return the arguments of a run, with one of Glue's own."""
    defaults = template.only("AWS::Glue::Job")["DefaultArguments"] | {"--gluebrake_stop_queue_url": _QUEUE}
    return ["--job-bookmark-option", "job-bookmark-disable", *(t for pair in defaults.items() for t in pair)]


def test_the_script_sends_its_request_and_waits(template: Template) -> None:
    """The job's arguments suffice. A run that nothing stops ends with an error: Glue shows it as FAILED."""
    sqs = boto3.client("sqs", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")  # noqa: S106
    regions: list[tuple[str, str]] = []
    waits: list[float] = []

    def client(service: str, region_name: str) -> Any:
        regions.append((service, region_name))
        return sqs

    with Stubber(sqs) as stubber:
        body = canary_job.stop_request(CANARY_JOB)
        stubber.add_response("send_message", {}, {"QueueUrl": _QUEUE, "MessageBody": body})
        with pytest.raises(canary_job.NotStoppedError, match="did not stop this run within 600 seconds"):
            canary_job.main(_arguments(template), client=client, sleep=waits.append)
        stubber.assert_no_pending_responses()
    assert regions == [("sqs", "eu-west-1")]
    assert waits == [canary_job.WAIT_SECONDS]


def test_the_requested_stop_is_counted(daily: Template) -> None:
    """STOP accepts the script's request, and the metric filter matches exactly the line of the stopped run."""
    with SimulatedAws(jobs=list(Config(jobs=("etl-*",)).stoppable_jobs)) as simulation:
        for job_name in (CANARY_JOB, "etl-1"):
            started_on = simulation.clock() - timedelta(seconds=20)
            simulation.aws.glue.add_run(job_name, f"run-of-{job_name}", started_on=started_on)
            simulation.put(canary_job.stop_request(job_name))
        simulation.run()
        lines = [line for invocation in simulation.invocations for line in invocation.lines]
    (counted,) = (line for line in lines if _is_counted(daily, line))
    assert (counted["service"], counted["job_run_id"]) == ("confirm", f"run-of-{CANARY_JOB}")
    assert counted["requested_by"] == "canary"


def _is_counted(template: Template, line: Mapping[str, Any]) -> bool:
    pattern = template.only("AWS::Logs::MetricFilter")["FilterPattern"]
    conditions = dict(re.findall(r'\(\$\.(\w+) = "([^"]+)"\)', pattern))
    assert len(conditions) == pattern.count("=")
    return all(line.get(name) == value for name, value in conditions.items())


@pytest.mark.parametrize("values", [{}, {"canary": None}, {"canary": "rate(1 day)", "observe": True}])
def test_a_canary_that_is_off_never_starts(synthesised: Synthesise, values: dict[str, Any]) -> None:
    """Without a rate, or where nothing is stopped, there is a job and nothing that starts or watches it."""
    template = synthesised(**values)
    assert template.only("AWS::Glue::Job")["Name"] == CANARY_JOB
    found = [name for kind in _KINDS for name in template.resources(kind) if name.startswith(_KINDS[kind])]
    assert found == []
    assert not [name for name in template.resources("AWS::IAM::Role") if name.startswith("CanarySchedulerRole")]


def test_the_schedule_starts_the_job(daily: Template) -> None:
    """A start is retried for an hour. It becomes no dead letter, which could be redriven as a stop request."""
    schedule = daily.only("AWS::Scheduler::Schedule")
    assert (schedule["ScheduleExpression"], schedule["State"]) == ("rate(1 day)", "ENABLED")
    target = schedule["Target"]
    assert json.loads(target.pop("Input")) == {"JobName": CANARY_JOB}
    assert target == {
        "Arn": "arn:aws:scheduler:::aws-sdk:glue:startJobRun",
        "RoleArn": "<CanarySchedulerRole.Arn>",
        "RetryPolicy": {"MaximumEventAgeInSeconds": 3600, "MaximumRetryAttempts": 3},
    }


def test_the_first_run_finds_what_it_needs(daily: Template) -> None:
    """The schedule starts a run as soon as it exists, so it is created after roles, job and filter."""
    (schedule,) = daily.resources("AWS::Scheduler::Schedule").values()
    (job,) = daily.resources("AWS::Glue::Job").values()
    needed = {name[:-8] for name in schedule["DependsOn"]}
    assert {"CanaryJob", "CanarySchedulerRoleDefaultPolicy", "CanaryStopped"} <= needed
    assert "CanaryRoleDefaultPolicy" in {name[:-8] for name in job["DependsOn"]}


def test_the_schedulers_role_can_start_this_job_only(daily: Template) -> None:
    """EventBridge Scheduler assumes it for schedules of this account, and it starts no other job."""
    assert _statements(daily, "CanarySchedulerRole") == [
        {"Sid": "StartRun", "Effect": "Allow", "Action": "glue:StartJobRun", "Resource": _JOB_ARN}
    ]
    (trust,) = daily.only("AWS::IAM::Role", "CanarySchedulerRole")["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "scheduler.amazonaws.com"}
    assert trust["Condition"] == {
        "StringEquals": {
            "aws:SourceAccount": "123456789012",
            "aws:SourceArn": "arn:aws:scheduler:eu-west-1:123456789012:schedule-group/default",
        }
    }


def test_the_alarm_watches_the_metric_of_the_filter(daily: Template) -> None:
    """No data is a silent canary. After its creation, the alarm waits for the first run."""
    (transformation,) = daily.only("AWS::Logs::MetricFilter")["MetricTransformations"]
    alarm = daily.only("AWS::CloudWatch::Alarm", "ObservabilityCanarySilent")
    assert (transformation["MetricNamespace"], transformation["MetricName"]) == (NAMESPACE, alarm["MetricName"])
    assert (alarm["Namespace"], alarm["Statistic"], alarm.get("Dimensions")) == (NAMESPACE, "Sum", None)
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", 1)
    assert alarm["TreatMissingData"] == "breaching"
    assert alarm["WarmUpConfiguration"] == {"WarmUpPeriodDurationInMinutes": 120}
    assert alarm["AlarmActions"] == alarm["OKActions"] == ["<ObservabilityAlarmTopic>"]
    assert len(alarm["AlarmDescription"]) <= 1024


@pytest.mark.parametrize(
    ("rate", "hours"), [("rate(1 hour)", 2), ("rate(12 hours)", 18), ("rate(1 day)", 36), ("rate(4 days)", 144)]
)
def test_the_alarm_fires_after_one_and_a_half_times_the_rate(
    synthesised: Synthesise, rate: str, hours: int
) -> None:
    """Each of so many hours must be without a stopped run. CloudWatch allows seven days of them."""
    alarm = synthesised(canary=rate).only("AWS::CloudWatch::Alarm", "ObservabilityCanarySilent")
    assert (alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"], alarm["Period"]) == (hours, hours, 3600)
    assert timedelta(hours=hours) <= timedelta(days=7)


def test_the_dashboard_has_the_state_of_the_alarm(synthesised: Synthesise) -> None:
    """The alarm is on the dashboard only where it exists."""
    on, off = (
        plain(synthesised(dashboard=True, canary=canary).only("AWS::CloudWatch::Dashboard"))["DashboardBody"]
        for canary in ("rate(1 day)", None)
    )
    assert "<ObservabilityCanarySilent.Arn>" in on
    assert "CanarySilent" not in off


def test_cdk_nag_accepts_the_canary(daily: Template) -> None:
    """The findings about the job and its log are suppressed with their reasons."""
    assert daily.validated("violations") == {"AwsSolutions": [], "Serverless": []}


@pytest.mark.parametrize("jobs", [["etl-*"], ["gluebrake-*"], ["Gluebrake-canar?"], ["Gluebrake-canary2", "x"]])
def test_stop_and_confirm_may_handle_the_canary_outside_jobs(synthesised: Synthesise, jobs: list[str]) -> None:
    """The job is added to the setting and to both roles, because no pattern matches it."""
    template = synthesised(jobs=jobs)
    variables = template.only("AWS::Lambda::Function", "Stop")["Environment"]["Variables"]
    assert load(StopSettings, variables).jobs == (*jobs, CANARY_JOB)
    for function, sid in (("Stop", "StopRuns"), ("Confirm", "ReadJobRuns")):
        (statement,) = (s for s in _statements(template, function) if s.get("Sid") == sid)
        assert statement["Resource"][-1] == _JOB_ARN
        assert len(statement["Resource"]) == len(jobs) + 1


@pytest.mark.parametrize("jobs", [["*"], ["etl-*", "Gluebrake-*"], [CANARY_JOB]])
def test_jobs_that_match_the_canary_stay_as_they_are(jobs: list[str]) -> None:
    """Nothing is added where a pattern matches the job."""
    assert load_config({"gluebrake": {"jobs": jobs}}.get).stoppable_jobs == tuple(jobs)


@given(st.lists(st.text("Gb-*?$[.\n", max_size=6), max_size=3), st.text("Gb-?$[.\n", max_size=6))
def test_the_configuration_matches_names_as_the_functions_do(patterns: list[str], name: str) -> None:
    """What counts as covered at synthesis is what STOP allows at run time."""
    assert matches_any(patterns, name) is any(matches(pattern, name) for pattern in patterns)
