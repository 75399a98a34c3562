"""Why a message cannot be used, in words for the person who finds it among the dead letters."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import msgspec

_UNKNOWN: Final = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING: Final = re.compile(r"Object missing required field `(.*)`")
_MOMENT: Final = "a time with its offset from UTC, like 2026-11-24T03:00:00Z"
_WORDS: Final = {
    "Invalid RFC3339 encoded datetime": f"must be {_MOMENT}",
    "Expected": "must be",
    "`str`": "text",
    "`object`": "a JSON object",
    "`array`": "a list",
    "`bool`": "true or false",
    "`int`": "a whole number",
    "`float`": "a number",
    "`datetime` with a timezone component": _MOMENT,
    "`datetime`": "a time",
    "`null`": "null",
    "`str | null`": "text or null",
    "`float | null`": "a number or null",
    "`array | null`": "a list or null",
    "`object | null`": "a JSON object or null",
    "`array | object | null`": "a list, a JSON object or null",
    "got ": "not ",
    "Invalid enum value": "must be one of STARTING, RUNNING and WAITING, not",
}
_LONGEST: Final = 1024
_LONGEST_NAME: Final = 128  # a body can hold a field name of a megabyte


class ReadingError(ValueError):
    """A message that cannot be used: the text gives the field's path and the rule, cut to 1,024 characters."""

    def __str__(self) -> str:
        return super().__str__()[:_LONGEST]


def malformed(body: bytes, error: msgspec.DecodeError) -> ReadingError:
    """Explain why `body` is no JSON."""
    if not body.strip():
        return ReadingError("the body: is empty; a stop request is a JSON object")
    if body.startswith(b"\xef\xbb\xbf"):
        return ReadingError("the body: starts with a byte-order mark; send plain UTF-8 JSON without one")
    if body.startswith(b"AWS Budget"):
        return ReadingError(
            "the body: is AWS Budgets' text, which names no Glue job; send a stop request instead"
        )
    return ReadingError(f"the body: is not JSON ({str(error).removeprefix('JSON is malformed: ')})")


def broken_rule(
    error: msgspec.ValidationError,
    allowed: Mapping[str, Sequence[str]] = MappingProxyType({}),
    at: str = "",
) -> ReadingError:
    """Turn msgspec's "rule - at `$.path`" into "path: rule".

    `allowed` has the fields of objects that may have no others, by path; `at` is where what was read stands.
    """
    rule, _, path = str(error).partition(" - at `$")
    path = path.removesuffix("`").removeprefix(".")
    where = ".".join(filter(None, (at, path)))
    inside = f"{where}." if where else ""
    if found := _UNKNOWN.fullmatch(rule):
        known = ", ".join(allowed.get(path, ()))
        return ReadingError(f"{inside}{found[1][:_LONGEST_NAME]}: unknown field; allowed: {known}")
    if found := _MISSING.fullmatch(rule):
        return ReadingError(f"{inside}{found[1]}: missing; it is required")
    for theirs, ours in _WORDS.items():
        rule = rule.replace(theirs, ours)
    return ReadingError(f"{where or 'the body'}: {rule}")
