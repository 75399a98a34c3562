"""The environments of one deployment: check all accounts first, then run the CDK for one after the other."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import boto3

from gluebrake.environments import Environment
from infra import cdk_cli
from infra.account import DeployError, Target, check_bootstrap, connect, identify, with_region
from infra.names import stack_id
from infra.preview import settings

DEPLOYED: Final = "deployed"
NOT_STARTED: Final = "not started"


class Member(NamedTuple):
    """An environment with checked credentials and bootstrap. Without a profile, variables have the keys."""

    environment: Environment
    profile: str | None
    session: boto3.Session
    target: Target


def check(environments: Sequence[Environment], profiles: Mapping[str, str], assembly: Path) -> list[Member]:
    """Check the account and the bootstrap of each environment. Raise DeployError, which names all failures."""
    members, failures = [], []
    for environment in environments:
        try:
            members.append(
                _checked(environment, profiles.get(environment.name, environment.name) or None, assembly)
            )
        except DeployError as error:
            failures.append(f"{environment}: {error}")
    if failures:
        raise DeployError("\n".join(["nothing was changed, because a check failed:", *failures]))
    return members


def _checked(environment: Environment, profile: str | None, assembly: Path) -> Member:
    session = connect(profile, os.environ, environment.region)
    target = identify(session)
    if target.account != environment.account:
        source = f"the profile {profile} has" if profile else "the environment variables have"
        raise DeployError(f"{source} credentials of account {target.account}: {target.caller}")
    check_bootstrap(session, target, assembly, profile)
    return Member(environment, profile, session, target)


def summary(member: Member, assembly: Path) -> Iterator[str]:
    """Yield the lines with each environment's account, Region, and configuration keys that are not defaults."""
    yield f"{member.environment}, as {member.target.caller}"
    yield from (
        str(setting)
        for setting in settings(assembly, stack_id(member.environment.name))
        if not setting.is_default
    )


def deploy(members: Sequence[Member], arguments: Sequence[str]) -> dict[str, str]:
    """Deploy the members one after another. Return the result of each.

    A failure does not stop the remaining deployments. After an interrupt, no further deployment starts.
    """
    results = {member.environment.name: NOT_STARTED for member in members}
    try:
        for member in members:
            sys.stdout.write(f"\nDeploying {member.environment}\n")
            sys.stdout.flush()
            results[member.environment.name] = "interrupted"
            code = cdk_cli.call(_command(member, arguments), with_region(os.environ, member.environment.region))
            results[member.environment.name] = (
                f"failed: the CDK ended with exit code {code}" if code else DEPLOYED
            )
    except KeyboardInterrupt:
        return results
    return results


def _command(member: Member, arguments: Sequence[str]) -> list[str]:
    profile = ["--profile", member.profile] if member.profile else []
    return ["deploy", stack_id(member.environment.name), *profile, *arguments]
