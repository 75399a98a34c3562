"""The snippets of docs/signals.md, as a user pastes them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gluebrake import reading
from gluebrake.model import Asked, Home, Message
from local import jobs
from local.aws import ACCOUNT, KEY, REGION
from local.emulator import ROOT
from tests.e2e.conftest import Deployment
from tests.eventually import eventually

TEXT = (ROOT / "docs" / "signals.md").read_text()


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.+?)^```$", TEXT, re.DOTALL | re.MULTILINE)


def _environ(wired: Deployment) -> dict[str, str]:
    outputs = {re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper(): url for name, url in wired.outputs.items()}
    queue = wired.outputs["StopQueueUrl"].rpartition("/")[2]
    return {
        **os.environ,
        **outputs,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "STOP_QUEUE_ARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}",
        "SCHEDULER_ROLE_ARN": f"arn:aws:iam::{ACCOUNT}:role/scheduler",
        "AWS_ENDPOINT_URL": wired.aws.endpoint,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "AWS_DEFAULT_REGION": REGION,
    }


def _run(command: list[str], wired: Deployment) -> str:
    done = subprocess.run(command, env=_environ(wired), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("block", _blocks("sh"))
def test_each_command_works(wired: Deployment, block: str) -> None:
    """A command of the AWS CLI does what it says, as it stands."""
    _run(["sh", "-ec", block], wired)


def test_the_function_answers_a_script_for_every_run(wired: Deployment) -> None:
    """The adapter in Python hears of each of its runs, which then stop."""
    (script,) = _blocks("python")
    answer = _run([sys.executable, "-c", script], wired)
    assert answer.count("JobRunId") == 30
    run_ids = re.findall(r"jr_[0-9a-f]{64}", answer)
    eventually(lambda: {wired.state("nightly-etl", run_id) for run_id in run_ids} == {"STOPPED"})


def test_the_state_sends_a_stop_request() -> None:
    """What Step Functions makes of the state's message is a stop request."""
    (state,) = map(json.loads, _blocks("json"))
    assert state["Parameters"]["MessageBody"].pop("JobName.$") == "$.JobName"
    assert state["Parameters"]["MessageBody"].pop("JobRunIds.$") == "States.Array($.Id)"
    body = json.dumps({"JobName": "etl", "JobRunIds": ["jr_1"], **state["Parameters"]["MessageBody"]})
    asked = reading.read(Message("m-1", body, datetime.now(UTC), "me"), Home(ACCOUNT, REGION))
    assert isinstance(asked, Asked)


def test_every_active_run_older_than_that_is_meant(wired: Deployment) -> None:
    """The person's request leaves alone what is younger than it says."""
    (run_id,) = jobs.start(wired.aws, "nightly-etl", 1)
    _run(["sh", "-ec", _blocks("sh")[-1]], wired)
    eventually(
        lambda: any("runaway" in line and "NoActiveRuns" in line for line in wired.log("StopFunctionName"))
    )
    assert wired.state("nightly-etl", run_id) == "RUNNING"
