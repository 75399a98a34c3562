"""The snippets of docs/signals.md and docs/outcomes.md work unchanged."""

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
from gluebrake.model import AwsEnvironment
from gluebrake.outcomes import Outcome
from gluebrake.parsing import dispatcher
from gluebrake.parsing.context import Context
from local import jobs
from local.aws import ACCOUNT, KEY, REGION
from local.emulator import ROOT
from tests.e2e.conftest import Deployment
from tests.support.eventually import eventually


def _blocks(language: str, document: str = "signals.md") -> list[str]:
    text = (ROOT / "docs" / document).read_text()
    return re.findall(rf"^```{language}\n(.+?)^```$", text, re.DOTALL | re.MULTILINE)


def _environ(signal_deployment: Deployment) -> dict[str, str]:
    outputs = {
        re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper(): url
        for name, url in signal_deployment.outputs.items()
    }
    queue = signal_deployment.outputs["StopQueueUrl"].rpartition("/")[2]
    return {
        **os.environ,
        **outputs,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "STOP_QUEUE_ARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}",
        "SCHEDULER_ROLE_ARN": f"arn:aws:iam::{ACCOUNT}:role/scheduler",
        "AWS_ENDPOINT_URL": signal_deployment.aws.endpoint,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "AWS_DEFAULT_REGION": REGION,
    }


def _run(command: list[str], signal_deployment: Deployment) -> str:
    process = subprocess.run(
        command, env=_environ(signal_deployment), capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


@pytest.mark.parametrize("block", _blocks("sh"))
def test_shell_snippet_works(signal_deployment: Deployment, block: str) -> None:
    """An AWS CLI snippet succeeds unchanged."""
    _run(["sh", "-ec", block], signal_deployment)


def test_python_snippet_gets_a_response_for_every_run(signal_deployment: Deployment) -> None:
    """The Python snippet gets a response for each of its runs, and the runs stop."""
    (script,) = _blocks("python")
    answer = _run([sys.executable, "-c", script], signal_deployment)
    assert answer.count("JobRunId") == 30
    run_ids = re.findall(r"jr_[0-9a-f]{64}", answer)
    eventually(lambda: {signal_deployment.state("nightly-etl", run_id) for run_id in run_ids} == {"STOPPED"})


def test_step_functions_snippet_sends_a_stop_request() -> None:
    """The message that Step Functions builds from the state is a stop request."""
    (state,) = map(json.loads, _blocks("json"))
    assert state["Parameters"]["MessageBody"].pop("JobName.$") == "$.JobName"
    assert state["Parameters"]["MessageBody"].pop("JobRunIds.$") == "States.Array($.Id)"
    body = json.dumps({"JobName": "etl", "JobRunIds": ["jr_1"], **state["Parameters"]["MessageBody"]})
    context = Context(AwsEnvironment(ACCOUNT, REGION), sent_at=datetime.now(UTC))
    requests = dispatcher.parse(body.encode(), context)
    assert isinstance(requests, list)
    assert [(request.job_name, list(request.job_run_ids or [])) for request in requests] == [("etl", ["jr_1"])]


def test_event_rule_snippet_delivers_failures(signal_deployment: Deployment) -> None:
    """The document's rule sends a failure to its topic, and the event has the documented form."""
    (rule,) = _blocks("sh", "outcomes.md")
    topic_arn = _run(["sh", "-ec", f'{rule}\necho "$TOPIC_ARN"'], signal_deployment).splitlines()[-1]
    queue_url = signal_deployment.aws.sqs.create_queue(QueueName="subscriber")["QueueUrl"]
    queue_arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:subscriber"
    signal_deployment.aws.sns.subscribe(
        TopicArn=topic_arn, Protocol="sqs", Endpoint=queue_arn, Attributes={"RawMessageDelivery": "true"}
    )
    signal_deployment.start("failing-job")
    signal_deployment.send(
        json.dumps({"JobName": "failing-job", "JobRunIds": ["jr_unknown"], "Reason": "over budget"})
    )
    (message,) = eventually(
        lambda: signal_deployment.aws.sqs.receive_message(QueueUrl=queue_url).get("Messages")
    )
    event, (example,) = json.loads(message["Body"]), map(json.loads, _blocks("json", "outcomes.md"))
    assert {event[name] for name in ("source", "detail-type")} == {
        example[n] for n in ("source", "detail-type")
    }
    assert event["resources"] == [f"arn:aws:glue:{REGION}:{ACCOUNT}:job/failing-job"]
    assert {name: event["detail"][name] for name in ("jobRunId", "outcome", "reason")} == {
        "jobRunId": "jr_unknown",
        "outcome": "NotFound",
        "reason": "over budget",
    }
    assert msgspec.convert(example["detail"], StopOutcome).outcome is Outcome.STOPPED
    assert msgspec.convert(event["detail"], StopOutcome).outcome is Outcome.NOT_FOUND


def test_selection_snippet_stops_no_younger_run(signal_deployment: Deployment) -> None:
    """The request with `OlderThanMinutes` does not stop a run that is younger."""
    (run_id,) = jobs.start(signal_deployment.aws, "nightly-etl", 1)
    _run(["sh", "-ec", _blocks("sh")[-1]], signal_deployment)
    eventually(
        lambda: any(
            "runaway" in line and "NoActiveRuns" in line for line in signal_deployment.log("StopFunctionName")
        )
    )
    assert signal_deployment.state("nightly-etl", run_id) == "RUNNING"
