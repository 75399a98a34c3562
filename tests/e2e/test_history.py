"""`gluebrake history` on a deployment says who stopped a run, why, and how much it used."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from local import jobs
from local.aws import ACCOUNT
from local.emulator import ROOT
from tests.e2e.cli import dead_letters, environ, gluebrake
from tests.e2e.conftest import Deployment
from tests.support.eventually import eventually
from tests.support.glue_alarms import ELAPSED_TIME

OLD = {jobs.STARTED_MINUTES_AGO: "90"}
"""The arguments of a run that is 90 minutes old, so that it has used DPU-hours."""

UNTIL_A_FILE_EXISTS = """\
import os, sys, time

while not os.path.exists(sys.argv[sys.argv.index("--until") + 1]):
    time.sleep(0.05)
"""


def _found(deployment: Deployment, run_id: str, is_complete: Callable[[Any], bool]) -> dict[str, Any]:
    """Return the history of one run, as soon as it is complete."""

    def search() -> dict[str, Any] | None:
        (found,) = gluebrake(deployment, "history", "--run", run_id)["runs"] or [None]
        return dict(found) if found and is_complete(found) else None

    return eventually(search)


def _is_stopped(found: dict[str, Any]) -> bool:
    return bool(found["outcome"] == "Stopped")


def _screen(deployment: Deployment, run_id: str, columns: int = 300) -> str:
    """Return what a person sees on a terminal of this width, in one line."""
    done = subprocess.run(
        ["gluebrake", "history", "--run", run_id],
        cwd=ROOT,
        env={**environ(deployment), "COLUMNS": str(columns)},
        capture_output=True,
        text=True,
        check=True,
    )
    return " ".join(done.stdout.split())


def _check_usage(found: dict[str, Any], screen: str) -> None:
    """Check how much a run of 90 minutes and 0.0625 DPUs used, in numbers and in words."""
    hours = 1.5 * 0.0625
    measures = found["measures"]
    assert measures["DpuHoursConsumed"] == pytest.approx(hours, rel=0.1)
    assert measures["EstimatedCostUsd"] == pytest.approx(hours * 0.44, rel=0.1)
    assert measures["FurtherCostUsdAtMost"] > 0
    assert "used 0.09" in screen
    assert "DPU-hours, about $0.04 (an estimate)" in screen
    assert "more, had it run to its Timeout (an estimate)" in screen


def test_run_that_an_alarm_stopped(signal_deployment: Deployment) -> None:
    """The alarm is a claim of the request. Its name and its reason are shown."""
    job = "history-alarm"
    (run_id,) = signal_deployment.start(job, arguments=OLD)
    dimensions = {"JobName": job, "JobRunId": "ALL", "Type": "count"}
    signal_deployment.aws.cloudwatch.put_metric_alarm(
        AlarmName=f"glue-{job}",
        **ELAPSED_TIME,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
    )
    signal_deployment.aws.cloudwatch.set_alarm_state(
        AlarmName=f"glue-{job}", StateValue="ALARM", StateReason="too long"
    )
    found = _found(signal_deployment, run_id, _is_stopped)
    assert found["facts"] == {"sender": ACCOUNT}
    assert found["claims"]["requested_by"].endswith(f":alarm:glue-{job}")
    assert found["claims"]["via"].startswith("event ")
    assert found["reason"] == f"alarm glue-{job}: too long"
    screen = _screen(signal_deployment, run_id)
    assert f":alarm:glue-{job} (RequestedBy, which is not verified)" in screen
    assert f"reason alarm glue-{job}: too long" in screen
    _check_usage(found, screen)


def test_run_that_a_policy_stopped(sweeping_deployment: Deployment) -> None:
    """The policy is a fact, because SWEEP sent the request. So is the version of the policy."""
    (run_id,) = sweeping_deployment.start("signal-a-history", arguments=OLD)
    topic = sweeping_deployment.outputs["SweepTopicSignalAArn"]
    sweeping_deployment.aws.sns.publish(TopicArn=topic, Message="over budget")
    found = _found(sweeping_deployment, run_id, _is_stopped)
    assert found["facts"]["policy"] == "signal-a"
    assert found["facts"]["via"].startswith("signal of policy signal-a ")
    assert found["claims"] == {}
    assert found["reason"] == "signal-a says so"
    screen = _screen(sweeping_deployment, run_id)
    assert "policy signal-a (a fact: the role of SWEEP sent the request)" in screen
    assert "reason signal-a says so" in screen
    _check_usage(found, screen)
    by_policy = gluebrake(sweeping_deployment, "history", "--policy", "signal-a")
    assert run_id in {each["job_run_id"] for each in by_policy["runs"]}
    assert by_policy["stopped"]["measures"]["DpuHoursConsumed"] >= found["measures"]["DpuHoursConsumed"]
    assert by_policy["scanned"]["records"] > 0


def test_person_who_claims_to_be_a_policy(sweeping_deployment: Deployment) -> None:
    """A person's RequestedBy is a claim, even if it is the name of a policy."""
    (run_id,) = sweeping_deployment.start("history-mallory")
    request = {"JobName": "history-mallory", "JobRunIds": [run_id], "RequestedBy": "policy/overdue"}
    sweeping_deployment.send(json.dumps(request))
    found = _found(sweeping_deployment, run_id, _is_stopped)
    assert found["facts"] == {"sender": ACCOUNT}
    assert found["claims"] == {"requested_by": "policy/overdue"}
    assert "claims policy/overdue (RequestedBy, which is not verified)" in _screen(sweeping_deployment, run_id)


def test_run_that_a_person_stopped(deployment: Deployment) -> None:
    """After `gluebrake stop`, the history has the sender, the identity that is claimed, and the reason."""
    job = "history-person"
    (run_id,) = deployment.start(job, arguments=OLD)
    gluebrake(deployment, "stop", job, run_id, "--reason", "incident 4711", "--wait", "--every", "0.2")
    found = _found(deployment, run_id, _is_stopped)
    assert found["facts"] == {"sender": ACCOUNT}
    assert found["claims"] == {"requested_by": f"arn:aws:iam::{ACCOUNT}:root"}
    assert [step["outcome"] for step in found["steps"] if step["outcome"] != "NotYetConfirmed"] == [
        "StopSubmitted",
        "Stopped",
    ]
    screen = _screen(deployment, run_id)
    assert f"claims arn:aws:iam::{ACCOUNT}:root (RequestedBy, which is not verified)" in screen
    assert "reason incident 4711" in screen
    _check_usage(found, screen)


def test_run_whose_stop_was_retried_and_redriven(deployment: Deployment, tmp_path: Path) -> None:
    """Each outcome is shown: the retry, the stop that timed out, and the one after the redrive."""
    job, end = "history-redriven", tmp_path / "end"
    run_id = _start_until(deployment, job, end)
    deployment.send(json.dumps({"JobName": job, "JobRunIds": [run_id], "Reason": "runaway"}))
    eventually(lambda: dead_letters(deployment, "--job", job))
    # The run ends before the redrive, because two seconds may be too short for a busy machine to see it end.
    end.touch()
    eventually(lambda: deployment.state(job, run_id) == "STOPPED")
    gluebrake(deployment, "redrive", "--job", job)
    found = _found(deployment, run_id, lambda found: found["outcome"] == "AlreadyFinished")
    outcomes = [step["outcome"] for step in found["steps"] if step["outcome"] != "NotYetConfirmed"]
    assert outcomes == ["Retrying", "StopSubmitted", "StopTimedOut", "AlreadyFinished"]
    assert found["repeats"]["retries"] == 1
    assert found["repeats"]["requests_after_failure"] == 1
    assert found["reason"] == "runaway"
    for columns in (80, 120):
        screen = _screen(deployment, run_id, columns)
        assert all(outcome in screen for outcome in outcomes)
        assert "redrives or new requests after a failure 1" in screen


def _start_until(deployment: Deployment, job: str, end: Path) -> str:
    """Start a run whose first stop fails, and which then stays STOPPING until a file exists."""
    deployment.start(job, 0)
    script = deployment.aws.glue.get_job(JobName=job)["Job"]["Command"]["ScriptLocation"]
    bucket = urlsplit(script).netloc
    deployment.aws.put_object(bucket, "history.py", UNTIL_A_FILE_EXISTS.encode())
    command = {"Name": "pythonshell", "ScriptLocation": f"s3://{bucket}/history.py", "PythonVersion": "3.9"}
    deployment.aws.glue.update_job(JobName=job, JobUpdate={"Command": command})  # type: ignore[typeddict-item]
    arguments = {"--until": str(end), "--refuse-to-stop": "true", "--failed-stops": "1"}
    return deployment.aws.glue.start_job_run(JobName=job, Arguments=arguments)["JobRunId"]


def test_history_of_a_run_that_nothing_stopped(deployment: Deployment) -> None:
    """The command says what it searched and how far back the log goes, with exit code 0."""
    shown = gluebrake(deployment, "history", "--run", "jr_none", "--since", "2h")
    assert (shown["runs"], shown["wrong"], shown["unknown"]) == ([], [], {})
    assert [group["retention_days"] for group in shown["log_groups"]] == [30, 30]
    assert shown["goes_back_to"]
    assert "Nothing found: run jr_none, since 20" in _screen(deployment, "jr_none")
