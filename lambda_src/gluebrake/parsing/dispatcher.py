"""Any message to Asked, Ignored or Invalid: one module per family of events. Reading never raises."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Raw, Struct

from gluebrake.contract import StopRequest
from gluebrake.model import AwsEnvironment, Ignored, Invalid, Message, NotARequest, ParsedRequest
from gluebrake.parsing import cloudwatch_alarm, duplicate_keys, eventbridge, sns, stop_request, unsupported
from gluebrake.parsing.context import Context, Reader
from gluebrake.parsing.errors import ReadingError, malformed


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
    "alarm_data": cloudwatch_alarm.read_action,
    "new_state": cloudwatch_alarm.read_notification,
    "topic": lambda body, context: sns.read(body, context, published=_said),
    "request_context": unsupported.refuse_request_context,
    "records": unsupported.refuse_records,
    "anomaly": unsupported.refuse_anomaly,
}


def read(message: Message, aws_environment: AwsEnvironment) -> ParsedRequest | Ignored | Invalid:
    """Read one message, whatever is in it; runs are only ever stopped at `home`."""
    try:
        said = _said(message.body.encode(), Context(aws_environment, message.sent_at))
    except ReadingError as error:
        return Invalid(message, str(error))
    except UnicodeEncodeError:
        return Invalid(message, "the body: holds half of a surrogate pair, so it is not Unicode text")
    except OverflowError:
        return Invalid(message, "the body: a time in it is too early to be reckoned with")
    except RecursionError:
        return Invalid(message, "the body: nested too deeply to be read")
    if isinstance(said, NotARequest):
        return Ignored(message, said.why)
    return ParsedRequest(message, said, said.job_run_ids or ())


def _said(body: bytes, context: Context) -> StopRequest | NotARequest:
    said = _read(body, context)
    if isinstance(said, StopRequest):
        duplicate_keys.refuse(body)
    return said


def _read(body: bytes, context: Context) -> StopRequest | NotARequest:
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
