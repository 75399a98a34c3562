"""A second parser, independent of Gluebrake's: the most that a body may request.

It is lenient where Gluebrake is strict. Gluebrake must never request anything that it does not allow.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from gluebrake.model import AwsEnvironment

SELECTED: Final = ("every active run",)
FIELDS: Final = {"JobName", "JobRunIds", "Select", "Reason", "RequestedBy", "DryRun"}


class Allowed(NamedTuple):
    """A job, and its run ids or SELECTED."""

    job_name: str
    run_ids: tuple[str, ...]


def at_most(text: str, aws_environment: AwsEnvironment) -> Allowed | None:
    """Return what a body may request, or None if it must request nothing."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict):
        return None
    return _event(body, aws_environment) if "detail-type" in body else _other(body, aws_environment)


def _event(body: dict[str, Any], aws_environment: AwsEnvironment) -> Allowed | None:
    detail, kind = body.get("detail"), (body["detail-type"], body.get("source"))
    if not isinstance(detail, dict):
        return None
    if kind[0] == "Glue Job Run Stop Requested":
        return _request(detail)
    if (body.get("account"), body.get("region")) != (aws_environment.account, aws_environment.region):
        return None
    if kind == ("Glue Job Run Status", "aws.glue") and detail.get("state") in {"RUNNING", "STARTING"}:
        return Allowed(detail["jobName"], (detail["jobRunId"],))
    if kind == ("CloudWatch Alarm State Change", "aws.cloudwatch"):
        return _alarm(detail, aws_environment)
    return None


def _other(body: dict[str, Any], aws_environment: AwsEnvironment) -> Allowed | None:
    if "alarmData" in body:
        origin = (body.get("accountId"), body.get("region"))
        is_own = origin == (aws_environment.account, aws_environment.region)
        return _alarm(body["alarmData"], aws_environment) if is_own else None
    if "NewStateValue" in body:
        is_own = body.get("AWSAccountId") == aws_environment.account and body["NewStateValue"] == "ALARM"
        trigger = body.get("Trigger")
        metrics = [{"MetricStat": {"Metric": trigger}}, *(trigger.get("Metrics") or ())] if trigger else []
        return _of_metrics(metrics, aws_environment, _with_a_capital) if is_own else None
    if "TopicArn" in body:
        message = body.get("Message")
        if not isinstance(message, str) or body.get("Type", "Notification") != "Notification":
            return None
        return at_most(message, aws_environment)
    return _request(body)


def _request(members: dict[str, Any]) -> Allowed | None:
    if not members.keys() <= FIELDS or ("JobRunIds" in members) is ("Select" in members):
        return None
    return Allowed(members["JobName"], tuple(members["JobRunIds"]) if "JobRunIds" in members else SELECTED)


def _alarm(data: dict[str, Any], aws_environment: AwsEnvironment) -> Allowed | None:
    state = data.get("state")
    if not isinstance(state, dict) or state.get("value") != "ALARM" or state.get("actionsSuppressedBy"):
        return None
    configuration = data.get("configuration") or {}
    return _of_metrics(configuration.get("metrics") or [], aws_environment)


def _unchanged(name: str) -> str:
    return name


def _with_a_capital(name: str) -> str:
    return name[0].upper() + name[1:]


def _of_metrics(
    metrics: list[dict[str, Any]], aws_environment: AwsEnvironment, write: Callable[[str], str] = _unchanged
) -> Allowed | None:
    """Return the job and run of all metrics of Glue, or None if they differ."""
    allowed = set()
    for data in metrics:
        metric = (data.get(write("metricStat")) or {}).get(write("metric"), {})
        listed = metric.get(write("dimensions")) or {}
        dimensions = listed if isinstance(listed, dict) else {entry["name"]: entry["value"] for entry in listed}
        if metric.get(write("namespace")) != "Glue" or "JobName" not in dimensions:
            continue
        if data.get(write("accountId"), aws_environment.account) not in {"", aws_environment.account}:
            return None
        run_id = dimensions.get("JobRunId", "ALL")
        allowed.add(Allowed(dimensions["JobName"], SELECTED if run_id == "ALL" else (run_id,)))
    return allowed.pop() if len(allowed) == 1 else None
