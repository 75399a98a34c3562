"""CloudWatch alarms on Glue's job metrics, in the three forms in which they come.

Shapes: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html (event),
…/alarms-and-actions-Lambda.html (action), …/Notify_Users_Alarm_Changes.html (notification).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Struct

from gluebrake.contract import StopRequest
from gluebrake.model import NotARequest
from gluebrake.parsing import stop_request
from gluebrake.parsing.context import Context, region_of
from gluebrake.parsing.errors import ReadingError, broken_rule

_NAMESPACE: Final = "Glue"
_EVERY_RUN: Final = "ALL"


class _Dimension(Struct):
    name: str
    value: str


Dimensions = dict[str, str] | list[_Dimension] | None


class _Metric(Struct):
    namespace: str = ""
    dimensions: Dimensions = None


class _MetricStat(Struct):
    metric: _Metric


class _MetricData(Struct, rename="camel"):
    metric_stat: _MetricStat | None = None
    account_id: str = ""


class _Configuration(Struct, frozen=True):
    metrics: list[_MetricData] | None = None


class _State(Struct, rename="camel"):
    value: str
    reason: str | None = None
    timestamp: str | None = None
    actions_suppressed_by: str | None = None


class AlarmData(Struct, rename="camel"):
    """What an event's `detail` and an action's `alarmData` hold."""

    alarm_name: str
    state: _State
    configuration: _Configuration | None = None


class _Action(Struct, rename="camel"):
    alarm_arn: str
    account_id: str
    region: str
    alarm_data: AlarmData
    time: str = ""


class _TriggerMetric(Struct, rename="pascal"):
    namespace: str = ""
    dimensions: Dimensions = None


class _TriggerMetricStat(Struct, rename="pascal"):
    metric: _TriggerMetric


class _TriggerMetricData(Struct, rename="pascal"):
    metric_stat: _TriggerMetricStat | None = None
    account_id: str = ""


class _Trigger(Struct, rename="pascal"):
    namespace: str = ""
    dimensions: Dimensions = None
    metrics: list[_TriggerMetricData] | None = None


class _Notification(Struct, rename="pascal"):
    alarm_name: str
    account: str = msgspec.field(name="AWSAccountId")
    new_state_value: str
    new_state_reason: str | None = None
    state_change_time: str = ""
    alarm_arn: str = ""
    trigger: _Trigger | None = None


class _Watched(Struct, frozen=True):
    """One metric that an alarm looks at."""

    namespace: str
    dimensions: dict[str, str]
    account: str


class _Alarm(Struct, frozen=True, kw_only=True):
    """An alarm's change of state, whatever form it came in."""

    name: str
    arn: str
    account: str
    region: str
    state: str
    reason: str
    at: datetime
    suppressed: bool
    watched: tuple[_Watched, ...]


_action: Final = msgspec.json.Decoder(_Action)
_notification: Final = msgspec.json.Decoder(_Notification)


def read_event(  # noqa: PLR0913 - what the envelope says, by name
    data: AlarmData, *, arn: str, account: str, region: str, time: str, context: Context
) -> StopRequest | NotARequest:
    """Read the detail of an EventBridge event `CloudWatch Alarm State Change`."""
    alarm = _Alarm(
        name=data.alarm_name,
        arn=arn,
        account=account,
        region=region,
        state=data.state.value,
        reason=data.state.reason or "",
        at=context.at(data.state.timestamp or time),
        suppressed=bool(data.state.actions_suppressed_by),
        watched=tuple(_watched(data.configuration or _Configuration(), account)),
    )
    return _asked(alarm, context)


def read_action(body: bytes, context: Context) -> StopRequest | NotARequest:
    """Read what an alarm's Lambda action sends."""
    try:
        action = _action.decode(body)
    except msgspec.ValidationError as error:
        raise broken_rule(error) from error
    return read_event(
        action.alarm_data,
        arn=action.alarm_arn,
        account=action.account_id,
        region=action.region,
        time=action.time,
        context=context,
    )


def read_notification(body: bytes, context: Context) -> StopRequest | NotARequest:
    """Read what an alarm publishes to an SNS topic. An old form has no ARN: it is of the topic's Region."""
    try:
        told = _notification.decode(body)
    except msgspec.ValidationError as error:
        raise broken_rule(error) from error
    alarm = _Alarm(
        name=told.alarm_name,
        arn=told.alarm_arn,
        account=told.account,
        region=region_of(told.alarm_arn) or context.topic_region or context.aws_environment.region,
        state=told.new_state_value,
        reason=told.new_state_reason or "",
        at=context.at(told.state_change_time),
        suppressed=False,
        watched=tuple(_triggering(told.trigger or _Trigger(), told.account)),
    )
    return _asked(alarm, context)


def _watched(configuration: _Configuration, account: str) -> Iterator[_Watched]:
    for data in configuration.metrics or ():
        if data.metric_stat:
            metric = data.metric_stat.metric
            yield _Watched(metric.namespace, _as_map(metric.dimensions), data.account_id or account)


def _triggering(trigger: _Trigger, account: str) -> Iterator[_Watched]:
    yield _Watched(trigger.namespace, _as_map(trigger.dimensions), account)
    for data in trigger.metrics or ():
        if data.metric_stat:
            metric = data.metric_stat.metric
            yield _Watched(metric.namespace, _as_map(metric.dimensions), data.account_id or account)


def _as_map(dimensions: Dimensions) -> dict[str, str]:
    if isinstance(dimensions, list):
        named = {dimension.name: dimension.value for dimension in dimensions}
        if len(named) < len(dimensions):
            raise ReadingError("the alarm: is ambiguous, since a metric of it has a dimension twice")
        return named
    return dimensions or {}


def _asked(alarm: _Alarm, context: Context) -> StopRequest | NotARequest:
    if alarm.state != "ALARM":
        return NotARequest(f"the alarm is in {alarm.state[:64]}")
    if alarm.suppressed:
        return NotARequest("the alarm's actions are suppressed")
    if elsewhere := context.elsewhere(account=alarm.account, region=alarm.region):
        return elsewhere
    of_glue = [watched for watched in alarm.watched if _names_a_job(watched)]
    foreign = (context.elsewhere(account=watched.account, region=alarm.region) for watched in of_glue)
    return next(filter(None, foreign), None) or _request(alarm, of_glue)


def _names_a_job(watched: _Watched) -> bool:
    return watched.namespace == _NAMESPACE and "JobName" in watched.dimensions


def _request(alarm: _Alarm, of_glue: Iterable[_Watched]) -> StopRequest:
    meant = sorted({(w.dimensions["JobName"], w.dimensions.get("JobRunId", _EVERY_RUN)) for w in of_glue})
    if not meant:
        raise ReadingError(
            "the alarm: watches no metric of namespace Glue with the dimension JobName, so it names no job"
        )
    if len(meant) > 1:
        named = ", ".join(f"{job} ({run})" for job, run in meant)
        raise ReadingError(f"the alarm: is ambiguous, since it watches more than one job or run: {named}")
    ((job_name, run_id),) = meant
    return stop_request.made(
        job_name=job_name,
        job_run_ids=None if run_id == _EVERY_RUN else [run_id],
        started_before=alarm.at,
        reason=": ".join(filter(None, (f"alarm {alarm.name}", alarm.reason))),
        requested_by=alarm.arn or f"alarm {alarm.name}",
        path="dimensions",
    )
