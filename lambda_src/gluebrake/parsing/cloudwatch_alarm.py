"""CloudWatch alarms on Glue's job metrics, in three forms: event, Lambda action, SNS notification.

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
from gluebrake.parsing.errors import ParsingError, broken_rule

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


class _AlarmMetric(Struct, frozen=True):
    """One metric that an alarm evaluates."""

    namespace: str
    dimensions: dict[str, str]
    account: str


class _Alarm(Struct, frozen=True, kw_only=True):
    """An alarm's change of state, from any of the forms."""

    name: str
    arn: str
    account: str
    region: str
    state: str
    reason: str
    changed_at: datetime
    suppressed: bool
    metrics: tuple[_AlarmMetric, ...]


_action: Final = msgspec.json.Decoder(_Action)
_notification: Final = msgspec.json.Decoder(_Notification)


def parse_event(  # noqa: PLR0913 - the members of the envelope, by name
    data: AlarmData, *, arn: str, account: str, region: str, time: str, context: Context
) -> list[StopRequest] | NotARequest:
    """Parse the detail of an EventBridge event `CloudWatch Alarm State Change`."""
    alarm = _Alarm(
        name=data.alarm_name,
        arn=arn,
        account=account,
        region=region,
        state=data.state.value,
        reason=data.state.reason or "",
        changed_at=context.time(data.state.timestamp or time),
        suppressed=bool(data.state.actions_suppressed_by),
        metrics=tuple(_configured_metrics(data.configuration or _Configuration(), account)),
    )
    return _requests(alarm, context)


def parse_action(body: bytes, context: Context) -> list[StopRequest] | NotARequest:
    """Parse the event with which an alarm invokes a function as its Lambda action."""
    try:
        action = _action.decode(body)
    except msgspec.ValidationError as error:
        raise broken_rule(error) from error
    return parse_event(
        action.alarm_data,
        arn=action.alarm_arn,
        account=action.account_id,
        region=action.region,
        time=action.time,
        context=context,
    )


def parse_notification(body: bytes, context: Context) -> list[StopRequest] | NotARequest:
    """Parse what an alarm publishes to an SNS topic. An old form has no ARN, only the topic's Region."""
    try:
        notification = _notification.decode(body)
    except msgspec.ValidationError as error:
        raise broken_rule(error) from error
    alarm = _Alarm(
        name=notification.alarm_name,
        arn=notification.alarm_arn,
        account=notification.account,
        region=region_of(notification.alarm_arn) or context.topic_region or context.aws_environment.region,
        state=notification.new_state_value,
        reason=notification.new_state_reason or "",
        changed_at=context.time(notification.state_change_time),
        suppressed=False,
        metrics=tuple(_trigger_metrics(notification.trigger or _Trigger(), notification.account)),
    )
    return _requests(alarm, context)


def _configured_metrics(configuration: _Configuration, account: str) -> Iterator[_AlarmMetric]:
    for data in configuration.metrics or ():
        if data.metric_stat:
            metric = data.metric_stat.metric
            yield _AlarmMetric(metric.namespace, _as_map(metric.dimensions), data.account_id or account)


def _trigger_metrics(trigger: _Trigger, account: str) -> Iterator[_AlarmMetric]:
    yield _AlarmMetric(trigger.namespace, _as_map(trigger.dimensions), account)
    for data in trigger.metrics or ():
        if data.metric_stat:
            metric = data.metric_stat.metric
            yield _AlarmMetric(metric.namespace, _as_map(metric.dimensions), data.account_id or account)


def _as_map(dimensions: Dimensions) -> dict[str, str]:
    if isinstance(dimensions, list):
        named = {dimension.name: dimension.value for dimension in dimensions}
        if len(named) < len(dimensions):
            raise ParsingError("the alarm: is ambiguous, since one of its metrics has a dimension twice")
        return named
    return dimensions or {}


def _requests(alarm: _Alarm, context: Context) -> list[StopRequest] | NotARequest:
    if alarm.state != "ALARM":
        return NotARequest(f"the alarm is in {alarm.state[:64]}")
    if alarm.suppressed:
        return NotARequest("the alarm's actions are suppressed")
    if foreign := context.foreign(account=alarm.account, region=alarm.region):
        return foreign
    glue_metrics = [metric for metric in alarm.metrics if _names_a_job(metric)]
    foreign_metrics = (context.foreign(account=metric.account, region=alarm.region) for metric in glue_metrics)
    return next(filter(None, foreign_metrics), None) or [_request(alarm, glue_metrics)]


def _names_a_job(metric: _AlarmMetric) -> bool:
    return metric.namespace == _NAMESPACE and "JobName" in metric.dimensions


def _request(alarm: _Alarm, glue_metrics: Iterable[_AlarmMetric]) -> StopRequest:
    dimensions = [metric.dimensions for metric in glue_metrics]
    runs = sorted({(named["JobName"], named.get("JobRunId", _EVERY_RUN)) for named in dimensions})
    if not runs:
        raise ParsingError(
            "the alarm: watches no metric of namespace Glue with the dimension JobName, so it names no job"
        )
    if len(runs) > 1:
        names = ", ".join(f"{job} ({run})" for job, run in runs)
        raise ParsingError(f"the alarm: is ambiguous, since it watches more than one job or run: {names}")
    ((job_name, run_id),) = runs
    return stop_request.from_signal(
        job_name=job_name,
        job_run_ids=None if run_id == _EVERY_RUN else [run_id],
        started_before=alarm.changed_at,
        reason=": ".join(filter(None, (f"alarm {alarm.name}", alarm.reason))),
        requested_by=alarm.arn or f"alarm {alarm.name}",
        path="dimensions",
    )
