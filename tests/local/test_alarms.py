"""The emulator's alarms on metric math and queries send what CloudWatch sends."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from local.aws import ACCOUNT, REGION
from local.emulator import Emulator
from tests.support.eventually import eventually

QUERY: Final = 'SELECT SUM("glue.driver.aggregate.elapsedTime") FROM Glue GROUP BY JobName ORDER BY SUM()'
ENTRIES: Final[list[Any]] = [
    {"Id": "q1", "Expression": QUERY, "Period": 60, "ReturnData": True},
    {
        "Id": "m1",
        "AccountId": "210987654321",
        "MetricStat": {
            "Metric": {
                "Namespace": "Shop",
                "MetricName": "Lost",
                "Dimensions": [{"Name": "Till", "Value": "3"}],
            },
            "Period": 60,
            "Stat": "Sum",
        },
        "ReturnData": False,
    },
]


@pytest.fixture
def queue_url(emulator: Emulator, request: pytest.FixtureRequest) -> str:
    """Create a queue that is named after the test."""
    name = str(request.node.name)[-80:]
    return emulator.aws.sqs.create_queue(QueueName=name)["QueueUrl"]


def _fire(emulator: Emulator, name: str, *actions: str) -> None:
    emulator.aws.cloudwatch.put_metric_alarm(
        AlarmName=name,
        Metrics=ENTRIES,
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=list(actions),
    )
    emulator.aws.cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="by hand")


def _received(emulator: Emulator, queue_url: str) -> dict[str, Any]:
    (message,) = eventually(lambda: emulator.aws.sqs.receive_message(QueueUrl=queue_url).get("Messages"))
    body: dict[str, Any] = json.loads(message["Body"])
    return body


def _arn(queue_url: str) -> str:
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue_url.rpartition('/')[2]}"


def test_event_has_the_entries_in_camel_case(emulator: Emulator, queue_url: str) -> None:
    """An event has expressions as they are, and the dimensions of a metric as a map."""
    pattern = {"source": ["aws.cloudwatch"], "detail": {"alarmName": ["on several"]}}
    emulator.aws.events.put_rule(Name="on-several", EventPattern=json.dumps(pattern))
    emulator.aws.events.put_targets(Rule="on-several", Targets=[{"Id": "queue", "Arn": _arn(queue_url)}])
    _fire(emulator, "on several")
    assert _received(emulator, queue_url)["detail"]["configuration"]["metrics"] == [
        {"id": "q1", "expression": QUERY, "period": 60, "returnData": True},
        {
            "id": "m1",
            "accountId": "210987654321",
            "metricStat": {
                "metric": {"namespace": "Shop", "name": "Lost", "dimensions": {"Till": "3"}},
                "period": 60,
                "stat": "Sum",
            },
            "returnData": False,
        },
    ]


def test_notification_has_the_entries_in_pascal_case(emulator: Emulator, queue_url: str) -> None:
    """A notification has the entries as the API does, with the dimensions in small letters."""
    topic_arn = emulator.aws.sns.create_topic(Name="on-several")["TopicArn"]
    raw = {"RawMessageDelivery": "true"}
    emulator.aws.sns.subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=_arn(queue_url), Attributes=raw)
    _fire(emulator, "on several for a topic", topic_arn)
    query, metric = _received(emulator, queue_url)["Trigger"]["Metrics"]
    assert query == ENTRIES[0]
    assert metric["AccountId"] == "210987654321"
    assert metric["MetricStat"]["Metric"] == {
        "Namespace": "Shop",
        "MetricName": "Lost",
        "Dimensions": [{"name": "Till", "value": "3"}],
    }
