"""Explanations why a message cannot be used, for the person who reads the dead letter."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import msgspec

_UNKNOWN_FIELD: Final = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING_FIELD: Final = re.compile(r"Object missing required field `(.*)`")
_INDEX: Final = re.compile(r"\[\d+\]")
_LONGEST: Final = 1024
_LONGEST_NAME: Final = 128  # a body can hold a field name of a megabyte

# Step Functions' name for a token, in both spellings of its documentation:
# https://docs.aws.amazon.com/step-functions/latest/dg/connect-to-resource.html
_ADVICE: Final = dict.fromkeys(
    ("TaskToken", "taskToken"),
    "; Gluebrake does not return a task token: leave it out, then poll GetJobRun until the run is over",
)


class ParsingError(ValueError):
    """A message that cannot be used. The text has the field's path and the rule, cut to 1,024 characters."""

    def __str__(self) -> str:
        return super().__str__()[:_LONGEST]


def malformed(body: bytes, error: msgspec.DecodeError) -> ParsingError:
    """Explain why `body` is not JSON."""
    if not body.strip():
        return ParsingError("the body: is empty; a stop request is a JSON object")
    if body.startswith(b"\xef\xbb\xbf"):
        return ParsingError("the body: starts with a byte-order mark; send plain UTF-8 JSON without one")
    if body.startswith(b"AWS Budget"):
        return ParsingError(
            "the body: is AWS Budgets' text, which names no Glue job; send a stop request instead"
        )
    return ParsingError(f"the body: is not JSON ({str(error).removeprefix('JSON is malformed: ')})")


def broken_rule(
    error: msgspec.ValidationError,
    allowed: Mapping[str, Sequence[str]] = MappingProxyType({}),
    at: str = "",
) -> ParsingError:
    """Turn msgspec's "rule - at `$.path`" into "path: rule".

    `allowed` has the allowed names or values by path. The path of an object's field names ends in a dot. `at`
    is the path of the parsed object within the body.
    """
    # For a wrong key, msgspec gives the path of the object.
    rule, _, path = str(error).replace(" - at `key` in `$", " - at `$").partition(" - at `$")
    path = path.removesuffix("`").removeprefix(".")
    general_path = _INDEX.sub("[]", path)
    where = ".".join(filter(None, (at, path)))
    inside = f"{where}." if where else ""
    if found := _UNKNOWN_FIELD.fullmatch(rule):
        known = ", ".join(allowed.get(f"{general_path}.", ()))
        name = found[1][:_LONGEST_NAME]
        return ParsingError(f"{inside}{name}: unknown field; allowed: {known}{_ADVICE.get(name, '')}")
    if found := _MISSING_FIELD.fullmatch(rule):
        return ParsingError(f"{inside}{found[1]}: missing; it is required")
    if values := allowed.get(general_path):
        rule = f"{rule}; allowed: {', '.join(values)}"
    return ParsingError(f"{where or 'the body'}: {rule}")
