"""The saved queries of CloudWatch Logs Insights, over the fields that `gluebrake.telemetry` logs.

Language: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html
For an event, a notification or an alarm action, `via` names it, because its `sender` in SQS is an id of AWS.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_logs as logs
from constructs import Construct

from gluebrake.metrics import Measure
from gluebrake.outcomes import OUTCOMES, Outcome

_COSTS: Final = ", ".join(
    [
        *(Measure.DPU_HOURS_CONSUMED, Measure.ESTIMATED_COST_USD, Measure.FURTHER_COST_USD_AT_MOST),
        *(Measure.DPU_HOURS_AT_MOST, Measure.ESTIMATED_COST_USD_AT_MOST),
    ]
)

_NOTICED: Final = [outcome for outcome, facts in OUTCOMES.items() if facts.notice]
"""The outcomes that are in notices."""

LAST_STOPS: Final = "last-stops"
"""The name of the query that the dashboard shows."""

QUERIES: Final = {
    LAST_STOPS: f"""\
# The runs that were stopped, could not be stopped, or would have been in a dry run. SQS vouches for `sender`.
# `via` names the event, the topic or the alarm. Nothing verifies `claimed_by`. Dollars are estimates.
filter outcome in {json.dumps([*_NOTICED, Outcome.FINISHED_BEFORE_STOP, Outcome.WOULD_STOP])}
| fields @timestamp, outcome, job_name, job_run_id, reason, sender, via, requested_by as claimed_by,
    {Measure.TIME_TO_STOP}, {Measure.DPU_HOURS_CONSUMED}, {Measure.ESTIMATED_COST_USD},
    {Measure.ESTIMATED_COST_USD_AT_MOST}, error_message
| sort @timestamp desc
| limit 100""",
    "who-stopped-this-run": f"""\
# Replace jr_0 with the run id. Each line is a step of a stop. The last outcome is Stopped if the run stopped.
filter job_run_id = "jr_0"
| fields @timestamp, service, outcome, requested_by, coalesce(via, sender) as sent_by, reason, error_code,
    error_message, state, attempt, {Measure.TIME_TO_STOP}, {_COSTS}, will_redeliver, function_request_id
| sort @timestamp asc
| limit 1000""",
    "failures-by-reason": """\
# Every kind of problem that an alarm counts: `message` names the kind. Level ERROR: unhandled exceptions.
filter level in ["WARNING", "ERROR"]
| stats count(*) as lines, count_distinct(job_run_id) as runs, latest(job_run_id) as last_run,
    latest(error_message) as last_message, latest(@timestamp) as last_seen by message, error_code, job_name
| sort lines desc""",
    "slowest-stops": f"""\
# Seconds from the submission of the stop to the run's CompletedOn in Glue.
filter outcome = "{Outcome.STOPPED}" and {Measure.TIME_TO_STOP} >= 0
| fields @timestamp, job_name, job_run_id, {Measure.TIME_TO_STOP}, {Measure.DPUS_RELEASED}, \
{Measure.DPU_HOURS_CONSUMED}, {Measure.ESTIMATED_COST_USD}, requested_by, reason
| sort {Measure.TIME_TO_STOP} desc
| limit 50""",
    "cost-by-job": f"""\
# What stopped runs had cost until they stopped, as an estimate. A repeated line counts once.
filter outcome = "{Outcome.STOPPED}" and {Measure.ESTIMATED_COST_USD} >= 0
| stats latest({Measure.DPU_HOURS_CONSUMED}) as dpu_hours, latest({Measure.ESTIMATED_COST_USD}) as usd
    by job_name, job_run_id
| stats count(*) as stopped_runs, sum(dpu_hours) as total_dpu_hours, sum(usd) as estimated_usd by job_name
| sort estimated_usd desc""",
    "requests-by-sender": f"""\
# An event's source, a topic or an alarm, else the sender that SQS reports. Nothing verifies `requested_by`.
# Retries are left out.
filter service = "stop" and ispresent(outcome) and attempt = 0 and outcome != "{Outcome.DEFERRED}"
| parse via / of (?<origin>.+)/
| fields coalesce(origin, sender) as sent_by
| stats count(*) as requests, count_distinct(job_run_id) as runs, count_distinct(job_name) as jobs
    by requested_by, sent_by, outcome
| sort requests desc""",
}


def save(scope: Construct, queries: Mapping[str, str], log_groups: Sequence[logs.ILogGroup]) -> None:
    """Save queries over the log groups, in a folder with the stack's name."""
    for name, query in queries.items():
        logs.CfnQueryDefinition(
            scope,
            name.title().replace("-", ""),
            name=f"{cdk.Stack.of(scope).stack_name}/{name}",
            query_string=query,
            log_group_names=[group.log_group_name for group in log_groups],
        )
