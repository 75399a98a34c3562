"""Deploy the stack: `python -m infra.deploy -c config=production.json`. It never bootstraps an account.

It needs boto3, which only the development environment has, to read the account and its bootstrap.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple, Never

import boto3
import msgspec
from botocore.config import Config as ClientConfig
from botocore.exceptions import BotoCoreError, ClientError

from infra import cdk_cli
from infra.alarm_warning import alarm_warning
from infra.config import EFFECTIVE, Config

_APP: Final = Path(__file__).parents[1] / "app.py"
_DEFAULT_QUALIFIER: Final = "hnb659fds"
_CLIENT: Final = ClientConfig(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 3})


class DeployError(Exception):
    """The stack cannot be deployed. The text says what failed; nothing was changed."""


class Target(NamedTuple):
    """Where the stack is deployed, and the ARN of the credentials."""

    account: str
    region: str
    caller: str

    def __str__(self) -> str:
        return f"account {self.account}, Region {self.region}"


def main(arguments: Sequence[str]) -> str:
    """Check the account, show the configuration, and become the CDK. Return the error message."""
    options, rest = _parse(arguments)
    try:
        session = connect(options.profile, os.environ)
        target = identify(session)
        environ = with_region(os.environ, target.region)
        assembly = _synthesise(options.context, options.output, environ)
        check_bootstrap(session, target, assembly, options.profile)
        sys.stdout.write("".join(f"{line}\n" for line in summary(target, assembly)))
        sys.stdout.flush()
        sys.stderr.write("".join(f"{line}\n" for line in alarm_warning(session, assembly)))
        _deploy(assembly, options, rest, environ)
    except (DeployError, cdk_cli.CdkCliError) as error:
        return f"Not deployed: {error}"


def connect(profile: str | None, environ: Mapping[str, str]) -> boto3.Session:
    """Return a session in the Region of AWS_REGION, AWS_DEFAULT_REGION or the profile, in this order."""
    try:
        session = boto3.Session(profile_name=profile, region_name=with_region(environ).get("AWS_REGION"))
    except BotoCoreError as error:
        raise DeployError(_one_line(error)) from error
    if session.region_name:
        return session
    raise DeployError("no Region: set AWS_REGION, or the profile's (aws configure set region eu-west-1)")


def with_region(environ: Mapping[str, str], region: str | None = None) -> dict[str, str]:
    """Return `environ` with one Region in both variables. boto3 reads one of them, the CDK the other."""
    region = region or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    return {**environ, **dict.fromkeys(("AWS_REGION", "AWS_DEFAULT_REGION"), region)} if region else {**environ}


def identify(session: boto3.Session) -> Target:
    """Return the account and the Region. Needs no permission."""
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
    """Return the names of the SSM parameters that have the bootstrap's version, each with a qualifier."""
    artifacts = json.loads((assembly / "manifest.json").read_text())["artifacts"].values()
    names = (artifact.get("properties", {}).get("bootstrapStackVersionSsmParameter") for artifact in artifacts)
    return {name for name in names if name}


def _qualifiers(session: boto3.Session) -> list[str]:
    """Return the qualifiers for which the target is bootstrapped, or none if they may not be listed."""
    with suppress(BotoCoreError, ClientError):
        pages = session.client("ssm", config=_CLIENT).get_paginator("get_parameters_by_path")
        found = pages.paginate(Path="/cdk-bootstrap", Recursive=True).search("Parameters[].Name")
        return sorted(name.split("/")[2] for name in found if name)
    return []


def _not_bootstrapped(target: Target, qualifier: str, others: Sequence[str], profile: str | None) -> str:
    command = f".venv/bin/python -m infra.cdk_cli bootstrap aws://{target.account}/{target.region}"
    command += f" --qualifier {qualifier}"
    if others or qualifier != _DEFAULT_QUALIFIER:
        # In the stack of another qualifier, the CDK would replace that qualifier's bucket and roles.
        command += f" --toolkit-stack-name CDKToolkit-{qualifier}"
    lines = [f"not bootstrapped for qualifier {qualifier} in {target}. Nothing was changed."]
    lines += [
        f"It is bootstrapped for qualifier {other}. To use that one, add to CDK_OPTIONS:"
        f" -c @aws-cdk/core:bootstrapQualifier={other}"
        for other in others
    ]
    return "\n".join([*lines, f"To bootstrap it: {command}{f' --profile {profile}' if profile else ''}"])


def summary(target: Target, assembly: Path) -> Iterator[str]:
    """Yield the lines that say what is deployed where: the account, the Region, and each configuration key."""
    yield f"Account {target.account}, Region {target.region}, as {target.caller}"
    yield "Configuration (* is not the default):"
    defaults = msgspec.to_builtins(Config())
    for key, value in json.loads((assembly / EFFECTIVE).read_text()).items():
        mark = " " if value == json.loads(msgspec.json.encode(defaults[key])) else "*"
        yield f"  {mark} {key} = {json.dumps(value)}"


def _parse(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Return the options that are needed here, and the rest, which is for `cdk deploy`."""
    parser = argparse.ArgumentParser(prog="python -m infra.deploy", allow_abbrev=False)
    parser.add_argument("-c", "--context", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("-o", "--output", default="cdk.out", metavar="DIRECTORY")
    parser.add_argument("--profile", metavar="NAME")
    parser.add_argument("--require-approval", default="broadening", metavar="WHEN")
    return parser.parse_known_args(arguments)


def _synthesise(context: Sequence[str], output: str, environ: Mapping[str, str]) -> Path:
    """Run app.py. Its warnings are in the assembly as well, from where the CDK prints them."""
    options = [option for pair in context for option in ("-c", pair)]
    process = subprocess.run(
        [sys.executable, _APP, *options],
        env={**environ, "CDK_OUTDIR": output},
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode:
        raise DeployError((process.stdout + process.stderr).strip())
    return Path(output)


def _deploy(
    assembly: Path, options: argparse.Namespace, rest: Sequence[str], environ: Mapping[str, str]
) -> Never:
    """Become `cdk deploy`, which deploys exactly what was checked."""
    profile = ["--profile", options.profile] if options.profile else []
    approval = ["--require-approval", options.require_approval]
    cdk_cli.run(["deploy", "--app", str(assembly), *approval, *profile, *rest], environ)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
