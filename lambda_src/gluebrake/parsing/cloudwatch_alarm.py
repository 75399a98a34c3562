"""Parse an alarm as a request to stop the runs that its metric or its contributor identifies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from gluebrake.contract import StopRequest
from gluebrake.model import NotARequest
from gluebrake.parsing import alarm_forms, alarm_metrics, stop_request
from gluebrake.parsing.alarm_forms import Alarm, AlarmData, AlarmMetric
from gluebrake.parsing.context import Context
from gluebrake.parsing.errors import ParsingError

_JOB: Final = "JobName"
_RUN: Final = "JobRunId"
_EVERY_RUN: Final = "ALL"
"""The JobRunId of the metrics that Glue sums up over the runs of a job."""

# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-metrics-insights-querylanguage.html
_ACCOUNT: Final = "AWS.AccountId"
"""The label for the account of the metrics, in a query of a monitoring account.

The guide shows no contributor with this label. Gluebrake expects the label as an attribute, like a dimension.
"""
_NO_DIMENSION: Final = "Other"
"""The group of metrics without the dimension by which a query groups."""


def parse_event(  # noqa: PLR0913 - the members of the envelope, by name
    data: AlarmData, *, arn: str, account: str, region: str, time: str, context: Context
) -> list[StopRequest] | NotARequest:
    """Parse the detail of an alarm's or a contributor's EventBridge event."""
    alarm = alarm_forms.from_event(data, arn=arn, account=account, region=region, time=time, context=context)
    return _parse(alarm, context)


def parse_action(body: bytes, context: Context) -> list[StopRequest] | NotARequest:
    """Parse the event with which an alarm invokes a function as its Lambda action."""
    return _parse(alarm_forms.decode_action(body, context), context)


def parse_notification(body: bytes, context: Context) -> list[StopRequest] | NotARequest:
    """Parse an alarm's SNS notification."""
    return _parse(alarm_forms.decode_notification(body, context), context)


def _parse(alarm: Alarm, context: Context) -> list[StopRequest] | NotARequest:
    if alarm.state != "ALARM":
        return NotARequest(f"the alarm is in {alarm.state[:64]}")
    if alarm.silenced:
        return NotARequest(alarm.silenced)
    if alarm.contributor is not None:
        return _of_contributor(alarm, alarm.contributor, context)
    if len(alarm.metrics) == 1 and alarm_metrics.has_contributors(alarm.metrics[0].expression):
        return NotARequest("each time series of the alarm's query has an event of its own, its contributor's")
    return _of_metrics(alarm, context)


def _of_metrics(alarm: Alarm, context: Context) -> list[StopRequest] | NotARequest:
    """Parse an alarm by the dimensions of the metrics that identify runs."""
    of_jobs = [metric for metric in alarm.metrics if _JOB in metric.dimensions]
    allowed = context.aws_environment.alarm_namespaces
    rejections = [alarm_metrics.rejection(metric.namespace, metric.name, allowed) for metric in of_jobs]
    speaking = [metric for metric, why in zip(of_jobs, rejections, strict=True) if not why]
    accounts = {metric.account for metric in speaking or alarm.metrics} or {alarm.account}
    if foreign := _foreign(alarm, accounts, context):
        return foreign
    if not speaking:
        raise ParsingError(f"the alarm: {next(iter(rejections), _names_no_job(alarm))}")
    if len(accounts) > 1:
        names = ", ".join(sorted(accounts))
        raise ParsingError(f"the alarm: is ambiguous, since its metrics are of several accounts: {names[:256]}")
    _check_trust(alarm, context)
    return [_request(alarm, _only_run(speaking), path="dimensions")]


def _names_no_job(alarm: Alarm) -> str:
    if any(alarm_metrics.is_query(metric.expression) for metric in alarm.metrics):
        return f"has no contributors, so it names no job; allowed is a query like {alarm_metrics.EXAMPLE}"
    return "watches no metric with the dimension JobName, so it names no job"


def _only_run(metrics: Sequence[AlarmMetric]) -> Mapping[str, str]:
    runs = {(m.dimensions[_JOB], m.dimensions.get(_RUN, _EVERY_RUN)): m.dimensions for m in metrics}
    if len(runs) > 1:
        names = ", ".join(f"{job} ({run})" for job, run in sorted(runs))
        raise ParsingError(f"the alarm: is ambiguous, since it watches more than one job or run: {names}")
    (dimensions,) = runs.values()
    return dimensions


def _of_contributor(
    alarm: Alarm, attributes: Mapping[str, str], context: Context
) -> list[StopRequest] | NotARequest:
    """Parse a contributor by the attributes that name its time series."""
    if foreign := _foreign(alarm, {_account_of(alarm, attributes, context)}, context):
        return foreign
    expression = alarm.metrics[0].expression if len(alarm.metrics) == 1 else ""
    if why := alarm_metrics.query_rejection(expression, context.aws_environment.alarm_namespaces):
        raise ParsingError(f"the contributor: {why}")
    _check_trust(alarm, context)
    if _JOB not in attributes:
        raise ParsingError("the contributor: has no attribute JobName; add JobName to the query's GROUP BY")
    for name in (_JOB, _RUN):
        if attributes.get(name) == _NO_DIMENSION:
            raise ParsingError(f"the contributor: its {name} is Other, which stands for metrics without {name}")
    if attributes.get(_RUN) == _EVERY_RUN:
        return NotARequest(
            "the contributor is the sum over a job's runs; each run has a contributor of its own"
        )
    return [_request(alarm, attributes, path="attributes")]


def _account_of(alarm: Alarm, attributes: Mapping[str, str], context: Context) -> str:
    """Return the account of a contributor's metrics. Raise ParsingError if the alarm does not name it."""
    if account := attributes.get(_ACCOUNT):
        return account
    account = next((metric.account for metric in alarm.metrics), alarm.account)
    if account == alarm.account != context.aws_environment.account:
        raise ParsingError(
            f"the contributor: is of an alarm of account {alarm.account[:64]}, and nothing names the account of"
            f" its metrics; add {_ACCOUNT} to the query's GROUP BY"
        )
    return account


def _foreign(alarm: Alarm, accounts: set[str], context: Context) -> NotARequest | None:
    """Return why the alarm is not about runs of this account and Region, or None if it is.

    The account of the metrics decides, because an alarm of a monitoring account can watch metrics of other
    accounts. An alarm watches metrics of its own Region only.
    """
    here = context.aws_environment.account
    return context.foreign(account=here if here in accounts else min(accounts), region=alarm.region)


def _check_trust(alarm: Alarm, context: Context) -> None:
    here = context.aws_environment
    if alarm.account != here.account and alarm.account not in here.alarm_accounts:
        raise ParsingError(
            f"the alarm: is of account {alarm.account[:64]} and watches account {here.account}; only alarms of"
            f" {', '.join((here.account, *here.alarm_accounts))} are obeyed; add its account to alarmAccounts"
        )


def _request(alarm: Alarm, named: Mapping[str, str], *, path: str) -> StopRequest:
    """Return a request for the run in `named`, or for every run that was active when the alarm fired."""
    run_id = named.get(_RUN, _EVERY_RUN)
    return stop_request.from_signal(
        job_name=named[_JOB],
        job_run_ids=None if run_id == _EVERY_RUN else [run_id],
        started_before=alarm.changed_at,
        reason=": ".join(filter(None, (f"alarm {alarm.name}", alarm.reason))),
        requested_by=alarm.arn or f"alarm {alarm.name}",
        path=path,
    )
