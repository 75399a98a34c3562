"""Events from an EventBridge bus, by their detail-type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import msgspec
from msgspec import Raw, Struct

from gluebrake.contract import STOP_OUTCOME, STOP_REQUESTED, SWEEP_REPORT, StopRequest
from gluebrake.model import NotARequest
from gluebrake.parsing import alarm_forms, cloudwatch_alarm, glue_event, stop_request
from gluebrake.parsing.context import Context
from gluebrake.parsing.errors import ParsingError, broken_rule
from gluebrake.parsing.unsupported import NAMES_NO_JOB

T = TypeVar("T")


class _Envelope(Struct):
    """The members of every event. AWS may add others."""

    detail_type: str = msgspec.field(name="detail-type")
    detail: Raw
    source: str = ""
    account: str = ""
    region: str = ""
    time: str = ""
    resources: list[str] | None = None


_envelope: Final = msgspec.json.Decoder(_Envelope)


def parse(body: bytes, context: Context) -> list[StopRequest] | NotARequest:
    """Parse an event of any detail-type. Raise ParsingError for an event that cannot be used."""
    try:
        event = _envelope.decode(body)
    except msgspec.ValidationError as error:
        raise broken_rule(error) from error
    if parse_detail := _PARSERS.get(event.detail_type):
        return parse_detail(event, context)
    if event.detail_type in _REQUEST_NOTHING:
        return NotARequest(f"an event {event.detail_type!r} requests no stop")
    raise ParsingError(f"detail-type {event.detail_type[:128]!r}: {NAMES_NO_JOB}")


def _stop_requested(event: _Envelope, context: Context) -> list[StopRequest]:
    sent = msgspec.structs.replace(context, sent_at=context.time(event.time))
    request = stop_request.validated(_detail(event, StopRequest), sent, path="detail")
    return [stop_request.with_requester(request, event.source)]


def _run_status(event: _Envelope, context: Context) -> list[StopRequest] | NotARequest:
    _check_source(event, "aws.glue")
    foreign = context.foreign(account=event.account, region=event.region)
    return foreign or glue_event.parse(_detail(event, glue_event.RunStatus))


def _alarm(event: _Envelope, context: Context) -> list[StopRequest] | NotARequest:
    return _parse_alarm(event, alarm_forms.AlarmData, context)


def _contributor(event: _Envelope, context: Context) -> list[StopRequest] | NotARequest:
    return _parse_alarm(event, alarm_forms.ContributorData, context)


def _parse_alarm(
    event: _Envelope, kind: type[alarm_forms.AlarmData], context: Context
) -> list[StopRequest] | NotARequest:
    _check_source(event, "aws.cloudwatch")
    return cloudwatch_alarm.parse_event(
        _detail(event, kind),
        arn=next(iter(event.resources or ()), ""),
        account=event.account,
        region=event.region,
        time=event.time,
        context=context,
    )


def _check_source(event: _Envelope, source: str) -> None:
    if event.source != source:
        raise ParsingError(f"source: must be {source!r} for this detail-type, not {event.source[:128]!r}")


def _detail(event: _Envelope, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(event.detail, type=kind)
    except msgspec.ValidationError as error:
        raise broken_rule(error, stop_request.ALLOWED, at="detail") from error


_PARSERS: Final[dict[str, Callable[[_Envelope, Context], list[StopRequest] | NotARequest]]] = {
    STOP_REQUESTED: _stop_requested,
    "Glue Job Run Status": _run_status,
    "CloudWatch Alarm State Change": _alarm,
    "CloudWatch Alarm Contributor State Change": _contributor,
}

# Known events that request no stop: about a run that ended, an API call, an outcome, a sweep, or a crawler.
_REQUEST_NOTHING: Final = frozenset(
    {
        STOP_OUTCOME,
        SWEEP_REPORT,
        "AWS API Call via CloudTrail",
        "CloudWatch Alarm Configuration Change",
        "Data Quality Evaluation Results Available",
        "Glue Crawler State Change",
        "Glue Data Catalog Database State Change",
        "Glue Data Catalog Table State Change",
        "Glue Job State Change",
    }
)
