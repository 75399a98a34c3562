"""Synthesise the stacks: read the configuration, build the artifacts, write the templates, run the checks."""

import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import aws_cdk as cdk
import msgspec
from aws_cdk import cx_api
from cdk_nag import AwsSolutionsChecks, ServerlessChecks

from infra import artifact
from infra.artifact import Artifact, ArtifactError
from infra.central import GluebrakeCentral
from infra.config import Config, ConfigError, load
from infra.context import ORGANIZATION, check_context, full_context
from infra.environments import StackSpec, load_stacks
from infra.names import CENTRAL_STACK, configuration_file
from infra.stack import Gluebrake

# https://docs.aws.amazon.com/organizations/latest/APIReference/API_Organization.html
_ORGANIZATION: Final = re.compile(r"o-[a-z0-9]{10,32}")

Build = Callable[[Config], Artifact]


def main(arguments: Sequence[str]) -> str | None:
    """Synthesise the app, with or without the CDK command line. Return the error message, if any."""
    try:
        if "CDK_CONTEXT_JSON" in os.environ:
            # The CDK command line passes the context, and prints the stack's warnings and the template's path.
            synthesise(context={})
        else:
            assembly = synthesise(context=full_context(arguments), build=_build_with_warning)
            for stack in assembly.stacks:
                sys.stdout.write(f"Template: {_outdir()}/{stack.template_file}\n")
    except (ArtifactError, ConfigError) as error:
        return str(error)
    return None


def synthesise(
    *, context: Mapping[str, Any], outdir: str | None = None, build: Build = artifact.build
) -> cx_api.CloudAssembly:
    """Write the cloud assembly to `outdir`, by default to the folder that the CDK expects."""
    app = cdk.App(context=context, outdir=outdir or _outdir())
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app), ServerlessChecks(app))
    check_context(app.node.get_all_context())
    organization = app.node.try_get_context(ORGANIZATION)
    configurations = _stacks(app, build) if organization is None else _central(app, str(organization))
    assembly = app.synth()
    for stack, configuration in configurations.items():
        Path(assembly.directory, configuration_file(stack)).write_bytes(configuration)
    return assembly


def _stacks(app: cdk.App, build: Build) -> dict[str, bytes]:
    """Create the stack of each environment. Return their effective configurations, with all keys."""
    specs = load_stacks(app.node.try_get_context)
    for spec in specs:
        Gluebrake(app, spec.id, config=spec.config, artifact=build(spec.config), env=_env(spec))
    return {spec.id: msgspec.json.encode(spec.config) for spec in specs}


def _env(spec: StackSpec) -> cdk.Environment | None:
    environment = spec.environment
    return cdk.Environment(account=environment.account, region=environment.region) if environment else None


def _central(app: cdk.App, organization: str) -> dict[str, bytes]:
    """Create only the central stack. Return its configuration."""
    if not _ORGANIZATION.fullmatch(organization):
        allowed = "the id of an AWS organisation, such as o-abcde12345"
        raise ConfigError.of([f'-c {ORGANIZATION}: "{organization}" should be {allowed}'])
    days = load(app.node.try_get_context).log_retention_days
    GluebrakeCentral(app, CENTRAL_STACK, organization=organization, log_retention_days=days)
    return {CENTRAL_STACK: msgspec.json.encode({"organization": organization, "logRetentionDays": days})}


def _outdir() -> str:
    return os.environ.get("CDK_OUTDIR", "cdk.out")


def _build_with_warning(config: Config) -> Artifact:
    """Build the artifact and print its warning.

    The assembly also has the warning. But `stack.messages`, which reads the warning, can raise a ValueError,
    because two packages of the CDK install different copies of one file:
    https://github.com/aws/aws-cdk/issues/38482.
    """
    built = artifact.build(config)
    if built.warning:
        _warn(built.warning)
    return built


@cache
def _warn(text: str) -> None:
    """Print a warning once, even if several stacks have it."""
    sys.stderr.write(f"warning: {text}\n")
