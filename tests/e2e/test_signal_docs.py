"""The snippets of docs/signals.md, docs/outcomes.md and docs/requests.md work unchanged."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import msgspec

from gluebrake.contract import StopOutcome
from gluebrake.outcomes import Outcome
from local import jobs
from local.aws import ACCOUNT, REGION
from local.emulator import ROOT
from local.up import CONFIG
from tests.docs.document import Document
from tests.e2e.cli import run
from tests.e2e.conftest import Deployment
from tests.support.eventually import eventually

SIGNALS: Final = Document(ROOT / "docs" / "signals.md")
OUTCOMES: Final = Document(ROOT / "docs" / "outcomes.md")
REQUESTS: Final = Document(ROOT / "docs" / "requests.md")
CONNECT_TO_EMULATOR: Final = 'eval "$(gluebrake env --local)"'


def _shell(deployment: Deployment, *commands: str) -> str:
    """Run commands in one shell, and return the output."""
    return run(deployment, ["sh", "-ec", "\n".join(commands)])


def test_page_follows_an_alarm_from_end_to_end(deployment: Deployment) -> None:
    """The commands connect an alarm and fire it. The history shows the alarm, the reason and the outcome."""
    assert f"`{CONNECT_TO_EMULATOR}`" in SIGNALS.path.read_text()
    connect, fire, history = SIGNALS.fences("An alarm, from end to end")
    run_id = _shell(deployment, CONNECT_TO_EMULATOR, connect, fire, 'echo "$RUN_ID"').splitlines()[-1]
    eventually(lambda: deployment.state("nightly-etl", run_id) == "STOPPED")
    commands = (CONNECT_TO_EMULATOR, f"RUN_ID={run_id}", history)
    shown = ("Stopped", ":alarm:nightly-etl-too-long", "alarm nightly-etl-too-long: to see it work")
    eventually(lambda: all(text in _shell(deployment, *commands) for text in shown))
    lines = deployment.log("ConfirmFunctionName")
    assert any("CloudWatchMetrics" in line and '"Stopped":[1]' in line for line in lines)


def test_default_configuration_allows_the_alarm_of_the_page() -> None:
    """The emulator performs the actions of every alarm. AWS needs a prefix of its name in `stopOnAlarms`."""
    (name,) = re.findall(r"--alarm-name (\S+) \\", SIGNALS.fences("An alarm, from end to end")[0])
    assert name.startswith(tuple(json.loads(CONFIG.read_text())["stopOnAlarms"]))


def test_query_snippet_creates_an_alarm_whose_contributors_stop_runs(signal_deployment: Deployment) -> None:
    """The alarm's own event is ignored, and a contributor of its query stops the run that it names."""
    (block,) = SIGNALS.fences("One alarm for every run")
    written = _shell(signal_deployment, block, 'printf %s "$QUERY"').splitlines()[-1]
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
    text = SIGNALS.path.read_text()
    (prefixes,) = map(json.loads, re.findall(r'"stopOnAlarms": (\[.+?\])', text))
    names = set(re.findall(r"--alarm-name (\S+)", text))
    assert len(names) == 2
    assert all(name.startswith(tuple(prefixes)) for name in names)


def test_event_rule_snippet_delivers_failures(signal_deployment: Deployment) -> None:
    """The document's rule sends a failure to its queue, and the event has the documented form."""
    (rule,) = OUTCOMES.fences("Follow them")
    _shell(signal_deployment, rule)
    queue_url = signal_deployment.aws.sqs.get_queue_url(QueueName="failed-stops")["QueueUrl"]
    signal_deployment.start("failing-job")
    signal_deployment.send(
        json.dumps({"JobName": "failing-job", "JobRunIds": ["jr_unknown"], "Reason": "over budget"})
    )
    (message,) = eventually(
        lambda: signal_deployment.aws.sqs.receive_message(QueueUrl=queue_url).get("Messages")
    )
    event, (example,) = json.loads(message["Body"]), map(json.loads, OUTCOMES.fences("Outcome events"))
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
    (rule,) = OUTCOMES.fences("Follow them")
    rule_arn = _shell(signal_deployment, rule, 'echo "$RULE_ARN"').splitlines()[-1]
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
    _shell(signal_deployment, *REQUESTS.fences("On the queue"))
    eventually(
        lambda: any(
            "runaway" in line and "NoActiveRuns" in line for line in signal_deployment.log("StopFunctionName")
        )
    )
    assert signal_deployment.state("nightly-etl", run_id) == "RUNNING"


def test_event_of_the_snippet_stops_the_active_runs(signal_deployment: Deployment) -> None:
    """The AWS CLI's event reaches the stop queue, and its selection matches the run."""
    # The time of an event has no fraction of a second, and its selection matches older runs only.
    (run_id,) = jobs.start(signal_deployment.aws, "nightly-etl", 1, {jobs.STARTED_MINUTES_AGO: "1"})
    eventually(lambda: signal_deployment.state("nightly-etl", run_id) == "RUNNING")
    _shell(signal_deployment, *(text for text in REQUESTS.fences("On the bus") if text.startswith("aws ")))
    eventually(lambda: signal_deployment.state("nightly-etl", run_id) == "STOPPED")
