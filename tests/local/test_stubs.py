"""What the emulator's CloudFormation takes, though ministack itself does not know it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local.emulator import Emulator
from tests.support.eventually import eventually


def _metric(metric_id: str, name: str) -> dict[str, Any]:
    stat = {"Metric": {"Namespace": "Shop", "MetricName": name}, "Period": 60, "Stat": "Sum"}
    return {"Id": metric_id, "MetricStat": stat, "ReturnData": False}


ALARM: dict[str, Any] = {
    "Type": "AWS::CloudWatch::Alarm",
    "Properties": {
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "EvaluationPeriods": 1,
        "Threshold": 1,
        "Metrics": [{"Id": "sum", "Expression": "SUM([a, b])"}, _metric("a", "Lost"), _metric("b", "Broken")],
    },
}
QUERY = {
    "Type": "AWS::Logs::QueryDefinition",
    "Properties": {"Name": "shop/lost", "QueryString": "fields @message"},
}


@pytest.fixture
def stack(emulator: Emulator, request: pytest.FixtureRequest) -> str:
    """Create a stack of both, named after the test."""
    name = str(request.node.name).replace("_", "-")
    template = json.dumps({"Resources": {"Alarm": ALARM, "Query": QUERY}})
    emulator.aws.cloudformation.create_stack(StackName=name, TemplateBody=template)
    eventually(lambda: _status(emulator, name) == "CREATE_COMPLETE")
    return name


def _status(emulator: Emulator, stack: str) -> str:
    return emulator.aws.cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]


def _state(emulator: Emulator, stack: str) -> list[str]:
    alarms = emulator.aws.cloudwatch.describe_alarms(AlarmNamePrefix=stack)["MetricAlarms"]
    return [alarm["StateValue"] for alarm in alarms]


def test_an_alarm_over_several_metrics_is_there_and_never_goes_off(emulator: Emulator, stack: str) -> None:
    """It is shown, and what its metrics are told does not change its state."""
    emulator.aws.cloudwatch.put_metric_data(Namespace="Shop", MetricData=[{"MetricName": "Lost", "Value": 9}])
    assert _state(emulator, stack) == ["INSUFFICIENT_DATA"]


def test_an_alarm_over_one_metric_goes_off_as_ever(emulator: Emulator) -> None:
    """The stand-in leaves the emulator's own alarms alone."""
    of_one = {"Namespace": "Shop", "MetricName": "Sold", "Period": 60, "Statistic": "Sum"}
    properties = {key: value for key, value in ALARM["Properties"].items() if key != "Metrics"}
    template = {"Resources": {"Alarm": {"Type": ALARM["Type"], "Properties": properties | of_one}}}
    emulator.aws.cloudformation.create_stack(StackName="of-one-metric", TemplateBody=json.dumps(template))
    eventually(lambda: _status(emulator, "of-one-metric") == "CREATE_COMPLETE")
    emulator.aws.cloudwatch.put_metric_data(Namespace="Shop", MetricData=[{"MetricName": "Sold", "Value": 9}])
    eventually(lambda: _state(emulator, "of-one-metric") == ["ALARM"])


def test_a_stack_with_both_can_be_deleted(emulator: Emulator, stack: str) -> None:
    """What was taken is given up again, without an error."""
    emulator.aws.cloudformation.delete_stack(StackName=stack)
    eventually(lambda: not _state(emulator, stack))
    summaries = emulator.aws.cloudformation.list_stacks()["StackSummaries"]
    assert {s["StackStatus"] for s in summaries if s["StackName"] == stack} == {"DELETE_COMPLETE"}
