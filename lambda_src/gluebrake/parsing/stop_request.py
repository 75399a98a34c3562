"""Gluebrake's own stop requests. Parsing is strict: a request with any mistake stops nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, get_args

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from gluebrake.characters import refused_by_glue, refused_by_sqs, replaced
from gluebrake.contract import ActiveState, Selection, StopRequest
from gluebrake.parsing import duplicate_keys
from gluebrake.parsing.context import Context
from gluebrake.parsing.errors import ParsingError, broken_rule, malformed

_LONGEST_NOTE: Final = 1024

ALLOWED: Final[Mapping[str, Sequence[str]]] = {
    ".": tuple(field.encode_name for field in msgspec.structs.fields(StopRequest)),
    "Select.": tuple(field.encode_name for field in msgspec.structs.fields(Selection)),
    "Select.States[]": get_args(ActiveState),
    **dict.fromkeys(
        ("AttemptsStartedBefore", "Select.StartedBefore", "Select.StartedAfter"),
        ("a time with its offset from UTC, like 2026-11-24T03:00:00Z",),
    ),
}
"""The allowed content of a stop request, by path: the fields of its objects, and the values of some fields."""

_TEXT_FIELDS: Final = tuple(
    (field.name, field.encode_name)
    for field in msgspec.structs.fields(StopRequest)
    if field.name
    not in {"job_name", "job_run_ids", "select", "dry_run", "include_attempts", "attempts_started_before"}
)
"""The free texts of a stop request. A new field counts as a free text unless it is excluded here."""

_decoder: Final = msgspec.json.Decoder(StopRequest)
_encoder: Final = msgspec.json.Encoder()


def parse(body: bytes, context: Context) -> list[StopRequest]:
    """Parse a plain stop request. Raise ParsingError with the field's path and the rule."""
    request = decode(body, context)
    # A body that equals the encoded request cannot have a name twice, so the slow check is not needed. The
    # functions write such bodies.
    if request.select is not UNSET or _encoder.encode(request) != body:
        duplicate_keys.refuse(body)
    return [request]


def decode(body: bytes, context: Context) -> StopRequest:
    """Decode a plain stop request and apply its rules, without the check for names that occur twice."""
    try:
        request = _decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _encoded_twice(body) or broken_rule(error, ALLOWED) from error
    except msgspec.DecodeError as error:
        raise malformed(body, error) from error
    return validated(request, context)


def from_signal(  # noqa: PLR0913 - the facts of a signal, by name
    *,
    job_name: str,
    job_run_ids: list[str] | None,
    reason: str,
    requested_by: str,
    path: str,
    started_before: datetime | None = None,
) -> StopRequest:
    """Return a signal's request. Without run ids, it selects active runs that started before `started_before`.

    `path` is the path of the job's name in the signal, for error messages.
    """
    which = {"JobRunIds": job_run_ids} if job_run_ids else {"Select": {"StartedBefore": started_before}}
    notes = {"Reason": _note(reason), "RequestedBy": _note(requested_by)}
    try:
        request = msgspec.convert({"JobName": job_name, **which, **notes}, StopRequest)
    except msgspec.ValidationError as error:
        raise broken_rule(error, at=path) from error
    for rule in _character_errors(request):
        raise ParsingError(f"{path}.{rule}")
    return request


def validated(request: StopRequest, context: Context, path: str = "") -> StopRequest:
    """Apply the rules that the types do not express. `path` is the path of the request in the message.

    Here, `OlderThanMinutes` of a selection becomes `StartedBefore`, and `IncludeAttempts` gets a default for
    `AttemptsStartedBefore`. So a late request matches no run that started after the message was sent.
    """
    for rule in (*_selection_errors(request), *_character_errors(request)):
        raise ParsingError(f"{path}.{rule}" if path else rule)
    if request.include_attempts:
        before = min(request.attempts_started_before or context.sent_at, context.sent_at)
        return replace(request, attempts_started_before=before)
    if request.select is UNSET:
        return request
    return replace(request, select=_dated(request.select, context.sent_at))


def with_requester(request: StopRequest, name: str) -> StopRequest:
    """Return the request with `name` as its RequestedBy, unless it has a RequestedBy or `name` is empty."""
    return request if request.requested_by or not name else replace(request, requested_by=_note(name))


def _dated(selection: Selection, sent_at: datetime) -> Selection:
    age = timedelta(minutes=selection.older_than_minutes or 0)
    before = min(selection.started_before or sent_at, sent_at - age)
    return replace(selection, started_before=before, older_than_minutes=UNSET)


def _selection_errors(request: StopRequest) -> Iterator[str]:
    if request.job_run_ids is UNSET and request.select is UNSET:
        yield "JobRunIds: missing; name the runs, or describe them with Select"
    if request.job_run_ids is not UNSET and request.select is not UNSET:
        yield "Select: not allowed beside JobRunIds; give one of the two"
    if request.include_attempts and request.job_run_ids is UNSET:
        yield "IncludeAttempts: needs JobRunIds; a selection matches every attempt by itself"
    if request.attempts_started_before is not UNSET and not request.include_attempts:
        yield "AttemptsStartedBefore: needs IncludeAttempts"


def _character_errors(request: StopRequest) -> Iterator[str]:
    if found := refused_by_glue(request.job_name):
        yield _character_error("JobName", "must be one line of text", found)
    for index, run_id in enumerate(request.job_run_ids or ()):
        if found := refused_by_glue(run_id):
            yield _character_error(f"JobRunIds[{index}]", "must be one line of text", found)
    if request.select is not UNSET:
        yield from _selection_character_errors(request.select)
    for name, encoded_name in _TEXT_FIELDS:
        text = getattr(request, name)
        if text is not UNSET and (found := refused_by_sqs(text)):
            yield _character_error(encoded_name, "must be text", found)


def _selection_character_errors(selection: Selection) -> Iterator[str]:
    for index, run_id in enumerate(selection.exclude or ()):
        if found := refused_by_glue(run_id):
            yield _character_error(f"Select.Except[{index}]", "must be one line of text", found)
    for argument in (selection.arguments or {}).items():
        for text in argument:
            if found := refused_by_sqs(text):
                yield _character_error("Select.Arguments", "must have text", found)


def _character_error(name: str, rule: str, found: re.Match[str]) -> str:
    return f"{name}: {rule} without control characters; character {found.start() + 1} is U+{ord(found[0]):04X}"


def _note(text: str) -> str:
    return replaced(text)[:_LONGEST_NOTE]


def _encoded_twice(body: bytes) -> ParsingError | None:
    try:
        inner = msgspec.json.decode(msgspec.json.decode(body, type=str))
    except msgspec.MsgspecError:
        return None
    if not isinstance(inner, dict):
        return None
    return ParsingError("the body: is JSON inside a JSON string; send the object itself, encoded once")
