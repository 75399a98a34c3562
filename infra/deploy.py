"""Deploy one stack, or a stack for each environment: `python -m infra.deploy -c config=production.json`.

The command never bootstraps an account. It reads the account and its bootstrap with boto3, which only the
development environment has.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Never, TextIO

from gluebrake.environments import Environment
from infra import cdk_cli, fleet
from infra.account import DeployError, Target, check_bootstrap, connect, identify, with_region
from infra.alarm_warning import alarm_warning
from infra.config import ConfigError
from infra.context import ENVIRONMENT, ORGANIZATION, full_context
from infra.environments import available, load_environments, select
from infra.names import CENTRAL_STACK, STACK, stack_id
from infra.preview import settings, synthesise


class Options(NamedTuple):
    """The options of this command. `cdk` has the remaining arguments, for `cdk deploy`."""

    context: Sequence[str]
    output: str
    profile: str | None
    environments: Sequence[str]
    profiles: Mapping[str, str]
    cdk: Sequence[str]


def main(arguments: Sequence[str]) -> str | int:
    """Deploy the selected stacks. Return the error message, or the exit code."""
    options = parse(arguments)
    try:
        context = full_context(options.context)
        if ORGANIZATION in context:
            _deploy_one(options, CENTRAL_STACK)
        if selected := _selected(options, context):
            return _deploy_each(options, selected)
        _deploy_one(options, STACK)
    except (ConfigError, DeployError, cdk_cli.CdkCliError) as error:
        return f"Not deployed: {error}"


def parse(arguments: Sequence[str]) -> Options:
    """Return the options. Unknown arguments are for the CDK."""
    parser = argparse.ArgumentParser(prog="python -m infra.deploy", allow_abbrev=False)
    parser.add_argument("-c", "--context", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("-o", "--output", default="cdk.out", metavar="DIRECTORY")
    parser.add_argument("--profile", metavar="NAME", help="the profile of the only account")
    parser.add_argument("--require-approval", default="broadening", metavar="WHEN")
    parser.add_argument(
        "--environment",
        action="append",
        default=[],
        metavar="NAME",
        help="an environment of the configuration, several, or all",
    )
    parser.add_argument(
        "--profile-for",
        action="append",
        default=[],
        type=_profile_for,
        metavar="NAME=PROFILE",
        help="the profile of an environment; by default the one with its name."
        " NAME= uses the credentials of the environment variables",
    )
    options, rest = parser.parse_known_args(arguments)
    return Options(
        context=[option for pair in options.context for option in ("-c", pair)],
        output=options.output,
        profile=options.profile,
        environments=options.environment,
        profiles=dict(options.profile_for),
        cdk=["--require-approval", options.require_approval, *rest],
    )


def _profile_for(text: str) -> tuple[str, str]:
    name, separator, profile = text.partition("=")
    if not (name and separator):
        raise argparse.ArgumentTypeError(f"{text}: should be NAME=PROFILE")
    return name, profile


def _selected(options: Options, context: Mapping[str, Any]) -> list[Environment]:
    """Return the environments to deploy, empty if the configuration has no environments."""
    declared = load_environments(context.get)
    names = " ".join([*options.environments, str(context.get(ENVIRONMENT, ""))]).split()
    if declared and not names:
        raise DeployError(f"no environment is given; {available(declared)}: make deploy ENVIRONMENT=NAME")
    if unknown := [name for name in options.profiles if name not in declared]:
        raise DeployError(f"--profile-for {', '.join(unknown)}: {available(declared)}")
    if declared and options.profile:
        raise DeployError("--profile: each environment has its own profile; use --profile-for NAME=PROFILE")
    return select(declared, names)


def _deploy_one(options: Options, stack: str) -> Never:
    """Check the account, show the configuration, and replace this process with the CDK, which deploys it."""
    session = connect(options.profile, os.environ)
    target = identify(session)
    environ = with_region(os.environ, target.region)
    assembly = synthesise(options.context, options.output, environ)
    check_bootstrap(session, target, assembly, options.profile)
    _write(sys.stdout, summary(target, assembly, stack))
    if stack == STACK:
        _write(sys.stderr, alarm_warning(session, assembly))
    profile = ["--profile", options.profile] if options.profile else []
    cdk_cli.run(["deploy", "--app", str(assembly), *profile, *options.cdk], environ)


def summary(target: Target, assembly: Path, stack: str = STACK) -> Iterator[str]:
    """Yield the lines with the account, the Region, and each configuration key of the deployment."""
    yield f"Account {target.account}, Region {target.region}, as {target.caller}"
    yield "Configuration (* is not the default):"
    yield from map(str, settings(assembly, stack))


def _deploy_each(options: Options, selected: Sequence[Environment]) -> int:
    """Check the accounts of all environments, show their configurations, and run the CDK for each."""
    names = " ".join(environment.name for environment in selected)
    assembly = synthesise([*options.context, "-c", f"{ENVIRONMENT}={names}"], options.output, os.environ)
    members = fleet.check(selected, options.profiles, assembly)
    for member in members:
        _write(sys.stdout, fleet.summary(member, assembly))
        _write(sys.stderr, alarm_warning(member.session, assembly, stack_id(member.environment.name)))
    results = fleet.deploy(members, ["--app", str(assembly), *options.cdk])
    _write(sys.stdout, ["", "Result:", *(f"  {name}: {result}" for name, result in results.items())])
    return int(any(result != fleet.DEPLOYED for result in results.values()))


def _write(stream: TextIO, lines: Iterable[str]) -> None:
    stream.write("".join(f"{line}\n" for line in lines))
    stream.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
