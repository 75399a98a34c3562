"""STOP: stops the runs that the messages of the stop queue name or select."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from gluebrake.stages import STAGES
from infra.config import Config
from infra.confirm_function import confirm_settings
from infra.queue_function import Foundation, FunctionSpec, QueueFunction
from infra.statements import allow_glue, allow_send, job_arn, job_arns


class StopFunction(QueueFunction):
    """The function STOP. Its role can stop the configured jobs and the canary's, except protected ones."""

    def __init__(self, scope: Construct, construct_id: str, *, foundation: Foundation) -> None:
        config, queues = foundation.config, foundation.queues
        spec = FunctionSpec(
            stage=STAGES["stop"],
            environment={
                **confirm_settings(foundation),
                "stop_queue_url": queues.stop_queue.queue_url,
                "jobs": config.stoppable_jobs,
                "protected_jobs": config.protected_jobs,
                "protect_tag": config.protect_tag,
                "max_attempts": config.max_attempts,
                "retry_seconds": config.retry_seconds,
                "observe": config.observe,
                "alarm_namespaces": config.alarm_namespaces,
                "alarm_accounts": config.alarm_accounts,
            },
            statements=[
                allow_glue(
                    "StopRuns",
                    STAGES["stop"],
                    cdk.Stack.of(scope),
                    config.stoppable_jobs,
                    without=["BatchStopJobRun"] if config.observe else [],
                ),
                *_deny_protected(cdk.Stack.of(scope), config),
                allow_send("SendToStopQueue", queues.stop_queue),
                allow_send("SendToConfirmQueue", queues.confirm_queue),
            ],
        )
        super().__init__(scope, construct_id, spec=spec, foundation=foundation)


def _deny_protected(stack: cdk.Stack, config: Config) -> Iterator[iam.PolicyStatement]:
    # AWS documents that `Null` may treat an empty tag value as an absent tag. So a second statement is needed:
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
    tag, jobs = f"aws:ResourceTag/{config.protect_tag}", [job_arn(stack, "*")]
    yield _deny_stop("ProtectByTag", jobs, {"Null": {tag: "false"}})
    yield _deny_stop("ProtectByTagValue", jobs, {"StringLike": {tag: "*"}})
    if config.protected_jobs:
        yield _deny_stop("ProtectByName", job_arns(stack, config.protected_jobs))


def _deny_stop(sid: str, jobs: list[str], conditions: Mapping[str, Any] | None = None) -> iam.PolicyStatement:
    """Deny BatchStopJobRun only: STOP reads a protected job's tags to report why the call was denied."""
    return iam.PolicyStatement(
        sid=sid,
        effect=iam.Effect.DENY,
        actions=["glue:BatchStopJobRun"],
        resources=jobs,
        conditions=conditions,
    )
