"""SWEEP: applies the guardrail policies that the messages of the sweep queue name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from gluebrake import contract
from gluebrake.stages import STAGES
from infra.queue_function import EVERY_RESOURCE, Foundation, FunctionSpec, QueueFunction
from infra.statements import allow_glue, allow_send
from infra.suppressions import suppress_nag

# Reading a thousand jobs takes some minutes. Lambda's limit is 15.
_TIMEOUT: Final = cdk.Duration.minutes(15)


class SweepFunction(QueueFunction):
    """The function SWEEP. Its role can read the configured jobs and request stops. It cannot stop a run.

    `signal_topics` has the policy of each signal topic, by the topic's ARN.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, foundation: Foundation, signal_topics: Mapping[str, str]
    ) -> None:
        config, stop_queue = foundation.config, foundation.queues.stop_queue
        stage, stack = STAGES["sweep"], cdk.Stack.of(scope)
        spec = FunctionSpec(
            stage=stage,
            code=foundation.artifact.sweep,
            timeout=_TIMEOUT,
            publishes=contract.SWEEP_REPORT,
            environment={
                "stop_queue_url": stop_queue.queue_url,
                "jobs": config.jobs,
                "protected_jobs": config.protected_jobs,
                "protect_tag": config.protect_tag,
                "signal_topics": signal_topics,
            },
            statements=[
                iam.PolicyStatement(sid="ListJobs", actions=["glue:ListJobs"], resources=["*"]),
                allow_glue("ReadJobs", stage, stack, config.jobs, without=["ListJobs"]),
                allow_send("SendToStopQueue", stop_queue),
            ],
        )
        super().__init__(scope, construct_id, spec=spec, foundation=foundation)
        suppress_nag(self.role, EVERY_RESOURCE, reason="glue:ListJobs supports no resource-level permissions.")
