"""What a body may ask for at most, told by a second reader that shares nothing with the first.

It is lenient where the first is strict: only what it does not allow must never be asked.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from gluebrake.model import AwsEnvironment

SELECTED: Final = ("every active run",)
FIELDS: Final = {"JobName", "JobRunIds", "Select", "Reason", "RequestedBy", "DryRun"}


class Meant(NamedTuple):
    """A job, and its runs or SELECTED."""

    job_name: str
    run_ids: tuple[str, ...]


def at_most(text: str, home: AwsEnvironment) -> Meant | None:
    """Return what a body may ask for, None if it must ask for nothing."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict):
        return None
    return _event(body, home) if "detail-type" in body else _other(body, home)


def _event(body: dict[str, Any], home: AwsEnvironment) -> Meant | None:
    detail, kind = body.get("detail"), (body["detail-type"], body.get("source"))
    if not isinstance(detail, dict):
        return None
    if kind[0] == "Glue Job Run Stop Requested":
        return _request(detail)
    if (body.get("account"), body.get("region")) != (home.account, home.region):
        return None
    if kind == ("Glue Job Run Status", "aws.glue") and detail.get("state") in {"RUNNING", "STARTING"}:
        return Meant(detail["jobName"], (detail["jobRunId"],))
    if kind == ("CloudWatch Alarm State Change", "aws.cloudwatch"):
        return _alarm(detail, home)
    return None


def _other(body: dict[str, Any], home: AwsEnvironment) -> Meant | None:
    if "alarmData" in body:
        ours = (body.get("accountId"), body.get("region")) == (home.account, home.region)
        return _alarm(body["alarmData"], home) if ours else None
    if "NewStateValue" in body:
        ours = body.get("AWSAccountId") == home.account and body["NewStateValue"] == "ALARM"
        trigger = body.get("Trigger")
        metrics = [{"MetricStat": {"Metric": trigger}}, *(trigger.get("Metrics") or ())] if trigger else []
        return _watched(metrics, home, _with_a_capital) if ours else None
    if "TopicArn" in body:
        heard = body.get("Type", "Notification") == "Notification" and isinstance(body.get("Message"), str)
        return at_most(body["Message"], home) if heard else None
    return _request(body)


def _request(said: dict[str, Any]) -> Meant | None:
    if not said.keys() <= FIELDS or ("JobRunIds" in said) is ("Select" in said):
        return None
    return Meant(said["JobName"], tuple(said["JobRunIds"]) if "JobRunIds" in said else SELECTED)


def _alarm(data: dict[str, Any], home: AwsEnvironment) -> Meant | None:
    state = data.get("state")
    if not isinstance(state, dict) or state.get("value") != "ALARM" or state.get("actionsSuppressedBy"):
        return None
    configuration = data.get("configuration") or {}
    return _watched(configuration.get("metrics") or [], home)


def _as_it_is(name: str) -> str:
    return name


def _with_a_capital(name: str) -> str:
    return name[0].upper() + name[1:]


def _watched(
    metrics: list[dict[str, Any]], home: AwsEnvironment, write: Callable[[str], str] = _as_it_is
) -> Meant | None:
    """Return the one job and run of which all the metrics of Glue are."""
    meant = set()
    for one in metrics:
        metric = (one.get(write("metricStat")) or {}).get(write("metric"), {})
        of = metric.get(write("dimensions")) or {}
        of = of if isinstance(of, dict) else {entry["name"]: entry["value"] for entry in of}
        if metric.get(write("namespace")) != "Glue" or "JobName" not in of:
            continue
        if one.get(write("accountId"), home.account) not in {"", home.account}:
            return None
        run_id = of.get("JobRunId", "ALL")
        meant.add(Meant(of["JobName"], SELECTED if run_id == "ALL" else (run_id,)))
    return meant.pop() if len(meant) == 1 else None
