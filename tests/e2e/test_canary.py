"""The canary on a deployment that enforces IAM: its run requests its own stop, and is stopped and confirmed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from infra.names import CANARY_JOB
from local.aws import KEY, REGION
from local.deployment import deploy, log_group, synthesise
from local.emulator import ROOT, Emulator, inherited_environment, running
from tests.support.eventually import eventually

CONFIG: Final = {"jobs": ["etl-*"], "canary": "rate(1 hour)", "confirmSeconds": [1, 1]}


@dataclass(frozen=True)
class CanaryDeployment:
    """A deployment whose `jobs` do not match the canary's job."""

    emulator: Emulator
    outputs: Mapping[str, str]

    def lines(self, function: str, run_id: str) -> list[dict[str, Any]]:
        """Return what a function logged about a run."""
        group = log_group(self.emulator.aws, self.outputs[f"{function}FunctionName"])
        pages = self.emulator.aws.logs.get_paginator("filter_log_events").paginate(logGroupName=group)
        texts = [event["message"] for page in pages for event in page["events"]]
        return [json.loads(text) for text in texts if f'"job_run_id":"{run_id}"' in text]


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CanaryDeployment]:
    """Deploy with IAM enforced."""
    config: Path = tmp_path_factory.mktemp("canary") / "config.json"
    config.write_text(json.dumps(CONFIG))
    with running(enforce_iam=True, GLUEBRAKE_LOCAL_WINDOW_SECONDS="1") as emulator:
        assembly = synthesise(emulator, config).wait()
        yield CanaryDeployment(emulator, deploy(emulator.aws, assembly))


def test_a_run_is_stopped_at_its_own_request(deployed: CanaryDeployment) -> None:
    """Each role suffices: the run's to send, STOP's to stop a job outside `jobs`, CONFIRM's to read it."""
    glue, name = deployed.emulator.aws.glue, deployed.outputs["CanaryJobName"]
    run_id = glue.start_job_run(JobName=name)["JobRunId"]
    eventually(lambda: deployed.lines("Confirm", run_id)[-1:] and _is_over(deployed, name, run_id))
    assert glue.get_job_run(JobName=name, RunId=run_id)["JobRun"]["JobRunState"] == "STOPPED"
    (stop,) = deployed.lines("Stop", run_id)
    *_, confirm = deployed.lines("Confirm", run_id)
    assert (stop["outcome"], stop["requested_by"]) == ("StopSubmitted", "canary")
    assert (confirm["outcome"], confirm["job_name"]) == ("Stopped", CANARY_JOB)


def _is_over(deployed: CanaryDeployment, job_name: str, run_id: str) -> bool:
    run = deployed.emulator.aws.glue.get_job_run(JobName=job_name, RunId=run_id)["JobRun"]
    return run["JobRunState"] not in ("RUNNING", "STOPPING")


def _doctor(deployed: CanaryDeployment) -> dict[str, Any]:
    """Return the result of the check of the canary."""
    environ = {
        **inherited_environment(),
        "AWS_ENDPOINT_URL": deployed.emulator.aws.endpoint,
        "AWS_CA_BUNDLE": str(deployed.emulator.directory / "ministack-tls" / "server.crt"),
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "AWS_REGION": REGION,
    }
    command = [sys.executable, "-m", "gluebrake_cli", "doctor", "--json"]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    (result,) = (check for check in json.loads(done.stdout)["checks"] if check["name"] == "canary")
    return dict(result)


def test_doctor_finds_a_disabled_schedule_and_a_silent_canary(deployed: CanaryDeployment) -> None:
    """A deployed canary is right. Its schedule and its alarm are found by their ids in the stack."""
    aws = deployed.emulator.aws
    assert _doctor(deployed)["state"] == "right"
    (name,) = (schedule["Name"] for schedule in aws.scheduler.list_schedules()["Schedules"])
    schedule = aws.scheduler.get_schedule(Name=name)
    kept = ("Name", "ScheduleExpression", "FlexibleTimeWindow", "Target")
    aws.scheduler.update_schedule(**{key: schedule[key] for key in kept}, State="DISABLED")  # type: ignore[literal-required]
    (alarm,) = (
        alarm["AlarmName"]
        for alarm in aws.cloudwatch.describe_alarms()["MetricAlarms"]
        if "CanarySilent" in alarm["AlarmName"]
    )
    aws.cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="test")
    problems = _doctor(deployed)["problems"]
    assert [problem["text"] for problem in problems] == [
        "the canary's schedule is DISABLED",
        "the alarm CanarySilent is in ALARM: no run of the canary was confirmed STOPPED in time",
    ]
    assert problems[1]["fix"] == f"AWS_REGION={REGION} gluebrake verify"
