"""The three forms of an alarm's change of state: event, Lambda action, SNS notification.

Shapes: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html (event),
…/alarms-and-actions-Lambda.html (action), …/Notify_Users_Alarm_Changes.html (notification).

An alarm on a Metrics Insights query with GROUP BY has contributors. In events and actions, `alarmContributor`
has the contributor. In notifications, AlarmContributorId and AlarmContributorAttributes have it. The same guide
shows this form for log alarms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Struct

from gluebrake.parsing.context import Context, region_of
from gluebrake.parsing.errors import ParsingError, broken_rule


class _Dimension(Struct):
    name: str
    value: str


Dimensions = dict[str, str] | list[_Dimension] | None


class _Metric(Struct):
    namespace: str = ""
    name: str = ""
    dimensions: Dimensions = None


class _MetricStat(Struct):
    metric: _Metric


class _MetricData(Struct, rename="camel"):
    metric_stat: _MetricStat | None = None
    expression: str | None = None
    account_id: str = ""


class _Configuration(Struct, frozen=True):
    metrics: list[_MetricData] | None = None


class _State(Struct, rename="camel"):
    value: str
    reason: str | None = None
    timestamp: str | None = None
    actions_suppressed_by: str | None = None


class _MuteDetail(Struct, rename="camel"):
    """The mute rule that applies to the alarm. An alarm that is not muted has no such object."""

    muted_by_arn: str = ""
    mute_window_end: str = ""


class _Contributor(Struct):
    attributes: dict[str, str]


class AlarmData(Struct, rename="camel", kw_only=True):
    """The content of an event's `detail` and of an action's `alarmData`."""

    alarm_name: str
    state: _State
    configuration: _Configuration | None = None
    mute_detail: _MuteDetail | None = None
    alarm_contributor: _Contributor | None = None


class ContributorData(AlarmData, kw_only=True):
    """The content of the `detail` of a contributor's event."""

    alarm_contributor: _Contributor


class _Action(Struct, rename="camel"):
    alarm_arn: str
    account_id: str
    region: str
    alarm_data: AlarmData
    time: str = ""


class _TriggerMetric(Struct, rename="pascal"):
    namespace: str = ""
    name: str = msgspec.field(default="", name="MetricName")
    dimensions: Dimensions = None


class _TriggerMetricStat(Struct, rename="pascal"):
    metric: _TriggerMetric


class _TriggerMetricData(Struct, rename="pascal"):
    metric_stat: _TriggerMetricStat | None = None
    expression: str | None = None
    account_id: str = ""


class _Trigger(_TriggerMetric, rename="pascal"):
    metrics: list[_TriggerMetricData] | None = None


class _Notification(Struct, rename="pascal"):
    alarm_name: str
    account: str = msgspec.field(name="AWSAccountId")
    new_state_value: str
    new_state_reason: str | None = None
    state_change_time: str = ""
    alarm_arn: str = ""
    trigger: _Trigger | None = None
    alarm_contributor_id: str | None = None
    alarm_contributor_attributes: dict[str, str] | None = None


class AlarmMetric(Struct, frozen=True):
    """One metric or expression that an alarm evaluates, with the account that has the metric."""

    account: str
    namespace: str = ""
    name: str = ""
    dimensions: Mapping[str, str] = {}
    expression: str = ""


class Alarm(Struct, frozen=True, kw_only=True):
    """A change of state of an alarm or of one contributor, from any of the forms.

    `silenced` says why the alarm's actions must not happen, and is empty if they may. `contributor` has the
    attributes by which the query groups. It is None for the alarm as a whole.
    """

    name: str
    arn: str
    account: str
    region: str
    state: str
    reason: str
    changed_at: datetime
    silenced: str
    metrics: tuple[AlarmMetric, ...]
    contributor: Mapping[str, str] | None


_action: Final = msgspec.json.Decoder(_Action)
_notification: Final = msgspec.json.Decoder(_Notification)


def from_event(  # noqa: PLR0913 - the members of the envelope, by name
    data: AlarmData, *, arn: str, account: str, region: str, time: str, context: Context
) -> Alarm:
    """Return the alarm from an event's `detail`, or from an action's `alarmData`."""
    configuration, contributor = data.configuration or _Configuration(), data.alarm_contributor
    return Alarm(
        name=data.alarm_name,
        arn=arn,
        account=account,
        region=region,
        state=data.state.value,
        reason=data.state.reason or "",
        changed_at=context.time(data.state.timestamp or time),
        silenced=_silenced(data),
        metrics=_metrics(configuration.metrics, account),
        contributor=contributor.attributes if contributor else None,
    )


def decode_action(body: bytes, context: Context) -> Alarm:
    """Decode the event with which an alarm invokes a function as its Lambda action."""
    try:
        action = _action.decode(body)
    except msgspec.ValidationError as error:
        raise broken_rule(error) from error
    return from_event(
        action.alarm_data,
        arn=action.alarm_arn,
        account=action.account_id,
        region=action.region,
        time=action.time,
        context=context,
    )


def decode_notification(body: bytes, context: Context) -> Alarm:
    """Decode an alarm's SNS notification. If an old form has no ARN, the topic's Region counts."""
    try:
        notification = _notification.decode(body)
    except msgspec.ValidationError as error:
        raise broken_rule(error) from error
    contributor = notification.alarm_contributor_attributes
    if contributor is None and notification.alarm_contributor_id is not None:
        contributor = {}
    return Alarm(
        name=notification.alarm_name,
        arn=notification.alarm_arn,
        account=notification.account,
        region=region_of(notification.alarm_arn) or context.topic_region or context.aws_environment.region,
        state=notification.new_state_value,
        reason=notification.new_state_reason or "",
        changed_at=context.time(notification.state_change_time),
        # A notification has no member for muting or suppression: a silenced alarm publishes nothing.
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-mute-rules-behaviour.html
        silenced="",
        metrics=_trigger_metrics(notification.trigger or _Trigger(), notification.account),
        contributor=contributor,
    )


def _silenced(data: AlarmData) -> str:
    """Return why the alarm's actions must not happen. CloudWatch sends the events of such an alarm anyway."""
    if data.state.actions_suppressed_by:
        return "the alarm's actions are suppressed"
    if data.mute_detail is None:
        return ""
    rule, end = data.mute_detail.muted_by_arn[:256], data.mute_detail.mute_window_end[:64]
    return f"the alarm is muted by {rule or 'a mute rule'}" + (f" until {end}" if end else "")


def _metrics(
    entries: Iterable[_MetricData | _TriggerMetricData] | None, account: str
) -> tuple[AlarmMetric, ...]:
    """Return the metrics and expressions of an alarm. The default account of a metric is `account`."""
    return tuple(
        _metric(data.metric_stat.metric, data.account_id or account)
        if data.metric_stat
        else AlarmMetric(data.account_id or account, expression=data.expression or "")
        for data in entries or ()
    )


def _trigger_metrics(trigger: _Trigger, account: str) -> tuple[AlarmMetric, ...]:
    of_trigger = (_metric(trigger, account),) if trigger.namespace or trigger.name else ()
    return of_trigger + _metrics(trigger.metrics, account)


def _metric(metric: _Metric | _TriggerMetric, account: str) -> AlarmMetric:
    return AlarmMetric(account, metric.namespace, metric.name, _as_map(metric.dimensions))


def _as_map(dimensions: Dimensions) -> Mapping[str, str]:
    if isinstance(dimensions, list):
        named = {dimension.name: dimension.value for dimension in dimensions}
        if len(named) < len(dimensions):
            raise ParsingError("the alarm: is ambiguous, since one of its metrics has a dimension twice")
        return named
    return dimensions or {}
