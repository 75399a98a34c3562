"""The warning of `make deploy` about alarms that a deployment disarms."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from botocore.config import Config as ClientConfig
from botocore.exceptions import ClientError

from gluebrake_cli import signal_alarms
from gluebrake_cli.errors import explain
from gluebrake_cli.signal_alarms import SignalAlarm, SignalAlarms
from infra.names import STACK, configuration_file

if TYPE_CHECKING:
    import boto3

_CLIENT: Final = ClientConfig(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 3})


def alarm_warning(session: boto3.Session, assembly: Path, stack_id: str = STACK) -> Iterator[str]:
    """Yield lines with the names of the alarms that the deployment disarms, or with why they are unknown.

    An alarm acts on the deployed stack's topic or function, so the first deployment disarms no alarm.
    `stack_id` is the stack's id within the assembly.
    """
    prefixes = tuple(json.loads((assembly / configuration_file(stack_id)).read_text())["stopOnAlarms"])
    try:
        alarms = SignalAlarms(prefixes, _read(session))
    except Exception as error:  # noqa: BLE001 - no error of this check may block a deployment
        yield f"warning: the alarms that act on the stack cannot be read: {explain(error) or repr(error)}"
    else:
        yield from _lines(prefixes, alarms.not_allowed)


def _lines(prefixes: Sequence[str], alarms: Sequence[SignalAlarm]) -> Iterator[str]:
    if not alarms:
        return
    yield "warning: no prefix in stopOnAlarms allows these alarms. After this deployment they stop no run:"
    yield from (f"  {alarm.name} {alarm.action}" for alarm in alarms)
    named = [*prefixes, *filter(None, (alarm.longest_prefix for alarm in alarms))]
    yield f'To keep them, deploy with these or shorter prefixes: "stopOnAlarms": {json.dumps(named)}'


def _read(session: boto3.Session) -> tuple[SignalAlarm, ...]:
    stack = _deployed_stack(session)
    if stack is None:
        return ()
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
    actions = signal_alarms.actions(stack["StackId"], outputs)
    return signal_alarms.read(session.client("cloudwatch", config=_CLIENT), actions)


def _deployed_stack(session: boto3.Session) -> Any:
    """Return the stack as CloudFormation describes it, or None before the first deployment."""
    try:
        return session.client("cloudformation", config=_CLIENT).describe_stacks(StackName=STACK)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
