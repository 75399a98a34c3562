"""Events from an EventBridge bus, by their detail-type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import msgspec
from msgspec import Raw, Struct

from gluebrake.contract import STOP_OUTCOME, STOP_REQUESTED, StopRequest
from gluebrake.model import NotARequest
from gluebrake.parsing import cloudwatch_alarm, glue_event, stop_request
from gluebrake.parsing.context import Context
from gluebrake.parsing.errors import ReadingError, broken_rule
from gluebrake.parsing.unsupported import NAMES_NO_JOB

T = TypeVar("T")


class _Envelope(Struct):
    """What every event has; AWS may add members."""

    detail_type: str = msgspec.field(name="detail-type")
    detail: Raw
    source: str = ""
    account: str = ""
    region: str = ""
    time: str = ""
    resources: list[str] | None = None


_envelope: Final = msgspec.json.Decoder(_Envelope)


def read(body: bytes, context: Context) -> StopRequest | NotARequest:
    """Read any event; raise ReadingError for one that nobody can act on."""
    try:
        event = _envelope.decode(body)
    except msgspec.ValidationError as error:
        raise broken_rule(error) from error
    if reader := _READERS.get(event.detail_type):
        return reader(event, context)
    if event.detail_type in _ASKS_FOR_NOTHING:
        return NotARequest(f"an event {event.detail_type!r} asks for nothing")
    raise ReadingError(f"detail-type {event.detail_type[:128]!r}: {NAMES_NO_JOB}")


def _stop_requested(event: _Envelope, context: Context) -> StopRequest | NotARequest:
    at = msgspec.structs.replace(context, sent_at=context.at(event.time))
    return stop_request.checked(_detail(event, StopRequest), at, path="detail")


def _run_status(event: _Envelope, context: Context) -> StopRequest | NotARequest:
    return _from(event, "aws.glue", context) or glue_event.read(_detail(event, glue_event.RunStatus))


def _alarm(event: _Envelope, context: Context) -> StopRequest | NotARequest:
    return _from(event, "aws.cloudwatch", context) or cloudwatch_alarm.read_event(
        _detail(event, cloudwatch_alarm.AlarmData),
        arn=next(iter(event.resources or ()), ""),
        account=event.account,
        region=event.region,
        time=event.time,
        context=context,
    )


def _from(event: _Envelope, source: str, context: Context) -> NotARequest | None:
    """Make sure that it is AWS that says so; return why it asks for nothing when it says so of elsewhere."""
    if event.source != source:
        raise ReadingError(f"source: must be {source!r} for this detail-type, not {event.source[:128]!r}")
    return context.elsewhere(account=event.account, region=event.region)


def _detail(event: _Envelope, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(event.detail, type=kind)
    except msgspec.ValidationError as error:
        raise broken_rule(error, stop_request.FIELDS, at="detail") from error


_READERS: Final[dict[str, Callable[[_Envelope, Context], StopRequest | NotARequest]]] = {
    STOP_REQUESTED: _stop_requested,
    "Glue Job Run Status": _run_status,
    "CloudWatch Alarm State Change": _alarm,
}

# Known, and over or about something else: a run that ended, a call of our own, what became of it, a crawler.
_ASKS_FOR_NOTHING: Final = frozenset(
    {
        STOP_OUTCOME,
        "AWS API Call via CloudTrail",
        "CloudWatch Alarm Configuration Change",
        "Data Quality Evaluation Results Available",
        "Glue Crawler State Change",
        "Glue Data Catalog Database State Change",
        "Glue Data Catalog Table State Change",
        "Glue Job State Change",
    }
)
