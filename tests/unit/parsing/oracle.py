"""A second parser, independent of Gluebrake's: the most that a body may request.

It is lenient where Gluebrake is strict. Gluebrake must never request anything that it does not allow.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from gluebrake.model import AwsEnvironment

SELECTED: Final = ("every active run",)
FIELDS: Final = {
    *("JobName", "JobRunIds", "Select", "Reason", "RequestedBy", "DryRun"),
    *("IncludeAttempts", "AttemptsStartedBefore"),
}


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
    account, region = body.get("account"), body.get("region")
    if region != aws_environment.region:
        return None
    if kind == ("Glue Job Run Status", "aws.glue") and detail.get("state") in {"RUNNING", "STARTING"}:
        own = account == aws_environment.account
        return Allowed(detail["jobName"], (detail["jobRunId"],)) if own else None
    if kind == ("CloudWatch Alarm State Change", "aws.cloudwatch"):
        return _alarm(detail, account, aws_environment)
    if kind == ("CloudWatch Alarm Contributor State Change", "aws.cloudwatch"):
        return _alarm(detail, account, aws_environment) if detail.get("alarmContributor") else None
    return None


def _other(body: dict[str, Any], aws_environment: AwsEnvironment) -> Allowed | None:
    if "alarmData" in body:
        own = body.get("region") == aws_environment.region
        return _alarm(body["alarmData"], body.get("accountId"), aws_environment) if own else None
    if "NewStateValue" in body:
        return _notification(body, aws_environment) if body["NewStateValue"] == "ALARM" else None
    if "TopicArn" in body:
        message = body.get("Message")
        if not isinstance(message, str) or body.get("Type", "Notification") != "Notification":
            return None
        return at_most(message, aws_environment)
    return _request(body)


def _notification(body: dict[str, Any], aws_environment: AwsEnvironment) -> Allowed | None:
    trigger = body.get("Trigger") or {}
    own = [{"MetricStat": {"Metric": trigger}}] if trigger.get("Namespace") or trigger.get("MetricName") else []
    entries = [*own, *(trigger.get("Metrics") or ())]
    attributes = body.get("AlarmContributorAttributes")
    if attributes is None and body.get("AlarmContributorId") is not None:
        return None
    return _of(attributes, entries, body.get("AWSAccountId"), aws_environment, _with_a_capital)


def _request(members: dict[str, Any]) -> Allowed | None:
    if not members.keys() <= FIELDS or ("JobRunIds" in members) is ("Select" in members):
        return None
    return Allowed(members["JobName"], tuple(members["JobRunIds"]) if "JobRunIds" in members else SELECTED)


def _alarm(data: dict[str, Any], account: Any, aws_environment: AwsEnvironment) -> Allowed | None:
    state = data.get("state")
    if not isinstance(state, dict) or state.get("value") != "ALARM" or state.get("actionsSuppressedBy"):
        return None
    if data.get("muteDetail") is not None:
        return None
    contributor = data.get("alarmContributor")
    entries = (data.get("configuration") or {}).get("metrics") or []
    return _of(contributor and contributor["attributes"], entries, account, aws_environment)


def _unchanged(name: str) -> str:
    return name


def _with_a_capital(name: str) -> str:
    return name[0].upper() + name[1:]


def _of(
    attributes: dict[str, str] | None,
    entries: list[dict[str, Any]],
    account: Any,
    aws_environment: AwsEnvironment,
    write: Callable[[str], str] = _unchanged,
) -> Allowed | None:
    """Return the run of a contributor, or that of an alarm as a whole."""
    if account not in {aws_environment.account, *aws_environment.alarm_accounts}:
        return None
    if attributes is None:
        return _of_metrics(entries, account, aws_environment, write)
    owners = [entry.get(write("accountId")) or account for entry in entries]
    expressions = [entry.get(write("expression")) or "" for entry in entries]
    owner = attributes.get("AWS.AccountId") or owners[0]
    if len(entries) != 1 or owner != aws_environment.account or not _selects_glue(expressions[0]):
        return None
    job_name, run_id = attributes["JobName"], attributes.get("JobRunId")
    if run_id in {"ALL", "Other"} or job_name == "Other":
        return None
    return Allowed(job_name, SELECTED if run_id is None else (run_id,))


def _selects_glue(expression: str) -> bool:
    words: list[str] = [word for word in re.findall(r'"[^"]*"|\w+', expression) if word.upper() != "SCHEMA"]
    keywords = [word.upper() for word in words]
    if keywords[:1] != ["SELECT"] or keywords[3:4] != ["FROM"] or not words[2].startswith('"glue.'):
        return False
    return words[4].strip('"') == "Glue"


def _of_metrics(
    entries: list[dict[str, Any]],
    account: Any,
    aws_environment: AwsEnvironment,
    write: Callable[[str], str],
) -> Allowed | None:
    """Return the job and run of all metrics of Glue, or None if they differ."""
    allowed = set()
    for data in entries:
        metric = (data.get(write("metricStat")) or {}).get(write("metric"), {})
        listed = metric.get(write("dimensions")) or {}
        dimensions = listed if isinstance(listed, dict) else {entry["name"]: entry["value"] for entry in listed}
        name = metric.get("name" if write is _unchanged else "MetricName") or ""
        if metric.get(write("namespace")) != "Glue" or "JobName" not in dimensions or name[:5] != "glue.":
            continue
        if (data.get(write("accountId")) or account) != aws_environment.account:
            return None
        run_id = dimensions.get("JobRunId", "ALL")
        allowed.add(Allowed(dimensions["JobName"], SELECTED if run_id == "ALL" else (run_id,)))
    return allowed.pop() if len(allowed) == 1 else None
