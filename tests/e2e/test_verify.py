"""`gluebrake verify` on a deployment: it passes, and after a fault it cleans up."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from gluebrake_cli.verification_steps import STEPS
from local.aws import ACCOUNT, REGION
from local.emulator import ROOT
from tests.e2e.cli import environ, gluebrake
from tests.e2e.conftest import Deployment
from tests.support.eventually import eventually

VERIFY = ("verify", "--every", "0.2")


def _active_runs(deployment: Deployment) -> list[str]:
    runs = deployment.aws.glue.get_job_runs(JobName=deployment.outputs["CanaryJobName"])["JobRuns"]
    return [run["Id"] for run in runs if run["JobRunState"] in ("STARTING", "RUNNING")]


def _tags(deployment: Deployment) -> dict[str, str]:
    arn = f"arn:aws:glue:{REGION}:{ACCOUNT}:job/{deployment.outputs['CanaryJobName']}"
    return dict(deployment.aws.glue.get_tags(ResourceArn=arn)["Tags"])


def _mapping(deployment: Deployment, function: str) -> str:
    name = deployment.outputs[f"{function}FunctionName"]
    (mapping,) = deployment.aws.lambda_.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
    return mapping["UUID"]


@pytest.fixture(params=["Stop", "Confirm"])
def disabled(deployment: Deployment, request: pytest.FixtureRequest) -> Iterator[str]:
    """Disable the event source mapping of a function, and return the function's name."""
    uuid = _mapping(deployment, request.param)
    deployment.aws.lambda_.update_event_source_mapping(UUID=uuid, Enabled=False)
    yield request.param
    deployment.aws.lambda_.update_event_source_mapping(UUID=uuid, Enabled=True)


@pytest.mark.parametrize("option", [[], ["--empty-tag"]])
def test_a_fresh_deployment_is_proven_to_work(deployment: Deployment, option: list[str]) -> None:
    """Every step is proven, and the observations are called the emulator's."""
    shown = gluebrake(deployment, *VERIFY, *option)
    proven = [step["name"] for step in shown["steps"] if step["state"] == "proven"]
    assert proven == [row.name for row in STEPS]
    observed = {step["name"]: step["text"] for step in shown["steps"] if step["state"] == "observed"}
    assert observed.keys() == {"sender", *(["empty tag"] if option else [])}
    assert all("the emulator's answer" in text for text in observed.values())
    assert 0 < shown["seconds_to_stop"] < 30
    assert (shown["wrong"], _tags(deployment), _active_runs(deployment)) == ([], {}, [])


def test_a_disabled_mapping_is_found_in_time(deployment: Deployment, disabled: str) -> None:
    """The command fails within its deadline, names the next one, and leaves neither a tag nor an active run."""
    began = time.monotonic()
    # Nothing answers without STOP. Without CONFIRM, the run must stop before its confirmation is waited for.
    timeout = {"Stop": "3", "Confirm": "10"}[disabled]
    command = ["gluebrake", *VERIFY, "--timeout", timeout]
    done = subprocess.run(
        command, cwd=ROOT, env=environ(deployment), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert time.monotonic() - began < 25
    failed = {"Stop": "own request", "Confirm": "confirmation"}[disabled]
    assert [line.split(":")[0] for line in done.stdout.splitlines() if line.startswith("failed")] == [
        f"failed        {failed}"
    ]
    assert done.stdout.endswith("is not proven to work. Next: gluebrake doctor\n")
    assert (_tags(deployment), _active_runs(deployment)) == ({}, [])


def test_ctrl_c_cleans_up(deployment: Deployment) -> None:
    """Interrupted while its run is active, the command leaves neither a tag nor an active run."""
    command = ["gluebrake", *VERIFY]
    output: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, env=environ(deployment), **output) as process:
        eventually(lambda: _active_runs(deployment))
        process.send_signal(signal.SIGINT)
        shown, _ = process.communicate()
    assert process.returncode == 130
    assert "as a last resort, Glue was asked with your own credentials to stop jr_" in shown
    assert (_tags(deployment), _active_runs(deployment)) == ({}, [])
