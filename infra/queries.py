"""The questions that operators ask of the log; the fields are those that `gluebrake.telemetry` writes.

Language: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_logs as logs
from constructs import Construct

from gluebrake.model import Measure
from gluebrake.outcomes import Outcome

QUERIES: Final = {
    "who-stopped-this-run": f"""\
# Put the run's id in the place of jr_0. Each stage of each stop is a line; Stopped is the last, if it did stop.
filter job_run_id = "jr_0"
| fields @timestamp, service, outcome, requested_by, sender, reason, error_code, error_message, state, attempt,
    {Measure.TIME_TO_STOP}, will_redeliver, function_request_id
| sort @timestamp asc
| limit 1000""",
    "failures-by-reason": """\
# Warnings are the outcomes that somebody must see to, and lost events; an UnexpectedError is an error.
filter level in ["WARNING", "ERROR"]
| stats count(*) as lines, count_distinct(job_run_id) as runs, latest(job_run_id) as last_run,
    latest(error_message) as last_message, latest(@timestamp) as last_seen by outcome, error_code, job_name
| sort lines desc""",
    "slowest-stops": f"""\
# Seconds from our submission to Glue's CompletedOn.
filter outcome = "{Outcome.STOPPED}" and {Measure.TIME_TO_STOP} >= 0
| fields @timestamp, job_name, job_run_id, {Measure.TIME_TO_STOP}, {Measure.DPUS_RELEASED}, \
{Measure.DPU_HOURS_CONSUMED}, requested_by, reason
| sort {Measure.TIME_TO_STOP} desc
| limit 50""",
    "requests-by-sender": f"""\
# `sender` is SQS's own word, `requested_by` only a claim. Our retries are left out.
filter service = "stop" and ispresent(outcome) and attempt = 0 and outcome != "{Outcome.DEFERRED}"
| stats count(*) as requests, count_distinct(job_run_id) as runs, count_distinct(job_name) as jobs
    by requested_by, sender, outcome
| sort requests desc""",
}


def save(scope: Construct, log_groups: Sequence[logs.ILogGroup]) -> None:
    """Save the queries over the log groups, in a folder of the stack's name."""
    for name, query in QUERIES.items():
        logs.CfnQueryDefinition(
            scope,
            name.title().replace("-", ""),
            name=f"{cdk.Stack.of(scope).stack_name}/{name}",
            query_string=query,
            log_group_names=[group.log_group_name for group in log_groups],
        )
