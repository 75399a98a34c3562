"""Alarm actions and events in the form that CloudWatch sends, instead of ministack's form.

Every change of state puts an event on the default bus. An alarm whose actions are enabled also notifies its
topics and invokes its functions. Shapes: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring,
cloudwatch-and-eventbridge.html, alarms-and-actions-Lambda.html and Notify_Users_Alarm_Changes.html.

An alarm on metric math or on a query keeps its Metrics, which ministack would drop. The emulator does not
evaluate them. So only SetAlarmState changes the state of such an alarm, and no contributor sends an event.
"""

# ruff: noqa: SLF001 - ministack has no public hooks; the shim pins its version and tests/e2e covers each patch

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from ministack.core.responses import get_account_id, get_region
from ministack.services import cloudwatch, eventbridge, lambda_svc, sns

Alarm = dict[str, Any]
PutAlarm = Callable[..., Any]

ACTIONS: Final = {
    "ALARM": "AlarmActions",
    "OK": "OKActions",
    "INSUFFICIENT_DATA": "InsufficientDataActions",
}


def install() -> None:
    """Replace ministack's handling of alarm state changes, and keep the Metrics of an alarm."""
    cloudwatch._dispatch_alarm_actions = _dispatch
    cloudwatch._put_metric_alarm = _with_metrics(cloudwatch._put_metric_alarm)


def _with_metrics(put: PutAlarm) -> PutAlarm:
    def put_metric_alarm(params: Any, request: dict[str, Any], *protocol: bool) -> Any:
        answer = put(params, request, *protocol)
        if alarm := cloudwatch._alarms.get(request.get("AlarmName")):
            alarm["Metrics"] = request.get("Metrics") or []
        return answer

    return put_metric_alarm


def _dispatch(alarm: Alarm, old: str, new: str, reason: str) -> None:
    timestamp = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "+0000")
    data = _alarm_data(alarm, old, new, reason, timestamp)
    entry = {
        "Source": "aws.cloudwatch",
        "DetailType": "CloudWatch Alarm State Change",
        "Resources": [alarm["AlarmArn"]],
        "Detail": json.dumps(data),
    }
    eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)
    if not alarm.get("ActionsEnabled", True):
        return
    for arn in alarm.get(ACTIONS[new]) or []:
        if ":sns:" in arn:
            _notify(arn, alarm, data)
        elif ":lambda:" in arn:
            _invoke(arn, alarm, data)


def _alarm_data(alarm: Alarm, old: str, new: str, reason: str, timestamp: str) -> dict[str, Any]:
    metrics = {"metrics": [_configured(entry) for entry in alarm.get("Metrics") or [_only_metric(alarm)]]}
    return {
        "alarmName": alarm["AlarmName"],
        "state": {"value": new, "reason": reason, "timestamp": timestamp},
        "previousState": {"value": old, "timestamp": timestamp},
        "configuration": {"alarmRule": alarm["AlarmRule"]} if "AlarmRule" in alarm else metrics,
    }


def _only_metric(alarm: Alarm) -> dict[str, Any]:
    """Return an alarm's single metric in the form of an entry of Metrics."""
    stat = {"Metric": alarm, "Period": alarm.get("Period", 60), "Stat": alarm.get("Statistic", "")}
    return {"Id": str(uuid.uuid4()), "MetricStat": stat, "ReturnData": True}


def _configured(entry: dict[str, Any]) -> dict[str, Any]:
    """Return an entry of Metrics in the form of events and Lambda actions."""
    names = {
        "Id": "id",
        "Expression": "expression",
        "Label": "label",
        "Period": "period",
        "AccountId": "accountId",
    }
    written = {name: entry[key] for key, name in names.items() if key in entry}
    if stat := entry.get("MetricStat"):
        metric = {
            "namespace": stat["Metric"].get("Namespace") or "",
            "name": stat["Metric"].get("MetricName") or "",
            "dimensions": {pair["Name"]: pair["Value"] for pair in stat["Metric"].get("Dimensions", [])},
        }
        written["metricStat"] = {"metric": metric, "period": stat["Period"], "stat": stat["Stat"]}
    return {**written, "returnData": entry.get("ReturnData", True)}


def _notify(topic_arn: str, alarm: Alarm, data: dict[str, Any]) -> None:
    state = data["state"]
    message = {
        "AlarmName": alarm["AlarmName"],
        "AlarmDescription": alarm.get("AlarmDescription") or None,
        "AWSAccountId": get_account_id(),
        "NewStateValue": state["value"],
        "NewStateReason": state["reason"],
        "StateChangeTime": state["timestamp"],
        "Region": get_region(),
        "AlarmArn": alarm["AlarmArn"],
        "OldStateValue": data["previousState"]["value"],
        "Trigger": _trigger(alarm),
    }
    subject = f'{state["value"]}: "{alarm["AlarmName"]}" in {get_region()}'[:100]
    sns._fanout(topic_arn, str(uuid.uuid4()), json.dumps(message), subject)


def _trigger(alarm: Alarm) -> dict[str, Any]:
    if entries := alarm.get("Metrics"):
        return {"Period": alarm.get("Period", 60), "Metrics": [_trigger_entry(entry) for entry in entries]}
    return {
        **_named_metric(alarm),
        "StatisticType": "Statistic",
        "Statistic": alarm.get("Statistic", "").upper(),
    }


def _trigger_entry(entry: dict[str, Any]) -> dict[str, Any]:
    stat = entry.get("MetricStat")
    return {**entry, "MetricStat": {**stat, "Metric": _named_metric(stat["Metric"])}} if stat else entry


def _named_metric(metric: dict[str, Any]) -> dict[str, Any]:
    return {
        "MetricName": metric.get("MetricName", ""),
        "Namespace": metric.get("Namespace", ""),
        "Dimensions": [{"value": pair["Value"], "name": pair["Name"]} for pair in metric.get("Dimensions", [])],
    }


def _invoke(function_arn: str, alarm: Alarm, data: dict[str, Any]) -> None:
    function, config, _ = lambda_svc._get_func_record_for_ref(function_arn)
    event = {
        "source": "aws.cloudwatch",
        "alarmArn": alarm["AlarmArn"],
        "accountId": get_account_id(),
        "time": data["state"]["timestamp"],
        "region": get_region(),
        "alarmData": data,
    }
    record = lambda_svc._execution_record_for_config(function, config)
    lambda_svc.invoke_async_with_retry(record, event)
