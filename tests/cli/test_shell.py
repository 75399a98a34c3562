"""The commands that `doctor` and `verify` print act on the deployment that was read."""

from __future__ import annotations

import pytest
from msgspec import Struct

from gluebrake.model import AwsEnvironment
from gluebrake_cli.shell import command_line


class _Deployed(Struct, frozen=True):
    profile: str | None
    environment: str = ""
    aws_environment: AwsEnvironment = AwsEnvironment("123456789012", "eu-west-1")


@pytest.mark.parametrize(
    ("command", "profile", "line"),
    [
        (("aws", "sns", "x y"), None, "aws sns 'x y' --region eu-west-1"),
        (("aws", "sns"), "my prod", "aws sns --region eu-west-1 --profile 'my prod'"),
        (("make", "deploy"), None, "AWS_REGION=eu-west-1 make deploy"),
        (("make", "deploy"), "my prod", "AWS_REGION=eu-west-1 AWS_PROFILE='my prod' make deploy"),
    ],
)
def test_command_acts_where_the_deployment_is(command: tuple[str, ...], profile: str | None, line: str) -> None:
    """The command has the deployment's Region and the profile, since the shell may name others."""
    assert command_line(command, _Deployed(profile)) == line


@pytest.mark.parametrize(
    ("command", "profile", "line"),
    [
        (("aws", "sns"), "prod", "aws sns --region eu-west-1 --profile prod"),
        (("make", "deploy"), "prod", "make deploy ENVIRONMENT=prod"),
        (("make", "deploy"), "admin", "make deploy ENVIRONMENT=prod PROFILE_FOR=prod=admin"),
        (("make", "deploy"), None, "make deploy ENVIRONMENT=prod PROFILE_FOR=prod="),
        (("gluebrake", "verify"), "prod", "gluebrake --environment prod verify"),
        (
            ("gluebrake", "verify"),
            "admin",
            "gluebrake --environment prod --profile-for prod=admin verify",
        ),
    ],
)
def test_command_names_the_environment(command: tuple[str, ...], profile: str | None, line: str) -> None:
    """`make deploy` and `gluebrake` take the account and the Region from the configuration."""
    assert command_line(command, _Deployed(profile, "prod")) == line
