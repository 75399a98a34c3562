"""Synthesise the stack: read the configuration, build the artifact, write the template, run the checks."""

import argparse
import difflib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import aws_cdk as cdk
import msgspec
from aws_cdk import cx_api
from cdk_nag import AwsSolutionsChecks, ServerlessChecks

from infra import artifact
from infra.artifact import Artifact, ArtifactError
from infra.config import EFFECTIVE, Config, ConfigError, load
from infra.names import STACK
from infra.stack import Gluebrake

_ROOT: Final = Path(__file__).parents[1]
_CDK_JSON: Final = _ROOT / "cdk.json"

_KEYS: Final = ("config", "gluebrake", "target")
_BOUNDARY: Final = "@aws-cdk/core:permissionsBoundary"
_CDK_KEYS: Final = ("@aws-cdk/core:bootstrapQualifier", _BOUNDARY)
"""The keys of the CDK that docs/operations.md names."""


def main(arguments: Sequence[str]) -> str | None:
    """Synthesise, started by the CDK command line or without it. Return the error message, if any."""
    try:
        if "CDK_CONTEXT_JSON" in os.environ:
            # The CDK command line passes the context, prints the stack's warnings and names the result.
            synthesise(context={})
        else:
            synthesise(context=full_context(arguments), build=_build_with_warning)
            sys.stdout.write(f"Template: {_outdir()}/{STACK}.template.json\n")
    except (ArtifactError, ConfigError) as error:
        return str(error)
    return None


def synthesise(
    *,
    context: Mapping[str, Any],
    outdir: str | None = None,
    build: Callable[[Config], Artifact] = artifact.build,
) -> cx_api.CloudAssembly:
    """Write the cloud assembly to `outdir`, by default to the folder that the CDK expects."""
    app = cdk.App(context=context, outdir=outdir or _outdir())
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app), ServerlessChecks(app))
    check_context(app.node.get_all_context())
    config = load(app.node.try_get_context)
    Gluebrake(app, STACK, config=config, artifact=build(config))
    assembly = app.synth()
    Path(assembly.directory, EFFECTIVE).write_bytes(msgspec.json.encode(config))
    return assembly


def full_context(arguments: Sequence[str]) -> dict[str, Any]:
    """Return the context that the CDK command line would pass, with that of its two other files."""
    user, lookups = _read(Path.home() / ".cdk.json"), _read(_ROOT / "cdk.context.json")
    return {**user.get("context", {}), **lookups, **plain_context(arguments)}


def plain_context(arguments: Sequence[str]) -> dict[str, Any]:
    """Return the context of cdk.json, then of each `-c key=value`."""
    parser = argparse.ArgumentParser(prog="app.py")
    parser.add_argument("-c", "--context", action="append", default=[], metavar="KEY=VALUE")
    pairs = (pair.partition("=") for pair in parser.parse_args(arguments).context)
    return {**json.loads(_CDK_JSON.read_text())["context"], **{key: value for key, _, value in pairs}}


def _outdir() -> str:
    return os.environ.get("CDK_OUTDIR", "cdk.out")


def check_context(context: Mapping[str, Any]) -> None:
    """Raise ConfigError for what the CDK would ignore: unknown keys, and a permissions boundary as a text."""
    errors = [*_unknown(context)]
    if isinstance(context.get(_BOUNDARY), str):
        errors.append(
            f'context key {_BOUNDARY}: write {{"name": "POLICY"}} into the context of cdk.json, not into -c'
        )
    if errors:
        raise ConfigError("\n".join(["The configuration cannot be used:", *errors]))


def _unknown(keys: Iterable[str]) -> Iterator[str]:
    for key in keys:
        # Every key of the CDK itself has a colon: settings, feature flags and lookups.
        known, similarity = (_CDK_KEYS, 0.9) if ":" in key else (_KEYS, 0.6)
        similar = difflib.get_close_matches(key, known, n=1, cutoff=similarity)
        if key in known or (":" in key and not similar):
            continue
        yield f"context key {key}: unknown; {_advice(key, similar)}"


def _advice(key: str, similar: Sequence[str]) -> str:
    if key in {field.encode_name for field in msgspec.structs.fields(Config)}:
        return f"write {key} into a JSON file, and give -c config=FILE"
    return f"did you mean {similar[0]}?" if similar else f"the keys are {', '.join(_KEYS)}"


def _read(file: Path) -> dict[str, Any]:
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigError(f"{file}: cannot be read: {error}") from error


def _build_with_warning(config: Config) -> Artifact:
    """Build the artifact and print its warning.

    The assembly has the warning too. Reading it there (`stack.messages`) can raise a ValueError, because two
    packages of the CDK install different copies of one file: https://github.com/aws/aws-cdk/issues/38482.
    """
    built = artifact.build(config)
    if built.warning:
        sys.stderr.write(f"warning: {built.warning}\n")
    return built
