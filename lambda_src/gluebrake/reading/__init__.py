"""Any message to Asked, Ignored or Invalid: one module per family of events. Reading never raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Raw, Struct

from gluebrake.model import Asked, Ignored, Invalid, Message, StopRequest
from gluebrake.reading import eventbridge, stop_request
from gluebrake.reading.errors import ReadingError, malformed


class _Markers(Struct, rename="kebab"):
    """The members by which AWS's envelopes are told apart."""

    detail_type: Raw = Raw()


# Which member of the body marks which family, and who reads it. What bears no mark is a plain stop request.
_FAMILIES: Final[dict[str, Callable[[bytes], StopRequest]]] = {"detail_type": eventbridge.read}


def read(message: Message) -> Asked | Ignored | Invalid:
    """Read one message, whatever is in it."""
    try:
        return Asked(message, _request(message.body.encode()))
    except ReadingError as error:
        return Invalid(message, str(error))
    except UnicodeEncodeError:
        return Invalid(message, "the body: holds half of a surrogate pair, so it is not Unicode text")
    except RecursionError:
        return Invalid(message, "the body: nested too deeply to be read")


def _request(body: bytes) -> StopRequest:
    try:
        return stop_request.read(body)
    except ReadingError:
        family = _family(body)
        if family is None:
            raise
    return family(body)


def _family(body: bytes) -> Callable[[bytes], StopRequest] | None:
    try:
        markers = msgspec.json.decode(body, type=_Markers)
    except msgspec.ValidationError:
        return None
    except msgspec.DecodeError as error:
        raise malformed(body, error) from error
    return next((read for marker, read in _FAMILIES.items() if bytes(getattr(markers, marker))), None)
