"""The snippets of docs/signals.md and docs/outcomes.md work unchanged."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gluebrake.contract import StopOutcome
from gluebrake.outcomes import Outcome
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


def test_query_snippet_creates_an_alarm_whose_contributors_stop_runs(signal_deployment: Deployment) -> None:
    """The alarm's own event is ignored, and a contributor of its query stops the run that it names."""
    (block,) = (block for block in _blocks("sh") if "GROUP BY" in block)
    written = _run(["sh", "-ec", block + 'printf %s "$QUERY"'], signal_deployment)
    expression = json.loads(f'"{written}"')
    cloudwatch = signal_deployment.aws.cloudwatch
    cloudwatch.set_alarm_state(AlarmName="glue-any-run-too-long", StateValue="ALARM", StateReason="by hand")
    over, within = signal_deployment.start("contributors", 2)
    signal_deployment.send(_contributor_event(expression, {"JobName": "contributors", "JobRunId": over}))
    eventually(lambda: signal_deployment.state("contributors", over) == "STOPPED")
    eventually(
        lambda: any(
            "each time series of the alarm" in line for line in signal_deployment.log("StopFunctionName")
        )
    )
    assert signal_deployment.state("contributors", within) == "RUNNING"


def _contributor_event(expression: str, attributes: dict[str, str]) -> str:
    """Write the event of a contributor, which the emulator does not send."""
    return json.dumps(
        {
            "source": "aws.cloudwatch",
            "detail-type": "CloudWatch Alarm Contributor State Change",
            "account": ACCOUNT,
            "region": REGION,
            "detail": {
                "alarmName": "glue-any-run-too-long",
                "alarmContributor": {"id": "6d442278dba546f6", "attributes": attributes},
                "state": {"value": "ALARM", "reason": "Threshold Crossed"},
                "configuration": {"metrics": [{"id": "runs", "expression": expression, "returnData": True}]},
            },
        }
    )


def test_alarms_of_the_snippets_have_the_documented_prefix() -> None:
    """On AWS, an alarm without a prefix in `stopOnAlarms` stops no run. The emulator does not enforce that."""
    text = (ROOT / "docs" / "signals.md").read_text()
    (prefixes,) = map(json.loads, re.findall(r'"stopOnAlarms": (\[.+?\])', text))
    names = re.findall(r"--alarm-name (\S+)", text)
    assert names
    assert all(name.startswith(tuple(prefixes)) for name in names)


def test_python_snippet_gets_a_response_for_every_run(signal_deployment: Deployment) -> None:
    """The Python snippet gets a response for each of its runs, and the runs stop."""
    (script,) = _blocks("python")
    answer = _run([sys.executable, "-c", script], signal_deployment)
    assert answer.count("JobRunId") == 30
    run_ids = re.findall(r"jr_[0-9a-f]{64}", answer)
    eventually(lambda: {signal_deployment.state("nightly-etl", run_id) for run_id in run_ids} == {"STOPPED"})


def test_event_rule_snippet_delivers_failures(signal_deployment: Deployment) -> None:
    """The document's rule sends a failure to its queue, and the event has the documented form."""
    (rule,) = _blocks("sh", "outcomes.md")
    _run(["sh", "-ec", rule], signal_deployment)
    queue_url = signal_deployment.aws.sqs.get_queue_url(QueueName="failed-stops")["QueueUrl"]
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


def test_event_rule_snippet_allows_only_its_rule(signal_deployment: Deployment) -> None:
    """Both queues of the rule's target allow this rule to send, and nothing else."""
    (rule,) = _blocks("sh", "outcomes.md")
    rule_arn = _run(["sh", "-ec", f'{rule}\necho "$RULE_ARN"'], signal_deployment).splitlines()[-1]
    bus = signal_deployment.outputs["EventBusName"]
    answer = signal_deployment.aws.events.list_targets_by_rule(Rule="failed-stops", EventBusName=bus)
    (target,) = answer["Targets"]
    for queue_arn in (target["Arn"], target["DeadLetterConfig"]["Arn"]):
        assert _queue_policy(signal_deployment, queue_arn) == [
            {
                "Effect": "Allow",
                "Action": "sqs:SendMessage",
                "Principal": {"Service": "events.amazonaws.com"},
                "Resource": queue_arn,
                "Condition": {"ArnEquals": {"aws:SourceArn": rule_arn}},
            }
        ]
    assert target["Arn"] != target["DeadLetterConfig"]["Arn"]


def _queue_policy(signal_deployment: Deployment, queue_arn: str) -> list[Any]:
    sqs = signal_deployment.aws.sqs
    queue_url = sqs.get_queue_url(QueueName=queue_arn.rpartition(":")[2])["QueueUrl"]
    answer = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["Policy"])
    statements: list[Any] = json.loads(answer["Attributes"]["Policy"])["Statement"]
    return statements


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
