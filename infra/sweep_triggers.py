"""The triggers of sweeps: the schedules of the guardrail policies, and their topics for signals."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from gluebrake.policies import Policy
from infra.statements import allow_send
from infra.suppressions import suppress_checkov, suppress_nag

# SWEEP drops a schedule's message that arrives later than this: `gluebrake.decisions.due_policies`.
_RETRY_SECONDS: Final = 900

# https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
_SCHEDULED_TIME: Final = "<aws.scheduler.scheduled-time>"


class Schedule(NamedTuple):
    """A schedule expression and the time zone in which it is evaluated."""

    expression: str
    time_zone: str

    @property
    def construct_id(self) -> str:
        """An id made of the content, so that no schedule is replaced when a policy is added."""
        return f"Schedule{hashlib.sha256(' '.join(self).encode()).hexdigest()[:8]}"


class SignalService(NamedTuple):
    """A service that can publish to a signal topic, and the account's resources for which it publishes."""

    principal: str
    service: str
    resource: str

    def source_arn(self, stack: cdk.Stack) -> str:
        """Return the pattern of the ARNs of these resources, which have no Region."""
        return f"arn:{stack.partition}:{self.service}::{stack.account}:{self.resource}"


_SERVICES: Final[Mapping[str, SignalService]] = {
    # https://docs.aws.amazon.com/cost-management/latest/userguide/budgets-sns-policy.html
    "budgets": SignalService("budgets.amazonaws.com", "budgets", "*"),
    # https://docs.aws.amazon.com/cost-management/latest/userguide/ad-SNS.html
    "costalerts": SignalService("costalerts.amazonaws.com", "ce", "anomalysubscription/*"),
}
"""The services by their names in `onSignal`."""


class SweepTriggers(Construct):
    """A schedule for each expression and time zone, and a topic for each policy with `onSignal`.

    Schedules and topics send to the sweep queue. `topics` has the topics by policy name. `group` is the group
    of the schedules, if there are schedules.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, policies: Sequence[Policy], queue: sqs.Queue
    ) -> None:
        super().__init__(scope, construct_id)
        self._queue = queue
        schedules = _schedules(policies)
        self.group = self._add_schedules(schedules) if schedules else None
        self.topics = {policy.name: self._topic(policy) for policy in policies if policy.on_signal}
        if self.topics:
            self._allow_topics()

    def _add_schedules(self, schedules: Mapping[Schedule, Sequence[str]]) -> scheduler.CfnScheduleGroup:
        group = scheduler.CfnScheduleGroup(self, "Group")
        role = self._role(group)
        for schedule, names in schedules.items():
            resource = scheduler.CfnSchedule(
                self,
                schedule.construct_id,
                description="Starts sweeps by Gluebrake's guardrail policies",
                group_name=group.ref,
                schedule_expression=schedule.expression,
                schedule_expression_timezone=schedule.time_zone,
                flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
                # Drift detection compares only properties that the template sets.
                state="ENABLED",
                target=self._target(names, role),
            )
            resource.node.add_dependency(role)
        return group

    def _target(self, names: Sequence[str], role: iam.IRole) -> scheduler.CfnSchedule.TargetProperty:
        return scheduler.CfnSchedule.TargetProperty(
            arn=self._queue.queue_arn,
            role_arn=role.role_arn,
            # The fields are those of `gluebrake.sweep_contract.SweepRequest`.
            input=json.dumps({"Policies": names, "Due": _SCHEDULED_TIME}),
            # No dead-letter queue: a late sweep is useless. The alarm SweepRequestsLost counts lost messages.
            retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(maximum_event_age_in_seconds=_RETRY_SECONDS),
        )

    def _role(self, group: scheduler.CfnScheduleGroup) -> iam.Role:
        # https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html
        source = {"aws:SourceAccount": cdk.Stack.of(self).account, "aws:SourceArn": group.attr_arn}
        principal = iam.ServicePrincipal("scheduler.amazonaws.com", conditions={"StringEquals": source})
        role = iam.Role(self, "Role", assumed_by=principal)
        role.add_to_policy(allow_send("SendToSweepQueue", self._queue))
        return role

    def _topic(self, policy: Policy) -> sns.Topic:
        topic = sns.Topic(self, f"Topic-{policy.name}", enforce_ssl=True)
        suppress_checkov(
            topic,
            "CKV_AWS_26",
            "AWS Budgets cannot publish with the AWS managed key of SNS. A customer managed key has a price.",
        )
        for statement in _publishers(topic, policy.on_signal):
            topic.add_to_resource_policy(statement)
        subscription = sns.Subscription(
            topic,
            "Subscription",
            topic=topic,
            protocol=sns.SubscriptionProtocol.SQS,
            endpoint=self._queue.queue_arn,
        )
        suppress_nag(
            subscription,
            "Serverless::Serverless-SNSRedrivePolicy",
            reason="STOP would read a dead letter that is redriven, but nothing may read what a signal says.",
        )
        return topic

    def _allow_topics(self) -> None:
        # One statement, because the policy of a queue can have 20 statements and 10 conditions:
        # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-policies.html
        arns = [topic.topic_arn for topic in self.topics.values()]
        self._queue.add_to_resource_policy(
            iam.PolicyStatement(
                sid="AllowSignalTopics",
                principals=[iam.ServicePrincipal("sns.amazonaws.com")],
                actions=["sqs:SendMessage"],
                resources=[self._queue.queue_arn],
                conditions={"ArnEquals": {"aws:SourceArn": arns}},
            )
        )


def _schedules(policies: Sequence[Policy]) -> dict[Schedule, list[str]]:
    """Return the names of the policies by the schedule that makes them due."""
    schedules: dict[Schedule, list[str]] = {}
    for policy in policies:
        if policy.schedule:
            schedules.setdefault(Schedule(policy.schedule, policy.time_zone), []).append(policy.name)
    return schedules


def _publishers(topic: sns.ITopic, on_signal: Sequence[str]) -> list[iam.PolicyStatement]:
    """Allow the services and the roles to publish to the topic, and deny it to every other principal."""
    stack = cdk.Stack.of(topic)
    services = {name: _SERVICES[name] for name in on_signal if name in _SERVICES}
    roles = [arn for arn in on_signal if arn not in _SERVICES]
    statements = [
        iam.PolicyStatement(
            sid=f"Allow{name.capitalize()}",
            principals=[iam.ServicePrincipal(service.principal)],
            actions=["sns:Publish"],
            resources=[topic.topic_arn],
            conditions={
                "StringEquals": {"aws:SourceAccount": stack.account},
                "ArnLike": {"aws:SourceArn": service.source_arn(stack)},
            },
        )
        for name, service in services.items()
    ]
    if roles:
        principals = [iam.ArnPrincipal(arn) for arn in dict.fromkeys(roles)]
        statements.append(
            iam.PolicyStatement(
                sid="AllowRoles", principals=principals, actions=["sns:Publish"], resources=[topic.topic_arn]
            )
        )
    return [*statements, _deny_others(topic, roles)]


def _deny_others(topic: sns.ITopic, roles: Sequence[str]) -> iam.PolicyStatement:
    """Deny publishing to all other principals of this account, for whom an IAM policy would suffice.

    Services need no denial: a service has no IAM policy, so only the topic's policy can allow a service. For a
    role's session, the condition key has the ARN of the role:
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
    The conditions are those of AWS's example:
    https://github.com/aws-samples/data-perimeter-policy-examples/blob/main/resource_based_policies/sns_topic_policy.json
    """
    return iam.PolicyStatement(
        sid="DenyOtherPrincipals",
        effect=iam.Effect.DENY,
        principals=[iam.AnyPrincipal()],
        actions=["sns:Publish"],
        resources=[topic.topic_arn],
        conditions={
            "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
            **({"ArnNotEquals": {"aws:PrincipalArn": [*roles]}} if roles else {}),
        },
    )
