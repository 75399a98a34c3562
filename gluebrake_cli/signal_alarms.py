"""The CloudWatch alarms whose actions stop runs, and whether `stopOnAlarms` allows them. Loads no boto3."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

_NOT_IN_A_PREFIX: Final = re.compile(r"[*?$]")


class SignalAlarm(Struct, frozen=True):
    """An alarm that acts on the signal topic or the STOP function when its state becomes ALARM."""

    name: str
    action: str
    """For example `notifies the signal topic`."""

    @property
    def longest_prefix(self) -> str:
        """The longest prefix of the alarm's name that is valid in `stopOnAlarms`. It may be empty."""
        return _NOT_IN_A_PREFIX.split(self.name, maxsplit=1)[0]


class SignalAlarms(Struct, frozen=True):
    """The alarms, and the prefixes in `stopOnAlarms`."""

    prefixes: tuple[str, ...]
    alarms: tuple[SignalAlarm, ...]

    @property
    def not_allowed(self) -> list[SignalAlarm]:
        """The alarms that can neither publish to the topic nor invoke the function, because of their names."""
        return [alarm for alarm in self.alarms if not alarm.name.startswith(self.prefixes)]


def actions(stack_id: str, outputs: Mapping[str, str]) -> dict[str, str]:
    """Return what an alarm does with each action that stops runs, by the action's ARN.

    If the stack lacks an output, the result has an ARN that no alarm has.
    """
    _, partition, _, region, account, _ = stack_id.split(":")
    topic, function = (outputs.get(name, "") for name in ("SignalTopicArn", "StopFunctionName"))
    return {
        topic: "notifies the signal topic",
        f"arn:{partition}:lambda:{region}:{account}:function:{function}": "invokes the STOP function",
    }


def read(client: CloudWatchClient, actions: Mapping[str, str]) -> tuple[SignalAlarm, ...]:
    """Read the alarms in the client's account and Region with one of these actions, in the order of AWS."""
    pages = client.get_paginator("describe_alarms").paginate(AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    names = {
        alarm["AlarmName"]: [actions[arn] for arn in alarm.get("AlarmActions", []) if arn in actions]
        for page in pages
        for alarm in (*page.get("MetricAlarms", []), *page.get("CompositeAlarms", []))
    }
    return tuple(SignalAlarm(name, " and ".join(found)) for name, found in names.items() if found)
