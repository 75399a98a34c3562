"""Shell commands that set variables for a deployment's resources."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Final

OUTPUTS: Final = (
    *("StopQueueUrl", "StopQueueArn", "ConfirmQueueUrl", "ConfirmQueueArn"),
    *("DeadLetterQueueUrl", "DeadLetterQueueArn", "EventBusName", "EventBusArn"),
    *("StopFunctionName", "StopFunctionArn", "ConfirmFunctionName"),
    *("SweepQueueUrl", "SweepQueueArn", "SweepFunctionName"),
    *("SignalTopicArn", "AlarmTopicArn", "NoticeTopicArn"),
    *("ProducerPolicyArn", "DashboardName", "CanaryJobName"),
)
"""The stack's outputs that become variables."""


def exports(variables: Mapping[str, str], outputs: Mapping[str, str]) -> str:
    """Return commands that set variables, and one for each output. They unset the names of missing outputs."""
    values = {**variables, **{variable_name(name): outputs[name] for name in OUTPUTS if name in outputs}}
    missing = [variable_name(name) for name in OUTPUTS if name not in outputs]
    lines = [f"export {name}={shlex.quote(value)}" for name, value in values.items()]
    return "\n".join([*([f"unset {' '.join(missing)}"] if missing else []), *lines])


def failure() -> str:
    """Return commands that unset each output's variable and then fail, so that no stale name remains."""
    return f"unset {' '.join(map(variable_name, OUTPUTS))}\nfalse"


def variable_name(output_name: str) -> str:
    """Return the name of an output's variable: `StopQueueUrl` becomes STOP_QUEUE_URL."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", output_name).upper()
