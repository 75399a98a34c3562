"""The emulator's CloudFormation accepts resource types and properties that ministack does not support."""

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
    """Create a stack with a metric math alarm and a saved query, named after the test."""
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


def test_metric_math_alarm_exists_and_never_fires(emulator: Emulator, stack: str) -> None:
    """DescribeAlarms shows the alarm, and data of its metrics does not change its state."""
    emulator.aws.cloudwatch.put_metric_data(Namespace="Shop", MetricData=[{"MetricName": "Lost", "Value": 9}])
    assert _state(emulator, stack) == ["INSUFFICIENT_DATA"]


def test_alarm_on_one_metric_still_fires(emulator: Emulator) -> None:
    """The stub does not change ministack's own alarms."""
    metric = {"Namespace": "Shop", "MetricName": "Sold", "Period": 60, "Statistic": "Sum"}
    properties = {key: value for key, value in ALARM["Properties"].items() if key != "Metrics"}
    template = {"Resources": {"Alarm": {"Type": ALARM["Type"], "Properties": properties | metric}}}
    emulator.aws.cloudformation.create_stack(StackName="one-metric", TemplateBody=json.dumps(template))
    eventually(lambda: _status(emulator, "one-metric") == "CREATE_COMPLETE")
    emulator.aws.cloudwatch.put_metric_data(Namespace="Shop", MetricData=[{"MetricName": "Sold", "Value": 9}])
    eventually(lambda: _state(emulator, "one-metric") == ["ALARM"])


def test_stack_with_stubs_can_be_deleted(emulator: Emulator, stack: str) -> None:
    """A stack with stubs is deleted without an error."""
    emulator.aws.cloudformation.delete_stack(StackName=stack)
    eventually(lambda: not _state(emulator, stack))
    summaries = emulator.aws.cloudformation.list_stacks()["StackSummaries"]
    assert {s["StackStatus"] for s in summaries if s["StackName"] == stack} == {"DELETE_COMPLETE"}


@pytest.mark.parametrize("loop", [{"RecursiveLoop": "Allow"}, {}])
def test_a_function_has_its_recursive_loop_setting(emulator: Emulator, loop: dict[str, str]) -> None:
    """A function has the setting of its template, which is Terminate by default."""
    name = f"loop-{loop.get('RecursiveLoop', 'default')}"
    function = {
        "Code": {"ZipFile": "def handler(event, context): pass"},
        "FunctionName": name,
        "Handler": "index.handler",
        "Role": "arn:aws:iam::000000000000:role/any",
        "Runtime": "python3.13",
    }
    template = {"Resources": {"Function": {"Type": "AWS::Lambda::Function", "Properties": function | loop}}}
    emulator.aws.cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template))
    eventually(lambda: _status(emulator, name) == "CREATE_COMPLETE")
    answer = emulator.aws.lambda_.get_function_recursion_config(FunctionName=name)
    assert answer["RecursiveLoop"] == loop.get("RecursiveLoop", "Terminate")
