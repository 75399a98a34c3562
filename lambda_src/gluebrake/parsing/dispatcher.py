"""Parses any body that may stop runs: finds its family of events, and calls the family's parser."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Raw, Struct

from gluebrake.contract import StopRequest
from gluebrake.model import NotARequest
from gluebrake.parsing import cloudwatch_alarm, duplicate_keys, eventbridge, sns, stop_request, unsupported
from gluebrake.parsing.context import Context, Parser
from gluebrake.parsing.errors import ParsingError, malformed


class _Markers(Struct):
    """The members by which AWS's messages are recognised."""

    detail_type: Raw = msgspec.field(default=Raw(), name="detail-type")
    alarm_data: Raw = msgspec.field(default=Raw(), name="alarmData")
    new_state: Raw = msgspec.field(default=Raw(), name="NewStateValue")
    topic: Raw = msgspec.field(default=Raw(), name="TopicArn")
    request_context: Raw = msgspec.field(default=Raw(), name="requestContext")
    records: Raw = msgspec.field(default=Raw(), name="Records")
    anomaly: Raw = msgspec.field(default=Raw(), name="anomalyId")
    run_of_detail: Raw = msgspec.field(default=Raw(), name="jobRunId")
    alarm_of_detail: Raw = msgspec.field(default=Raw(), name="alarmName")


# The parser of each family, by the marker of the family. A body without a marker is a plain stop request.
_FAMILIES: Final[dict[str, Parser[StopRequest]]] = {
    "detail_type": eventbridge.parse,
    "alarm_data": cloudwatch_alarm.parse_action,
    "new_state": cloudwatch_alarm.parse_notification,
    "topic": lambda body, context: sns.parse(body, context, parse_published=parse),
    "request_context": unsupported.refuse_request_context,
    "records": unsupported.refuse_records,
    "anomaly": unsupported.refuse_anomaly,
    "run_of_detail": unsupported.refuse_detail,
    "alarm_of_detail": unsupported.refuse_detail,
}


def parse(body: bytes, context: Context) -> list[StopRequest] | NotARequest:
    """Parse a body of any family. Raise ParsingError if it cannot be used."""
    try:
        return stop_request.parse(body, context)
    except ParsingError:
        parse_family = _family(body)
        if parse_family is None:
            raise
    parsed = parse_family(body, context)
    if isinstance(parsed, list):
        duplicate_keys.refuse(body)
    return parsed


def _family(body: bytes) -> Parser[StopRequest] | None:
    try:
        markers = msgspec.json.decode(body, type=_Markers)
    except msgspec.ValidationError:
        return None
    except msgspec.DecodeError as error:
        raise malformed(body, error) from error
    parsers = [parser for marker, parser in _FAMILIES.items() if bytes(getattr(markers, marker))]
    if len(parsers) > 1:
        raise ParsingError("the body: has the fields of two event types; send one event in each message")
    if not parsers:
        return None
    members = msgspec.json.decode(body, type=dict[str, Raw])
    for name in StopRequest.__struct_encode_fields__:
        if name in members:
            raise ParsingError(f"{name}: is beside an event; put it into the stop request")
    return parsers[0]
