"""Events from an EventBridge bus."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from gluebrake.model import STOP_REQUESTED, StopRequest
from gluebrake.reading import stop_request
from gluebrake.reading.errors import ReadingError, broken_rule


class _Envelope(Struct, rename="kebab"):
    """What every event has; AWS may add members."""

    detail_type: str


class _StopRequested(Struct):
    """The event that carries a stop request."""

    detail: StopRequest


_envelope: Final = msgspec.json.Decoder(_Envelope)
_stop_requested: Final = msgspec.json.Decoder(_StopRequested)


def read(body: bytes) -> StopRequest:
    """Read the stop request in an event's `detail`; raise ReadingError for any other event."""
    try:
        detail_type = _envelope.decode(body).detail_type
        if detail_type != STOP_REQUESTED:
            raise ReadingError(f"detail-type: must be {STOP_REQUESTED!r}, not {detail_type[:128]!r}")
        return stop_request.checked(_stop_requested.decode(body).detail, at="detail")
    except msgspec.ValidationError as error:
        raise broken_rule(error, stop_request.allowed("detail")) from error
