"""Synthesises the stack: configuration, artifact, template, checks."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import aws_cdk as cdk
from aws_cdk import cx_api
from cdk_nag import AwsSolutionsChecks, ServerlessChecks

from infra import artifact
from infra.artifact import Artifact, ArtifactError
from infra.config import Config, ConfigError, load
from infra.stack import Gluebrake

_CDK_JSON = Path(__file__).parents[1] / "cdk.json"


def main(arguments: Sequence[str]) -> str | None:
    """Synthesise for the CDK's command line or, without it, as it would; return what went wrong."""
    by_cdk = "CDK_CONTEXT_JSON" in os.environ
    try:
        assembly = synthesise(context={} if by_cdk else plain_context(arguments))
    except (ArtifactError, ConfigError) as error:
        return str(error)
    if not by_cdk:
        _report(assembly)
    return None


def synthesise(
    *,
    context: Mapping[str, Any],
    outdir: str | None = None,
    build: Callable[[Config], Artifact] = artifact.build,
) -> cx_api.CloudAssembly:
    """Write the cloud assembly to `outdir`, by default where the CDK expects it."""
    app = cdk.App(context=context, outdir=outdir or os.environ.get("CDK_OUTDIR", "cdk.out"))
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app), ServerlessChecks(app))
    config = load(app.node.try_get_context)
    Gluebrake(app, "Gluebrake", config=config, artifact=build(config))
    return app.synth()


def plain_context(arguments: Sequence[str]) -> dict[str, Any]:
    """Return cdk.json's context under the `-c key=value` of `arguments`: what the CDK's command line passes."""
    parser = argparse.ArgumentParser(prog="app.py")
    parser.add_argument("-c", "--context", action="append", default=[], metavar="KEY=VALUE")
    pairs = (pair.partition("=") for pair in parser.parse_args(arguments).context)
    return {**json.loads(_CDK_JSON.read_text())["context"], **{key: value for key, _, value in pairs}}


def _report(assembly: cx_api.CloudAssembly) -> None:
    for stack in assembly.stacks:
        for message in stack.messages:
            sys.stderr.write(f"{message.level.name.lower()}: {message.entry.data}\n")
