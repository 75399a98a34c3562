"""Our own message: a stop request. Strict: what is not understood stops nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec
from msgspec import UNSET

from gluebrake.contract import Selection, StopRequest
from gluebrake.parsing.context import Context
from gluebrake.parsing.errors import ReadingError, broken_rule, malformed

# What Glue's pattern leaves out, and what SQS cannot carry in our own re-sends. Each start compiles them, and
# the negation of what is allowed would take ten times as long.
_NOT_ONE_LINE: Final = re.compile(r"[\x00-\x08\x0A-\x1F\uD800-\uDFFF\uFFFE\uFFFF]")
_NOT_TEXT: Final = re.compile(r"[\x00-\x08\x0B\x0C\x0E-\x1F\uD800-\uDFFF\uFFFE\uFFFF]")
_LONGEST_NOTE: Final = 1024

FIELDS: Final[Mapping[str, Sequence[str]]] = {
    "": tuple(field.encode_name for field in msgspec.structs.fields(StopRequest)),
    "Select": tuple(field.encode_name for field in msgspec.structs.fields(Selection)),
}
"""The fields that a stop request may have, by the path of the object that has them."""

_decoder: Final = msgspec.json.Decoder(StopRequest)


def read(body: bytes, context: Context) -> StopRequest:
    """Read a plain stop request; raise ReadingError with the field's path and the rule."""
    try:
        request = _decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _twice_encoded(body) or broken_rule(error, FIELDS) from error
    except msgspec.DecodeError as error:
        raise malformed(body, error) from error
    return checked(request, context)


def made(  # noqa: PLR0913 - what a signal says, by name
    *,
    job_name: str,
    job_run_ids: list[str] | None,
    reason: str,
    requested_by: str,
    path: str,
    started_before: datetime | None = None,
) -> StopRequest:
    """Make the request that a signal stands for; without run ids, every run active at `started_before`.

    `path` is where the signal says what is made of it.
    """
    which = {"JobRunIds": job_run_ids} if job_run_ids else {"Select": {"StartedBefore": started_before}}
    notes = {"Reason": _note(reason), "RequestedBy": _note(requested_by)}
    try:
        request = msgspec.convert({"JobName": job_name, **which, **notes}, StopRequest)
    except msgspec.ValidationError as error:
        raise broken_rule(error, at=path) from error
    for rule in _character_flaws(request):
        raise ReadingError(f"{path}.{rule}")
    return request


def checked(request: StopRequest, context: Context, path: str = "") -> StopRequest:
    """Apply the rules that no type tells; `path` is where the request stands in its message.

    A selection is given its `StartedBefore` here, which also says what `OlderThanMinutes` said: however late it
    is carried out, it means no run that started after it was sent.
    """
    for rule in (*_selection_flaws(request), *_character_flaws(request)):
        raise ReadingError(f"{path}.{rule}" if path else rule)
    if request.select is UNSET:
        return request
    return msgspec.structs.replace(request, select=_dated(request.select, context.sent_at))


def _dated(selection: Selection, at: datetime) -> Selection:
    age = timedelta(minutes=selection.older_than_minutes or 0)
    before = min(selection.started_before or at, at - age)
    return msgspec.structs.replace(selection, started_before=before, older_than_minutes=UNSET)


def _selection_flaws(request: StopRequest) -> Iterator[str]:
    if request.job_run_ids is UNSET and request.select is UNSET:
        yield "JobRunIds: missing; name the runs, or say which with Select"
    if request.job_run_ids is not UNSET and request.select is not UNSET:
        yield "Select: must not stand beside JobRunIds; give one of the two"


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


def _note(text: str) -> str:
    return _NOT_TEXT.sub("\N{REPLACEMENT CHARACTER}", text)[:_LONGEST_NOTE]


def _twice_encoded(body: bytes) -> ReadingError | None:
    try:
        inner = msgspec.json.decode(msgspec.json.decode(body, type=str))
    except msgspec.MsgspecError:
        return None
    if not isinstance(inner, dict):
        return None
    return ReadingError("the body: is JSON inside a JSON string; send the object itself, encoded once")
