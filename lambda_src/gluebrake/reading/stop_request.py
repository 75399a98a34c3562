"""Our own message: a stop request. Strict: what is not understood stops nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import UNSET

from gluebrake.model import Selection, StopRequest
from gluebrake.reading.errors import ReadingError, broken_rule, malformed

# What Glue's pattern leaves out, and what SQS cannot carry in our own re-sends.
_NOT_ONE_LINE: Final = re.compile(r"[^\t\u0020-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")
_NOT_TEXT: Final = re.compile(r"[^\t\r\n\u0020-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")

_FIELDS: Final = {
    "": msgspec.structs.fields(StopRequest),
    "Select": msgspec.structs.fields(Selection),
}

_decoder: Final = msgspec.json.Decoder(StopRequest)


def read(body: bytes) -> StopRequest:
    """Read a plain stop request; raise ReadingError with the field's path and the rule."""
    try:
        request = _decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _twice_encoded(body) or broken_rule(error, allowed()) from error
    except msgspec.DecodeError as error:
        raise malformed(body, error) from error
    return checked(request)


def allowed(at: str = "") -> dict[str, tuple[str, ...]]:
    """Return the fields that a stop request may have, by the path of their object below `at`."""
    return {
        ".".join(filter(None, (at, path))): tuple(field.encode_name for field in fields)
        for path, fields in _FIELDS.items()
    }


def checked(request: StopRequest, at: str = "") -> StopRequest:
    """Apply the rules that no type tells; `at` is the path at which the request stands in its message."""
    for rule in (*_selection_flaws(request), *_character_flaws(request)):
        raise ReadingError(f"{at}.{rule}" if at else rule)
    return request


def _selection_flaws(request: StopRequest) -> Iterator[str]:
    if request.job_run_ids is UNSET and request.select is UNSET:
        yield "JobRunIds: missing; name the runs"
    if request.job_run_ids is not UNSET and request.select is not UNSET:
        yield "Select: must not stand beside JobRunIds; give one of the two"
    if request.select is not UNSET:
        yield "Select: not supported by this version; name the runs in JobRunIds"


def _character_flaws(request: StopRequest) -> Iterator[str]:
    if found := _NOT_ONE_LINE.search(request.job_name):
        yield _flaw("JobName", "must be one line of text", found)
    for index, run_id in enumerate(request.job_run_ids or ()):
        if found := _NOT_ONE_LINE.search(run_id):
            yield _flaw(f"JobRunIds[{index}]", "must be one line of text", found)
    for name, note in (("Reason", request.reason), ("RequestedBy", request.requested_by)):
        if note is not UNSET and (found := _NOT_TEXT.search(note)):
            yield _flaw(name, "must be text", found)


def _flaw(name: str, rule: str, found: re.Match[str]) -> str:
    return f"{name}: {rule} without control characters; character {found.start() + 1} is U+{ord(found[0]):04X}"


def _twice_encoded(body: bytes) -> ReadingError | None:
    try:
        inner = msgspec.json.decode(msgspec.json.decode(body, type=str))
    except msgspec.MsgspecError:
        return None
    if not isinstance(inner, dict):
        return None
    return ReadingError("the body: is JSON inside a JSON string; send the object itself, encoded once")
