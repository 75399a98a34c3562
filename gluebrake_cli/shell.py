"""Shell commands that set variables for a deployment's resources, or that act on a deployment."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from gluebrake.model import AwsEnvironment

Command = tuple[str, ...]
"""A program and its arguments."""


class Deployed(Protocol):
    """The deployment on which a shell command acts."""

    @property
    def aws_environment(self) -> AwsEnvironment:
        """Return the account and the Region."""

    @property
    def profile(self) -> str | None:
        """Return the AWS profile, if one was given."""

    @property
    def environment(self) -> str:
        """Return the name of the environment, empty if none was given."""


OUTPUTS: Final = (
    *("StopQueueUrl", "StopQueueArn", "ConfirmQueueUrl", "ConfirmQueueArn"),
    *("DeadLetterQueueUrl", "DeadLetterQueueArn", "EventBusName", "EventBusArn"),
    *("StopFunctionName", "StopFunctionArn", "ConfirmFunctionName"),
    *("SweepQueueUrl", "SweepQueueArn", "SweepFunctionName"),
    *("SignalTopicArn", "AlarmTopicArn", "NoticeTopicArn"),
    *("ProducerPolicyArn", "DashboardName", "CanaryJobName"),
)
"""The stack's outputs that become variables, in addition to the topics of guardrail policies."""

_POLICY_TOPIC: Final = re.compile(r"SweepTopic\w+Arn")
_POLICY_TOPIC_VARIABLE: Final = re.compile(r"SWEEP_TOPIC_\w+_ARN")


def exports(variables: Mapping[str, str], outputs: Mapping[str, str]) -> str:
    """Return commands that set these variables and one for each output, and unset those of missing outputs."""
    named = [name for name in outputs if name in OUTPUTS or _POLICY_TOPIC.fullmatch(name)]
    values = {**variables, **{variable_name(name): outputs[name] for name in named}}
    missing = [name for name in _output_variables() if name not in values]
    lines = [f"export {name}={shlex.quote(value)}" for name, value in values.items()]
    return "\n".join([*([f"unset {' '.join(missing)}"] if missing else []), *lines])


def failure() -> str:
    """Return commands that unset each output's variable and then fail, so that no old value remains."""
    return f"unset {' '.join(_output_variables())}\nfalse"


def _output_variables() -> list[str]:
    """Return the variables that outputs may have set. Topics' variables are found in the environment."""
    return [*map(variable_name, OUTPUTS), *filter(_POLICY_TOPIC_VARIABLE.fullmatch, os.environ)]


def variable_name(output_name: str) -> str:
    """Return the name of an output's variable: `StopQueueUrl` becomes STOP_QUEUE_URL."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", output_name).upper()


def command_line(command: Command, deployment: Deployed) -> str:
    """Return a command with the deployment's Region and profile, or with the name of its environment."""
    program, *arguments = command
    region, profile = deployment.aws_environment.region, deployment.profile
    if program == "aws":
        return shlex.join([*command, "--region", region, *(["--profile", profile] if profile else [])])
    if deployment.environment:
        return shlex.join([program, *_in_environment(program, arguments, deployment)])
    variables = {"AWS_REGION": region, **({"AWS_PROFILE": profile} if profile else {})}
    assignments = (f"{name}={shlex.quote(value)}" for name, value in variables.items())
    return " ".join([*assignments, shlex.join(command)])


def _in_environment(program: str, arguments: Sequence[str], deployment: Deployed) -> list[str]:
    """Return the arguments of `make` or `gluebrake`, with the arguments that select the environment."""
    name, profile = deployment.environment, deployment.profile or ""
    profile_for = [f"{name}={profile}"] if profile != name else []
    if program == "make":
        return [*arguments, f"ENVIRONMENT={name}", *(f"PROFILE_FOR={text}" for text in profile_for)]
    options = [word for text in profile_for for word in ("--profile-for", text)]
    return ["--environment", name, *options, *arguments]
