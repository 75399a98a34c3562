"""Recognises Gluebrake's own notices, which request nothing if they reach a queue of the stack."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from gluebrake.contract import NOTICE

_MARK: Final = NOTICE.encode()


class _Metadata(Struct):
    event_type: str = msgspec.field(name="eventType")


class _Notice(Struct):
    source: str
    metadata: _Metadata


class _Notification(Struct):
    message: str = msgspec.field(name="Message")


def is_notice(body: bytes) -> bool:
    """Return whether a body is a notice, or an SNS notification of one."""
    if _MARK not in body:
        return False
    try:
        return _is_notice(msgspec.json.decode(body, type=_Notification).message.encode())
    except (msgspec.DecodeError, UnicodeEncodeError):
        return _is_notice(body)


def _is_notice(body: bytes) -> bool:
    try:
        notice = msgspec.json.decode(body, type=_Notice)
    except msgspec.DecodeError:
        return False
    return (notice.source, notice.metadata.event_type) == ("custom", NOTICE)
