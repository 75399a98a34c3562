"""The context of the CDK app: the files and options that give its keys, and the keys that it can have."""

from __future__ import annotations

import argparse
import difflib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from infra.config import Config, ConfigError

_ROOT: Final = Path(__file__).parents[1]
_CDK_JSON: Final = _ROOT / "cdk.json"

ENVIRONMENT: Final = "environment"
"""The key with the names of the environments to synthesise, separated by spaces, or `all`.

Without this key, all environments are synthesised. With an empty value, only the common part is synthesised, as
a stack for any account.
"""

ORGANIZATION: Final = "organization"
"""The key with the organisation whose reports the central stack accepts. It selects the central stack alone."""

_KEYS: Final = ("config", ENVIRONMENT, "gluebrake", ORGANIZATION, "target")
_BOUNDARY: Final = "@aws-cdk/core:permissionsBoundary"
_CDK_KEYS: Final = ("@aws-cdk/core:bootstrapQualifier", _BOUNDARY)
"""The keys of the CDK that docs/operations.md names."""


def full_context(arguments: Sequence[str]) -> dict[str, Any]:
    """Return the context that the CDK command line would pass, including its two other context files."""
    user, lookups = _read(Path.home() / ".cdk.json"), _read(_ROOT / "cdk.context.json")
    return {**user.get("context", {}), **lookups, **plain_context(arguments)}


def plain_context(arguments: Sequence[str]) -> dict[str, Any]:
    """Return the context of cdk.json, then of each `-c key=value`."""
    parser = argparse.ArgumentParser(prog="app.py")
    parser.add_argument("-c", "--context", action="append", default=[], metavar="KEY=VALUE")
    pairs = (pair.partition("=") for pair in parser.parse_args(arguments).context)
    return {**json.loads(_CDK_JSON.read_text())["context"], **{key: value for key, _, value in pairs}}


def check_context(context: Mapping[str, Any]) -> None:
    """Raise ConfigError for context that the CDK ignores: unknown keys, or a permissions boundary as text."""
    errors = [*_unknown(context)]
    if isinstance(context.get(_BOUNDARY), str):
        errors.append(
            f'context key {_BOUNDARY}: write {{"name": "POLICY"}} into the context of cdk.json, not into -c'
        )
    if errors:
        raise ConfigError.of(errors)


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
