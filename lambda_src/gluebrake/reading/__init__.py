"""Any message to Asked, Ignored or Invalid: one module per family of events. Reading never raises."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Raw, Struct

from gluebrake.model import Asked, Home, Ignored, Invalid, Message, Nothing, StopRequest
from gluebrake.reading import alarms, eventbridge, others, sns, stop_request, twice
from gluebrake.reading.context import Context, Reader
from gluebrake.reading.errors import ReadingError, malformed


class _Markers(Struct):
    """The members by which AWS's messages are told apart."""

    detail_type: Raw = msgspec.field(default=Raw(), name="detail-type")
    alarm_data: Raw = msgspec.field(default=Raw(), name="alarmData")
    new_state: Raw = msgspec.field(default=Raw(), name="NewStateValue")
    topic: Raw = msgspec.field(default=Raw(), name="TopicArn")
    request_context: Raw = msgspec.field(default=Raw(), name="requestContext")
    records: Raw = msgspec.field(default=Raw(), name="Records")
    anomaly: Raw = msgspec.field(default=Raw(), name="anomalyId")


# Which member of a body marks which family, and who reads it. What bears no mark is a plain stop request.
_FAMILIES: Final[dict[str, Reader]] = {
    "detail_type": eventbridge.read,
    "alarm_data": alarms.read_action,
    "new_state": alarms.read_notification,
    "topic": lambda body, context: sns.read(body, context, published=_said),
    "request_context": others.refuse_request_context,
    "records": others.refuse_records,
    "anomaly": others.refuse_anomaly,
}


def read(message: Message, home: Home) -> Asked | Ignored | Invalid:
    """Read one message, whatever is in it; runs are only ever stopped at `home`."""
    try:
        said = _said(message.body.encode(), Context(home, message.sent_at))
    except ReadingError as error:
        return Invalid(message, str(error))
    except UnicodeEncodeError:
        return Invalid(message, "the body: holds half of a surrogate pair, so it is not Unicode text")
    except OverflowError:
        return Invalid(message, "the body: a time in it is too early to be reckoned with")
    except RecursionError:
        return Invalid(message, "the body: nested too deeply to be read")
    if isinstance(said, Nothing):
        return Ignored(message, said.why)
    return Asked(message, said, said.job_run_ids or ())


def _said(body: bytes, context: Context) -> StopRequest | Nothing:
    said = _read(body, context)
    if isinstance(said, StopRequest):
        twice.refuse(body)
    return said


def _read(body: bytes, context: Context) -> StopRequest | Nothing:
    try:
        return stop_request.read(body, context)
    except ReadingError:
        family = _family(body)
        if family is None:
            raise
    return family(body, context)


def _family(body: bytes) -> Reader | None:
    try:
        markers = msgspec.json.decode(body, type=_Markers)
    except msgspec.ValidationError:
        return None
    except msgspec.DecodeError as error:
        raise malformed(body, error) from error
    borne = [read for marker, read in _FAMILIES.items() if bytes(getattr(markers, marker))]
    if len(borne) > 1:
        raise ReadingError("the body: bears the marks of two kinds of event; send the one that is meant")
    return borne[0] if borne else None
