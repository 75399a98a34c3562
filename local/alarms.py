"""Alarm actions and events as CloudWatch sends them, in place of ministack's.

Every change of state puts an event on the default bus. An alarm whose actions are enabled also notifies its
topics and invokes its functions. Shapes: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring,
cloudwatch-and-eventbridge.html, alarms-and-actions-Lambda.html and Notify_Users_Alarm_Changes.html.
"""

# ruff: noqa: SLF001 - ministack has no public hooks; the shim pins its version and tests/e2e covers each patch

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import Any, Final

from ministack.core.responses import get_account_id, get_region
from ministack.services import cloudwatch, eventbridge, lambda_svc, sns

Alarm = dict[str, Any]

ACTIONS: Final = {
    "ALARM": "AlarmActions",
    "OK": "OKActions",
    "INSUFFICIENT_DATA": "InsufficientDataActions",
}


def install() -> None:
    """Replace what ministack does when an alarm changes its state."""
    cloudwatch._dispatch_alarm_actions = _dispatch


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
    metric = {
        "namespace": alarm.get("Namespace", ""),
        "name": alarm.get("MetricName", ""),
        "dimensions": {pair["Name"]: pair["Value"] for pair in alarm.get("Dimensions", [])},
    }
    stat = {"metric": metric, "period": alarm.get("Period", 60), "stat": alarm.get("Statistic", "")}
    metrics = {"metrics": [{"id": str(uuid.uuid4()), "metricStat": stat, "returnData": True}]}
    return {
        "alarmName": alarm["AlarmName"],
        "state": {"value": new, "reason": reason, "timestamp": timestamp},
        "previousState": {"value": old, "timestamp": timestamp},
        "configuration": {"alarmRule": alarm["AlarmRule"]} if "AlarmRule" in alarm else metrics,
    }


def _notify(topic_arn: str, alarm: Alarm, data: dict[str, Any]) -> None:
    state = data["state"]
    dimensions = [{"value": pair["Value"], "name": pair["Name"]} for pair in alarm.get("Dimensions", [])]
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
        "Trigger": {
            "MetricName": alarm.get("MetricName", ""),
            "Namespace": alarm.get("Namespace", ""),
            "StatisticType": "Statistic",
            "Statistic": alarm.get("Statistic", "").upper(),
            "Dimensions": dimensions,
        },
    }
    subject = f'{state["value"]}: "{alarm["AlarmName"]}" in {get_region()}'[:100]
    sns._fanout(topic_arn, str(uuid.uuid4()), json.dumps(message), subject)


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
