"""A Lambda function with its role, log group and event source mapping."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from constructs import Construct

from gluebrake import contract, settings
from gluebrake.stages import Stage
from infra.artifact import Artifact
from infra.batching import batchings
from infra.config import Config
from infra.log_group import create_log_group
from infra.queues import Queues
from infra.statements import allow_notices, allow_publish, iam_pattern, job_arn
from infra.suppressions import suppress_checkov, suppress_nag, wildcard_finding

TIMEOUT: Final = cdk.Duration.seconds(30)

EVERY_RESOURCE: Final = "AwsSolutions::AwsSolutions-IAM5[Resource::*]"
"""The finding of cdk-nag for a permission on every resource."""

_NO_TRACING: Final = "The log and the outcome events show each request. The key `tracing` switches X-Ray on."

_CHECKOV_SUPPRESSIONS: Final = {
    "CKV_AWS_115": "The event source mapping limits concurrency. A reservation would throttle alarms' actions.",
    "CKV_AWS_117": "The function calls only AWS APIs, and nothing connects to it over the network.",
    "CKV_AWS_173": "Lambda encrypts the environment, which has names and numbers but no secret.",
}


@dataclass(frozen=True, kw_only=True)
class Foundation:
    """The resources that all functions share."""

    config: Config
    artifact: Artifact
    queues: Queues
    bus: events.IEventBus
    notice_topic: sns.ITopic


@dataclass(frozen=True, kw_only=True)
class FunctionSpec:
    """The properties that differ between functions.

    By default, a function has the code that STOP and CONFIRM share, and publishes outcome events.
    """

    stage: Stage
    environment: Mapping[str, Any] = field(default_factory=dict)
    statements: Sequence[iam.PolicyStatement] = ()
    code: Path | None = None
    timeout: cdk.Duration = TIMEOUT
    publishes: str = contract.STOP_OUTCOME


class QueueFunction(Construct):
    """The Lambda function of a stage, which consumes the stage's queue."""

    def __init__(
        self, scope: Construct, construct_id: str, *, spec: FunctionSpec, foundation: Foundation
    ) -> None:
        super().__init__(scope, construct_id)
        self.stage = spec.stage
        log_group = create_log_group(self, "Logs", retention_days=foundation.config.log_retention_days)
        self.role = self._role(foundation, log_group, spec)
        self.function = self._function(foundation, log_group, spec)
        self._add_event_source_mapping(foundation)
        suppress_nag(
            self.function,
            "AwsSolutions::AwsSolutions-L1",
            "Serverless::Serverless-LambdaLatestVersion",
            reason="The user chooses the version, so that bytecode can be compiled on the machine that builds.",
        )
        for rule, reason in _CHECKOV_SUPPRESSIONS.items():
            suppress_checkov(self.function, rule, reason)
        if not foundation.config.tracing:
            suppress_nag(self.function, "Serverless::Serverless-LambdaTracing", reason=_NO_TRACING)
            suppress_checkov(self.function, "CKV_AWS_50", _NO_TRACING)

    def add_settings(self, values: Mapping[str, Any]) -> None:
        """Add settings that refer to other functions."""
        for name, value in settings.environment(values).items():
            self.function.add_environment(name, value)

    def _function(
        self, foundation: Foundation, log_group: logs.ILogGroup, spec: FunctionSpec
    ) -> lambda_.Function:
        config = foundation.config
        return lambda_.Function(
            self,
            "Function",
            description=self.stage.description,
            code=lambda_.Code.from_asset(str(spec.code or foundation.artifact.directory)),
            handler=f"gluebrake.handlers.{self.stage.name}.handler",
            runtime=lambda_.Runtime(f"python{config.python}", lambda_.RuntimeFamily.PYTHON),
            architecture=lambda_.Architecture.custom(config.architecture),
            memory_size=config.memory_mb,
            timeout=spec.timeout,
            environment=settings.environment({**self._shared_settings(foundation), **spec.environment}),
            role=self.role,
            log_group=log_group,
            dead_letter_queue=foundation.queues.dead_letter_queue,
            # Active tracing also adds X-Ray's permissions to the role.
            tracing=lambda_.Tracing.ACTIVE if config.tracing else lambda_.Tracing.DISABLED,
            # A retry is a message to the function's own queue, which Lambda's loop detection would drop. The
            # attempt counter ends the loop.
            recursive_loop=lambda_.RecursiveLoop.ALLOW,
        )

    def _shared_settings(self, foundation: Foundation) -> dict[str, Any]:
        """Return the settings that every function reads. `set_trusted_senders` adds the sender ids later."""
        config, queues = foundation.config, foundation.queues
        return {
            "event_bus_name": foundation.bus.event_bus_name if config.outcome_events else "",
            "dead_letter_queue_url": queues.dead_letter_queue.queue_url,
            "job_arn_prefix": job_arn(cdk.Stack.of(self), ""),
            "max_runs_per_request": config.max_runs_per_request,
            "calls_at_once": config.calls_at_once,
            "price_per_dpu_hour": config.price_per_dpu_hour,
            "notice_topic_arn": foundation.notice_topic.topic_arn if config.notify_on else "",
            "notify_on": config.notify_on,
            "detailed_metrics": config.dashboard,
        }

    def _role(self, foundation: Foundation, log_group: logs.ILogGroup, spec: FunctionSpec) -> iam.Role:
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        consume = iam.PolicyStatement(
            sid="ConsumeMessages",
            actions=["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
            resources=[foundation.queues.work_queues[self.stage.queue].queue_arn],
        )
        log = iam.PolicyStatement(
            sid="Log",
            actions=["logs:CreateLogStream", "logs:PutLogEvents"],
            resources=[log_group.log_group_arn],
        )
        for statement in (*spec.statements, *_publish(foundation, spec), consume, log):
            role.add_to_policy(statement)
        if foundation.config.tracing:
            suppress_nag(role, EVERY_RESOURCE, reason="X-Ray's actions support no resource-level permissions.")
        suppress_nag(
            role,
            *_wildcard_findings(self, foundation.config),
            reason="These are the configured patterns of jobs to allow.",
        )
        return role

    def _add_event_source_mapping(self, foundation: Foundation) -> None:
        batching = batchings(foundation.config)[self.stage.queue]
        mapping = lambda_.EventSourceMapping(
            self,
            "Mapping",
            target=self.function,
            event_source_arn=foundation.queues.work_queues[self.stage.queue].queue_arn,
            batch_size=batching.size,
            max_batching_window=cdk.Duration.seconds(batching.window_seconds),
            max_concurrency=batching.max_concurrency,
            report_batch_item_failures=True,
        )
        suppress_nag(
            mapping,
            "Serverless::Serverless-LambdaEventSourceMappingDestination",
            reason="Lambda offers no failure destination for an SQS queue, which has a redrive policy instead.",
        )


def set_trusted_senders(functions: Sequence[QueueFunction], config: Config) -> None:
    """Set the sender ids of all functions in each function's environment, so that they trust each other."""
    for function in functions:
        function.add_settings({"trusted_sender_ids": sender_ids(functions, config)})


def sender_ids(functions: Sequence[QueueFunction], config: Config) -> list[str]:
    """Return the sender ids that SQS reports for the functions' messages: the ids of their roles."""
    role_ids = [cast("iam.CfnRole", function.role.node.default_child).attr_role_id for function in functions]
    # The emulator reports the account id as the sender of every message.
    return [cdk.Aws.ACCOUNT_ID] if config.target == "local" else role_ids


def _publish(foundation: Foundation, spec: FunctionSpec) -> Iterator[iam.PolicyStatement]:
    """Allow a function to publish the events and notices that the configuration enables."""
    if foundation.config.outcome_events:
        yield allow_publish(foundation.bus, spec.publishes)
    if foundation.config.notify_on:
        yield allow_notices(foundation.notice_topic)


def _wildcard_findings(scope: Construct, config: Config) -> list[str]:
    patterns = [iam_pattern(job).replace("${", "<").replace("}", ">") for job in config.jobs if "*" in job]
    return [wildcard_finding(scope, "glue", f"job/{pattern}") for pattern in patterns]
