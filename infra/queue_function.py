"""The functions: each with a queue to work off and a role, a log group and a mapping of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from gluebrake import contract, settings
from infra.artifact import GLUE_OPERATIONS, Artifact
from infra.config import Config
from infra.queues import Messaging
from infra.suppressions import acknowledge, skip

TIMEOUT: Final = cdk.Duration.seconds(30)

_SKIPPED: Final = {
    "CKV_AWS_115": "The mapping bounds the queue's share; a reservation would turn alarms away.",
    "CKV_AWS_117": "It calls nothing but AWS's own APIs, and nothing calls it by the network.",
    "CKV_AWS_173": "Lambda encrypts the environment, which holds names and numbers, no secret.",
}


@dataclass(frozen=True, kw_only=True)
class FunctionSpec:
    """What sets one function apart. Working its queue off, logging and tracing go without saying."""

    module: str
    description: str
    queue: sqs.IQueue
    dead_letter_queue: sqs.IQueue
    environment: Mapping[str, Any]
    permissions: Sequence[iam.PolicyStatement]


def stop_function(
    stack: cdk.Stack, *, config: Config, messaging: Messaging, bus: events.IEventBus
) -> FunctionSpec:
    """Return what it takes to stop the runs that the stop queue's messages ask for."""
    return FunctionSpec(
        module="gluebrake.handlers.stop",
        description="Stops AWS Glue job runs in batches",
        queue=messaging.stop_queue,
        dead_letter_queue=messaging.dead_letter_queue,
        environment=_environment(stack, config, messaging, bus),
        permissions=[
            *_stop_permissions(stack, config),
            _may_send("SendToStopQueue", messaging.stop_queue),
            _may_send("SendToConfirmQueue", messaging.confirm_queue),
            *_may_publish(bus, config),
        ],
    )


def confirm_function(
    stack: cdk.Stack, *, config: Config, messaging: Messaging, bus: events.IEventBus
) -> FunctionSpec:
    """Return what it takes to look at the runs that were submitted for stopping."""
    look = iam.PolicyStatement(
        sid="ReadJobRuns",
        actions=["glue:GetJobRun", "glue:GetJobRuns"],
        resources=[_job_arn(stack, iam_pattern(job)) for job in config.jobs],
    )
    return FunctionSpec(
        module="gluebrake.handlers.confirm",
        description="Follows each AWS Glue job run that is being stopped until it has stopped",
        queue=messaging.confirm_queue,
        dead_letter_queue=messaging.dead_letter_queue,
        environment=_environment(stack, config, messaging, bus),
        permissions=[
            look,
            _may_send("SendToConfirmQueue", messaging.confirm_queue),
            *_may_publish(bus, config),
        ],
    )


def _environment(
    stack: cdk.Stack, config: Config, messaging: Messaging, bus: events.IEventBus
) -> dict[str, Any]:
    return {
        "event_bus_name": bus.event_bus_name if config.outcome_events else "",
        "stop_queue_url": messaging.stop_queue.queue_url,
        "confirm_queue_url": messaging.confirm_queue.queue_url,
        "dead_letter_queue_url": messaging.dead_letter_queue.queue_url,
        "job_arn_prefix": _job_arn(stack, ""),
        "jobs": config.jobs,
        "protected_jobs": config.protected_jobs,
        "protect_tag": config.protect_tag,
        "max_runs_per_request": config.max_runs_per_request,
        "calls_at_once": config.calls_at_once,
        "max_attempts": config.max_attempts,
        "retry_seconds": config.retry_seconds,
        "confirm_seconds": config.confirm_seconds,
        "confirm_deadline_seconds": config.confirm_deadline_seconds,
    }


def _may_send(sid: str, queue: sqs.IQueue) -> iam.PolicyStatement:
    """Permit sending to a work queue; to the dead-letter queue each function may by its own use of it."""
    return iam.PolicyStatement(sid=sid, actions=["sqs:SendMessage"], resources=[queue.queue_arn])


def _may_publish(bus: events.IEventBus, config: Config) -> Iterator[iam.PolicyStatement]:
    if config.outcome_events:
        yield iam.PolicyStatement(
            sid="PublishOutcomes",
            actions=["events:PutEvents"],
            resources=[bus.event_bus_arn],
            conditions={
                "StringEquals": {
                    "events:source": contract.OUTCOME_SOURCE,
                    "events:detail-type": contract.STOP_OUTCOME,
                }
            },
        )


def _stop_permissions(stack: cdk.Stack, config: Config) -> Iterator[iam.PolicyStatement]:
    yield iam.PolicyStatement(
        sid="StopRuns",
        actions=[f"glue:{operation}" for operation in GLUE_OPERATIONS],
        resources=[_job_arn(stack, iam_pattern(job)) for job in config.jobs],
    )
    # Only stopping is denied: the function reads the tag to say why it was.
    yield iam.PolicyStatement(
        sid="ProtectByTag",
        effect=iam.Effect.DENY,
        actions=["glue:BatchStopJobRun"],
        resources=[_job_arn(stack, "*")],
        conditions={"Null": {f"aws:ResourceTag/{config.protect_tag}": "false"}},
    )
    if config.protected_jobs:
        yield iam.PolicyStatement(
            sid="ProtectByName",
            effect=iam.Effect.DENY,
            actions=["glue:BatchStopJobRun"],
            resources=[_job_arn(stack, iam_pattern(job)) for job in config.protected_jobs],
        )


def set_trusted_senders(functions: Sequence[lambda_.Function], config: Config) -> None:
    """Tell each function by which senders it knows the messages of both."""
    senders = [
        cast("iam.CfnRole", function.role.node.default_child).attr_role_id
        for function in functions
        if function.role
    ]
    # The emulator knows every sender by the account's number.
    known = [cdk.Aws.ACCOUNT_ID] if config.target == "local" else senders
    for function in functions:
        for name, value in settings.environment({"trusted_sender_ids": known}).items():
            function.add_environment(name, value)


def iam_pattern(pattern: str) -> str:
    """Write one of our patterns for IAM, to which `?` and `$` are special as well."""
    return pattern.translate({ord("?"): "${?}", ord("$"): "${$}"})


def _job_arn(stack: cdk.Stack, job: str) -> str:
    return stack.format_arn(service="glue", resource="job", resource_name=job)


class QueueFunction(Construct):
    """A Lambda function that works a queue off."""

    def __init__(
        self, scope: Construct, construct_id: str, *, spec: FunctionSpec, config: Config, artifact: Artifact
    ) -> None:
        super().__init__(scope, construct_id)
        self.function = self._function(spec, config, artifact)
        self._map(spec.queue, config)
        acknowledge(
            self.function,
            "AwsSolutions::AwsSolutions-L1",
            "Serverless::Serverless-LambdaLatestVersion",
            reason="The user chooses the version: one that the building machine has, for bytecode to ship.",
        )
        for rule, reason in _SKIPPED.items():
            skip(self.function, rule, reason)

    def _function(self, spec: FunctionSpec, config: Config, artifact: Artifact) -> lambda_.Function:
        log_group = self._log_group(config)
        return lambda_.Function(
            self,
            "Function",
            description=spec.description,
            code=lambda_.Code.from_asset(str(artifact.directory)),
            handler=f"{spec.module}.handler",
            runtime=lambda_.Runtime(f"python{config.python}", lambda_.RuntimeFamily.PYTHON),
            architecture=lambda_.Architecture.custom(config.architecture),
            memory_size=config.memory_mb,
            timeout=TIMEOUT,
            environment=settings.environment(spec.environment),
            role=self._role(spec, log_group, config),
            log_group=log_group,
            dead_letter_queue=spec.dead_letter_queue,
            tracing=lambda_.Tracing.ACTIVE,
            # A retry is a message that we send ourselves; it is our own counters that bound it.
            recursive_loop=lambda_.RecursiveLoop.ALLOW,
        )

    def _log_group(self, config: Config) -> logs.LogGroup:
        group = logs.LogGroup(
            self, "Logs", retention=logs.RetentionDays.INFINITE, removal_policy=cdk.RemovalPolicy.DESTROY
        )
        # The CDK's enum has names for the numbers; the resource takes the number.
        cast("logs.CfnLogGroup", group.node.default_child).retention_in_days = config.log_retention_days
        skip(group, "CKV_AWS_158", "CloudWatch Logs encrypts it; the rule knows KMS alone.")
        return group

    def _role(self, spec: FunctionSpec, log_group: logs.ILogGroup, config: Config) -> iam.Role:
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        work_off = iam.PolicyStatement(
            sid="ConsumeMessages",
            actions=["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
            resources=[spec.queue.queue_arn],
        )
        log = iam.PolicyStatement(
            sid="Log",
            actions=["logs:CreateLogStream", "logs:PutLogEvents"],
            resources=[log_group.log_group_arn],
        )
        for statement in (*spec.permissions, work_off, log):
            role.add_to_policy(statement)
        acknowledge(
            role, "AwsSolutions::AwsSolutions-IAM5[Resource::*]", reason="X-Ray has no resource to name."
        )
        acknowledge(
            role, *_wildcards(config), reason="The user's own patterns of the jobs that may be stopped."
        )
        return role

    def _map(self, queue: sqs.IQueue, config: Config) -> None:
        mapping = lambda_.EventSourceMapping(
            self,
            "Mapping",
            target=self.function,
            event_source_arn=queue.queue_arn,
            batch_size=config.batch_size,
            max_batching_window=cdk.Duration.seconds(config.batch_window_seconds),
            max_concurrency=config.max_concurrency,
            report_batch_item_failures=True,
        )
        acknowledge(
            mapping,
            "Serverless::Serverless-LambdaEventSourceMappingDestination",
            reason="Lambda takes such a destination for streams only; a queue has its redrive policy.",
        )


def _wildcards(config: Config) -> list[str]:
    arn = "arn:<AWS::Partition>:glue:<AWS::Region>:<AWS::AccountId>:job/"
    patterns = [iam_pattern(job).replace("${", "<").replace("}", ">") for job in config.jobs if "*" in job]
    return [f"AwsSolutions::AwsSolutions-IAM5[Resource::{arn}{pattern}]" for pattern in patterns]
