"""IAM statements of the functions' roles, and the ARNs of jobs in them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs

from gluebrake import contract
from gluebrake.stages import Stage

REPORTS: Final = {
    "source": [contract.OUTCOME_SOURCE],
    "detail-type": [contract.STOP_OUTCOME, contract.SWEEP_REPORT],
}
"""The event pattern of the outcome events and report events that Gluebrake publishes."""

_SID_TO_PUBLISH: Final = {contract.STOP_OUTCOME: "PublishOutcomes", contract.SWEEP_REPORT: "PublishReports"}


def allow_glue(
    sid: str, stage: Stage, stack: cdk.Stack, jobs: Iterable[str], *, without: Collection[str] = ()
) -> iam.PolicyStatement:
    """Allow the operations of Glue that a stage calls, except `without`, on the jobs that match a pattern."""
    operations = [operation for operation in stage.operations["glue"] if operation not in without]
    return iam.PolicyStatement(
        sid=sid,
        actions=[f"glue:{operation}" for operation in operations],
        resources=job_arns(stack, jobs),
    )


def allow_send(sid: str, queue: sqs.IQueue) -> iam.PolicyStatement:
    """Allow sending to a work queue. For the dead-letter queue, the CDK adds the permission."""
    return iam.PolicyStatement(sid=sid, actions=["sqs:SendMessage"], resources=[queue.queue_arn])


def allow_publish(bus: events.IEventBus, detail_type: str) -> iam.PolicyStatement:
    """Allow publishing Gluebrake's own events of a detail-type, and no other event."""
    return iam.PolicyStatement(
        sid=_SID_TO_PUBLISH[detail_type],
        actions=["events:PutEvents"],
        resources=[bus.event_bus_arn],
        conditions=each_event({"events:source": contract.OUTCOME_SOURCE, "events:detail-type": detail_type}),
    )


def allow_notices(topic: sns.ITopic) -> iam.PolicyStatement:
    """Allow publishing notices."""
    return iam.PolicyStatement(sid="PublishNotices", actions=["sns:Publish"], resources=[topic.topic_arn])


def each_event(values: Mapping[str, str]) -> dict[str, Any]:
    """Return the condition that every event of a PutEvents call has these values.

    For a call with several events, each key has several values. `ForAllValues` alone would also be true for an
    absent key, so the condition has `Null` as well:
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html
    """
    return {"ForAllValues:StringEquals": dict(values), "Null": dict.fromkeys(values, "false")}


def job_arns(stack: cdk.Stack, patterns: Iterable[str]) -> list[str]:
    """Return the ARNs of the jobs that match the patterns, in IAM's syntax."""
    return [job_arn(stack, iam_pattern(pattern)) for pattern in patterns]


def job_arn(stack: cdk.Stack, job: str) -> str:
    """Return the ARN of a job in the stack's account and Region."""
    return stack.format_arn(service="glue", resource="job", resource_name=job)


def iam_pattern(pattern: str) -> str:
    """Convert a job name pattern to IAM's syntax, in which `?` and `$` are special as well."""
    return pattern.translate({ord("?"): "${?}", ord("$"): "${$}"})
