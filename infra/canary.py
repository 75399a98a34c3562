"""The canary: a Glue job that requests its own stop, and the schedule that starts it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3_assets as assets
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from gluebrake.contract import NAMESPACE
from gluebrake.outcomes import Outcome
from infra.config import Config
from infra.metrics import canary_stopped
from infra.names import CANARY_JOB
from infra.statements import allow_send, job_arn
from infra.suppressions import suppress_checkov, suppress_nag, wildcard_finding

_SCRIPT: Final = Path(__file__).with_name("canary_job.py")
_TIMEOUT_MINUTES: Final = 15
_RETRY_SECONDS: Final = 3600
_LOG: Final = "log-group:/aws-glue/python-jobs/*"
"""The end of the ARN of the log groups to which Glue writes the output of Python shell jobs."""
_NO_DATA: Final = (
    "The job reads and writes no data, its log has no secret, and Python shell jobs have no bookmarks."
)


class Canary(Construct):
    """The canary's job and, if `canary` is set, the schedule of its runs and the metric of stopped runs.

    The job always exists, because `gluebrake verify` starts a run of it. Without a run, the job costs nothing.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        config: Config,
        stop_queue: sqs.IQueue,
        confirm_log: logs.ILogGroup,
    ) -> None:
        super().__init__(scope, construct_id)
        self.job = self._job(stop_queue)
        if config.canary_rate:
            # The first run starts as soon as the schedule exists:
            # https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
            self._schedule(config.canary_rate).node.add_dependency(self.job, self._count_stopped(confirm_log))

    def _job(self, stop_queue: sqs.IQueue) -> glue.CfnJob:
        script = assets.Asset(self, "Script", path=str(_SCRIPT))
        role = self._role(script, stop_queue)
        job = glue.CfnJob(
            self,
            "Job",
            # The job has its own name as an argument, so CloudFormation cannot generate it.
            name=CANARY_JOB,
            description="Requests its own stop, to show that Gluebrake stops runs",
            role=role.role_arn,
            command=glue.CfnJob.JobCommandProperty(
                name="pythonshell", python_version="3.9", script_location=script.s3_object_url
            ),
            default_arguments={
                "--gluebrake_job_name": CANARY_JOB,
                "--gluebrake_stop_queue_url": stop_queue.queue_url,
                "--gluebrake_region": cdk.Stack.of(self).region,
            },
            execution_property=glue.CfnJob.ExecutionPropertyProperty(max_concurrent_runs=3),
            max_capacity=0.0625,
            max_retries=0,
            timeout=_TIMEOUT_MINUTES,
        )
        job.node.add_dependency(role)
        suppress_nag(job, "AwsSolutions::AwsSolutions-GL1", "AwsSolutions::AwsSolutions-GL3", reason=_NO_DATA)
        suppress_checkov(job, "CKV_AWS_195", _NO_DATA)
        return job

    def _role(self, script: assets.Asset, stop_queue: sqs.IQueue) -> iam.Role:
        stack = cdk.Stack.of(self)
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("glue.amazonaws.com"))
        read_script = iam.PolicyStatement(
            sid="ReadScript",
            actions=["s3:GetObject"],
            resources=[script.bucket.arn_for_objects(script.s3_object_key)],
        )
        log = iam.PolicyStatement(
            sid="Log",
            actions=["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
            resources=[f"arn:{stack.partition}:logs:{stack.region}:{stack.account}:{_LOG}"],
        )
        for statement in (read_script, allow_send("RequestStop", stop_queue), log):
            role.add_to_policy(statement)
        suppress_nag(
            role,
            wildcard_finding(self, "logs", _LOG),
            reason="Glue names the log groups under this prefix, and a log stream for each run.",
        )
        return role

    def _schedule(self, rate: str) -> scheduler.CfnSchedule:
        partition, role = cdk.Stack.of(self).partition, self._scheduler_role()
        schedule = scheduler.CfnSchedule(
            self,
            "Schedule",
            description="Starts a run of Gluebrake's canary",
            schedule_expression=rate,
            flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
            # Drift detection compares only properties that the template sets.
            state="ENABLED",
            target=scheduler.CfnSchedule.TargetProperty(
                # https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-universal.html
                arn=f"arn:{partition}:scheduler:::aws-sdk:glue:startJobRun",
                role_arn=role.role_arn,
                input=json.dumps({"JobName": CANARY_JOB}),
                # No dead-letter queue: a dead letter would be a request to start a run, which must not be
                # redriven as a stop request. After failed starts, the alarm CanarySilent fires.
                retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(
                    maximum_event_age_in_seconds=_RETRY_SECONDS, maximum_retry_attempts=3
                ),
            ),
        )
        schedule.node.add_dependency(role)
        return schedule

    def _scheduler_role(self) -> iam.Role:
        stack = cdk.Stack.of(self)
        # The source ARN is the ARN of the schedule group, not of the schedule:
        # https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html
        group = stack.format_arn(service="scheduler", resource="schedule-group", resource_name="default")
        source = {"aws:SourceAccount": stack.account, "aws:SourceArn": group}
        principal = iam.ServicePrincipal("scheduler.amazonaws.com", conditions={"StringEquals": source})
        role = iam.Role(self, "SchedulerRole", assumed_by=principal)
        role.add_to_policy(
            iam.PolicyStatement(
                sid="StartRun", actions=["glue:StartJobRun"], resources=[job_arn(stack, CANARY_JOB)]
            )
        )
        return role

    def _count_stopped(self, confirm_log: logs.ILogGroup) -> logs.MetricFilter:
        return logs.MetricFilter(
            self,
            "Stopped",
            log_group=confirm_log,
            filter_pattern=logs.FilterPattern.all(
                logs.FilterPattern.string_value("$.outcome", "=", Outcome.STOPPED),
                logs.FilterPattern.string_value("$.job_name", "=", CANARY_JOB),
            ),
            metric_namespace=NAMESPACE,
            metric_name=canary_stopped().metric_name,
        )
