"""The target of a deployment: the account of the credentials, the Region, and the bootstrap of both."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import boto3
from botocore.config import Config as ClientConfig
from botocore.exceptions import BotoCoreError, ClientError

_DEFAULT_QUALIFIER: Final = "hnb659fds"
_CLIENT: Final = ClientConfig(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 3})


class DeployError(Exception):
    """The stack cannot be deployed. Nothing was changed, and the text says what failed."""


class Target(NamedTuple):
    """The account and Region of a deployment, and the ARN of the credentials."""

    account: str
    region: str
    caller: str

    def __str__(self) -> str:
        return f"account {self.account}, Region {self.region}"


def connect(profile: str | None, environ: Mapping[str, str], region: str | None = None) -> boto3.Session:
    """Return a session in `region`. The default Region is AWS_REGION, AWS_DEFAULT_REGION or the profile's."""
    region = with_region(environ, region).get("AWS_REGION")
    try:
        session = boto3.Session(profile_name=profile, region_name=region)
    except BotoCoreError as error:
        raise DeployError(_one_line(error)) from error
    if session.region_name:
        return session
    raise DeployError("no Region: set AWS_REGION, or the profile's (aws configure set region eu-west-1)")


def with_region(environ: Mapping[str, str], region: str | None = None) -> dict[str, str]:
    """Return `environ` with the Region in two variables, because boto3 and the CDK read different ones."""
    region = region or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    return {**environ, **dict.fromkeys(("AWS_REGION", "AWS_DEFAULT_REGION"), region)} if region else {**environ}


def identify(session: boto3.Session) -> Target:
    """Return the account and the Region. The call needs no permission."""
    try:
        identity = session.client("sts", config=_CLIENT).get_caller_identity()
    except (BotoCoreError, ClientError, ValueError) as error:
        raise DeployError(f"the account of the credentials cannot be read: {_one_line(error)}") from error
    return Target(identity["Account"], session.region_name, identity["Arn"])


def check_bootstrap(session: boto3.Session, target: Target, assembly: Path, profile: str | None = None) -> None:
    """Raise DeployError unless the target is bootstrapped for the qualifier of the assembly."""
    ssm = session.client("ssm", config=_CLIENT)
    for name in _bootstrap_parameters(assembly):
        try:
            ssm.get_parameter(Name=name)
        except ssm.exceptions.ParameterNotFound:
            others = _qualifiers(session)
            raise DeployError(_not_bootstrapped(target, name.split("/")[2], others, profile)) from None
        except (BotoCoreError, ClientError) as error:
            raise DeployError(f"the bootstrap of {target} cannot be read: {_one_line(error)}") from error


def _bootstrap_parameters(assembly: Path) -> set[str]:
    """Return the names of the SSM parameters with the version of a bootstrap, by qualifier."""
    artifacts = json.loads((assembly / "manifest.json").read_text())["artifacts"].values()
    names = (artifact.get("properties", {}).get("bootstrapStackVersionSsmParameter") for artifact in artifacts)
    return {name for name in names if name}


def _qualifiers(session: boto3.Session) -> list[str]:
    """Return the qualifiers of the target's bootstraps, empty if the credentials may not list them."""
    with suppress(BotoCoreError, ClientError):
        pages = session.client("ssm", config=_CLIENT).get_paginator("get_parameters_by_path")
        found = pages.paginate(Path="/cdk-bootstrap", Recursive=True).search("Parameters[].Name")
        return sorted(name.split("/")[2] for name in found if name)
    return []


def _not_bootstrapped(target: Target, qualifier: str, others: Sequence[str], profile: str | None) -> str:
    command = f".venv/bin/python -m infra.cdk_cli bootstrap aws://{target.account}/{target.region}"
    command += f" --qualifier {qualifier}"
    if others or qualifier != _DEFAULT_QUALIFIER:
        # In the toolkit stack of another qualifier, the CDK would replace that qualifier's bucket and roles.
        command += f" --toolkit-stack-name CDKToolkit-{qualifier}"
    lines = [f"not bootstrapped for qualifier {qualifier} in {target}. Nothing was changed."]
    lines += [
        f"It is bootstrapped for qualifier {other}. To use that one, add to CDK_OPTIONS:"
        f" -c @aws-cdk/core:bootstrapQualifier={other}"
        for other in others
    ]
    return "\n".join([*lines, f"To bootstrap it: {command}{f' --profile {profile}' if profile else ''}"])


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
