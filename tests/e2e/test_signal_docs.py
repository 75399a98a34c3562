"""The snippets of docs/signals.md and docs/outcomes.md, as a user pastes them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from gluebrake.contract import StopOutcome
from gluebrake.model import AwsEnvironment, Message, ParsedRequest
from gluebrake.outcomes import Outcome
from gluebrake.parsing import dispatcher
from local import jobs
from local.aws import ACCOUNT, KEY, REGION
from local.emulator import ROOT
from tests.e2e.conftest import Deployment
from tests.support.eventually import eventually


def _blocks(language: str, document: str = "signals.md") -> list[str]:
    text = (ROOT / "docs" / document).read_text()
    return re.findall(rf"^```{language}\n(.+?)^```$", text, re.DOTALL | re.MULTILINE)


def _environ(build_dependencies: Deployment) -> dict[str, str]:
    outputs = {
        re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper(): url
        for name, url in build_dependencies.outputs.items()
    }
    queue = build_dependencies.outputs["StopQueueUrl"].rpartition("/")[2]
    return {
        **os.environ,
        **outputs,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "STOP_QUEUE_ARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}",
        "SCHEDULER_ROLE_ARN": f"arn:aws:iam::{ACCOUNT}:role/scheduler",
        "AWS_ENDPOINT_URL": build_dependencies.aws.endpoint,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "AWS_DEFAULT_REGION": REGION,
    }


def _run(command: list[str], build_dependencies: Deployment) -> str:
    done = subprocess.run(
        command, env=_environ(build_dependencies), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("block", _blocks("sh"))
def test_each_command_works(build_dependencies: Deployment, block: str) -> None:
    """A command of the AWS CLI does what it says, as it stands."""
    _run(["sh", "-ec", block], build_dependencies)


def test_the_function_answers_a_script_for_every_run(build_dependencies: Deployment) -> None:
    """The adapter in Python hears of each of its runs, which then stop."""
    (script,) = _blocks("python")
    answer = _run([sys.executable, "-c", script], build_dependencies)
    assert answer.count("JobRunId") == 30
    run_ids = re.findall(r"jr_[0-9a-f]{64}", answer)
    eventually(lambda: {build_dependencies.state("nightly-etl", run_id) for run_id in run_ids} == {"STOPPED"})


def test_the_state_sends_a_stop_request() -> None:
    """What Step Functions makes of the state's message is a stop request."""
    (state,) = map(json.loads, _blocks("json"))
    assert state["Parameters"]["MessageBody"].pop("JobName.$") == "$.JobName"
    assert state["Parameters"]["MessageBody"].pop("JobRunIds.$") == "States.Array($.Id)"
    body = json.dumps({"JobName": "etl", "JobRunIds": ["jr_1"], **state["Parameters"]["MessageBody"]})
    asked = dispatcher.read(Message("m-1", body, datetime.now(UTC), "me"), AwsEnvironment(ACCOUNT, REGION))
    assert isinstance(asked, ParsedRequest)


def test_failed_stops_can_be_followed(build_dependencies: Deployment) -> None:
    """The document's rule brings a failure to its topic, and the event is as the document shows one."""
    (rule,) = _blocks("sh", "outcomes.md")
    topic_arn = _run(["sh", "-ec", f'{rule}\necho "$TOPIC_ARN"'], build_dependencies).splitlines()[-1]
    queue_url = build_dependencies.aws.sqs.create_queue(QueueName="followers")["QueueUrl"]
    queue_arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:followers"
    build_dependencies.aws.sns.subscribe(
        TopicArn=topic_arn, Protocol="sqs", Endpoint=queue_arn, Attributes={"RawMessageDelivery": "true"}
    )
    build_dependencies.start("followed-job")
    build_dependencies.send(
        json.dumps({"JobName": "followed-job", "JobRunIds": ["jr_unknown"], "Reason": "over budget"})
    )
    (message,) = eventually(
        lambda: build_dependencies.aws.sqs.receive_message(QueueUrl=queue_url).get("Messages")
    )
    came, (shown,) = json.loads(message["Body"]), map(json.loads, _blocks("json", "outcomes.md"))
    assert {came[name] for name in ("source", "detail-type")} == {shown[n] for n in ("source", "detail-type")}
    assert came["resources"] == [f"arn:aws:glue:{REGION}:{ACCOUNT}:job/followed-job"]
    assert {name: came["detail"][name] for name in ("jobRunId", "outcome", "reason")} == {
        "jobRunId": "jr_unknown",
        "outcome": "NotFound",
        "reason": "over budget",
    }
    assert msgspec.convert(shown["detail"], StopOutcome).outcome is Outcome.STOPPED
    assert msgspec.convert(came["detail"], StopOutcome).outcome is Outcome.NOT_FOUND


def test_every_active_run_older_than_that_is_meant(build_dependencies: Deployment) -> None:
    """The person's request leaves alone what is younger than it says."""
    (run_id,) = jobs.start(build_dependencies.aws, "nightly-etl", 1)
    _run(["sh", "-ec", _blocks("sh")[-1]], build_dependencies)
    eventually(
        lambda: any(
            "runaway" in line and "NoActiveRuns" in line for line in build_dependencies.log("StopFunctionName")
        )
    )
    assert build_dependencies.state("nightly-etl", run_id) == "RUNNING"
