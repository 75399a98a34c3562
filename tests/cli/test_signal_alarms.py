"""The alarms whose actions stop runs are read page by page, and alarms without an allowed prefix are found."""

from __future__ import annotations

from typing import Any

import pytest

from gluebrake_cli import signal_alarms
from gluebrake_cli.signal_alarms import SignalAlarm, SignalAlarms
from tests.cli.command_line import STACK_ID
from tests.cli.stubbed import Stubbed
from tests.support.fakes.aws_server import ACCOUNT, REGION

TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:signals"
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:stopper"
ACTIONS = signal_alarms.actions(STACK_ID, {"SignalTopicArn": TOPIC, "StopFunctionName": "stopper"})
TYPES = {"AlarmTypes": ["MetricAlarm", "CompositeAlarm"]}


def _alarm(name: str, *arns: str, **other_actions: list[str]) -> dict[str, Any]:
    return {"AlarmName": name, "AlarmActions": list(arns), **other_actions}


def test_alarms_of_all_pages_and_both_types_are_read(stubbed: Stubbed) -> None:
    """Without its type, DescribeAlarms would leave out composite alarms."""
    stubbed.answer(
        "cloudwatch",
        "describe_alarms",
        {
            "MetricAlarms": [
                _alarm("by-topic", f"{TOPIC}-other", TOPIC),
                _alarm("elsewhere", f"{TOPIC}-other"),
            ],
            "CompositeAlarms": [_alarm("by-function", FUNCTION)],
            "NextToken": "2",
        },
        **TYPES,
    )
    second_page = {"MetricAlarms": [_alarm("both", TOPIC, FUNCTION)]}
    stubbed.answer("cloudwatch", "describe_alarms", second_page, **TYPES, NextToken="2")
    assert signal_alarms.read(stubbed.clients.cloudwatch, ACTIONS) == (
        SignalAlarm("by-topic", "notifies the signal topic"),
        SignalAlarm("by-function", "invokes the STOP function"),
        SignalAlarm("both", "notifies the signal topic and invokes the STOP function"),
    )


def test_only_actions_of_the_state_alarm_count(stubbed: Stubbed) -> None:
    """A notification that an alarm is over stops no run."""
    over = _alarm("over", OKActions=[TOPIC], InsufficientDataActions=[FUNCTION])
    stubbed.answer("cloudwatch", "describe_alarms", {"MetricAlarms": [over]}, **TYPES)
    assert signal_alarms.read(stubbed.clients.cloudwatch, ACTIONS) == ()


def test_a_stack_without_outputs_has_no_actions(stubbed: Stubbed) -> None:
    """A stack that failed at its first deployment has no outputs, and no alarm has an empty action."""
    stubbed.answer("cloudwatch", "describe_alarms", {"MetricAlarms": [_alarm("a", TOPIC, FUNCTION)]}, **TYPES)
    assert signal_alarms.read(stubbed.clients.cloudwatch, signal_alarms.actions(STACK_ID, {})) == ()


@pytest.mark.parametrize(
    ("prefixes", "not_allowed"),
    [
        ((), ["glue-a", "nightly"]),
        (("glue-",), ["nightly"]),
        (("night", "glue-a"), []),
        (("nightly-", "Glue-"), ["glue-a", "nightly"]),
        (("",), []),
    ],
)
def test_an_alarm_needs_a_prefix_of_its_name(prefixes: tuple[str, ...], not_allowed: list[str]) -> None:
    """Case matters. Version 0.1 allowed every alarm, which is the empty prefix."""
    alarms = (SignalAlarm("glue-a", "x"), SignalAlarm("nightly", "x"))
    assert [alarm.name for alarm in SignalAlarms(prefixes, alarms).not_allowed] == not_allowed


@pytest.mark.parametrize(("name", "prefix"), [("a b:[c]", "a b:[c]"), ("cost $ high", "cost "), ("*", "")])
def test_the_longest_prefix_has_no_special_character_of_iam(name: str, prefix: str) -> None:
    """`stopOnAlarms` accepts no `*`, `?` and `$`, which an alarm's name can have."""
    assert SignalAlarm(name, "x").longest_prefix == prefix
