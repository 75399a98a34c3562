"""References of a template are replaced by the values that CloudFormation uses."""

from __future__ import annotations

from typing import Any

import pytest

from gluebrake_cli.errors import OperatorError
from gluebrake_cli.stack_template import StackTemplate
from tests.cli.command_line import STACK_ID

PREFIX = "eu-west-1:123456789012"
TYPES = {
    "Bus": "AWS::Events::EventBus",
    "Function": "AWS::Lambda::Function",
    "Logs": "AWS::Logs::LogGroup",
    "Queue": "AWS::SQS::Queue",
    "Role": "AWS::IAM::Role",
    "Topic": "AWS::SNS::Topic",
    "Dashboard": "AWS::CloudWatch::Dashboard",
}
PHYSICAL_IDS = {name: name.lower() for name in TYPES} | {
    "Queue": "https://sqs.eu-west-1.amazonaws.com/123456789012/queue",
    "Topic": f"arn:aws:sns:{PREFIX}:topic",
    "OwnBusRule": "bus|rule",
    "DefaultBusRule": "rule",
}
RULES = {
    "OwnBusRule": {"Type": "AWS::Events::Rule", "Properties": {"EventBusName": {"Ref": "Bus"}}},
    "DefaultBusRule": {"Type": "AWS::Events::Rule", "Properties": {}},
}


def _template(**physical_ids: str) -> StackTemplate:
    resources = {name: {"Type": kind, "Properties": {}} for name, kind in TYPES.items()} | RULES
    return StackTemplate({"Resources": resources}, STACK_ID, PHYSICAL_IDS | physical_ids)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Ref": "Topic"}, f"arn:aws:sns:{PREFIX}:topic"),
        ({"Ref": "AWS::Region"}, "eu-west-1"),
        ({"Ref": "AWS::AccountId"}, "123456789012"),
        ({"Ref": "AWS::Partition"}, "aws"),
        ({"Ref": "AWS::StackName"}, "Gluebrake"),
        ({"Ref": "AWS::StackId"}, STACK_ID),
        ({"Fn::GetAtt": ["Queue", "Arn"]}, f"arn:aws:sqs:{PREFIX}:queue"),
        ({"Fn::GetAtt": ["Topic", "Arn"]}, f"arn:aws:sns:{PREFIX}:topic"),
        ({"Fn::GetAtt": ["Bus", "Arn"]}, f"arn:aws:events:{PREFIX}:event-bus/bus"),
        ({"Fn::GetAtt": ["Function", "Arn"]}, f"arn:aws:lambda:{PREFIX}:function:function"),
        ({"Fn::GetAtt": ["Logs", "Arn"]}, f"arn:aws:logs:{PREFIX}:log-group:logs:*"),
        ({"Fn::GetAtt": ["Role", "Arn"]}, "arn:aws:iam::123456789012:role/role"),
        ({"Fn::GetAtt": ["OwnBusRule", "Arn"]}, f"arn:aws:events:{PREFIX}:rule/bus/rule"),
        ({"Fn::GetAtt": ["DefaultBusRule", "Arn"]}, f"arn:aws:events:{PREFIX}:rule/rule"),
        ({"Fn::Join": ["-", ["a", {"Ref": "Bus"}]]}, "a-bus"),
        ({"Fn::Split": [":", "a:b"]}, ["a", "b"]),
        ({"Fn::Select": [1, {"Fn::Split": ["/", {"Ref": "Queue"}]}]}, ""),
        ({"Fn::Select": ["0", ["a", "b"]]}, "a"),
        ({"Fn::Join": ["", {"Fn::Split": [":", "a:b"]}]}, "ab"),
        (
            {"Fn::Sub": "${Bus} ${Bus.Arn} ${AWS::Region} ${!Bus}"},
            f"bus arn:aws:events:{PREFIX}:event-bus/bus eu-west-1 ${{Bus}}",
        ),
        ({"Fn::Sub": ["${name}", {"name": {"Ref": "Bus"}}]}, "bus"),
        ({"a": [{"Ref": "Bus"}, 1, True, "text"]}, {"a": ["bus", 1, True, "text"]}),
    ],
)
def test_a_reference_is_replaced(value: Any, expected: Any) -> None:
    """Each intrinsic function has the value that CloudFormation gives it."""
    assert _template().resolve(value) == expected


@pytest.mark.parametrize("physical_id", ["rule", "bus|rule", f"arn:aws:events:{PREFIX}:rule/bus/rule"])
def test_a_rule_has_one_arn_in_each_form_of_its_physical_id(physical_id: str) -> None:
    """CloudFormation's physical id of a rule has had several forms."""
    template = _template(OwnBusRule=physical_id)
    assert template.resolve({"Fn::GetAtt": ["OwnBusRule", "Arn"]}) == f"arn:aws:events:{PREFIX}:rule/bus/rule"


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ({"Ref": "Unknown"}, "Ref Unknown"),
        ({"Fn::GetAtt": ["Unknown", "Arn"]}, "Fn::GetAtt Unknown.Arn"),
        ({"Fn::GetAtt": ["Role", "RoleId"]}, "Fn::GetAtt Role.RoleId"),
        ({"Fn::GetAtt": ["Dashboard", "Arn"]}, "Fn::GetAtt Dashboard.Arn"),
        ({"Fn::If": ["Condition", "a", "b"]}, "Fn::If"),
        ({"Fn::Join": "text"}, "Fn::Join"),
    ],
)
def test_what_cannot_be_resolved_is_an_error(value: Any, name: str) -> None:
    """A guess would report a right policy as wrong."""
    with pytest.raises(OperatorError, match=f"the stack's template has {name}, which"):
        _template().resolve(value)


def test_the_resources_of_a_type_are_found() -> None:
    """Only resources of the type are resolved: another may have a reference that cannot be."""
    body = {
        "Resources": {
            "Policy": {"Type": "AWS::SQS::QueuePolicy", "Properties": {"Queues": [{"Ref": "Queue"}]}},
            "Other": {"Type": "AWS::Lambda::Function", "Properties": {"Role": {"Fn::If": []}}},
            "Empty": {"Type": "AWS::SNS::Topic"},
        }
    }
    template = StackTemplate(body, STACK_ID, PHYSICAL_IDS)
    assert list(template.resources("AWS::SQS::QueuePolicy")) == [{"Queues": [PHYSICAL_IDS["Queue"]]}]
    assert list(template.resources("AWS::SNS::Topic")) == [{}]
