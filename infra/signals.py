"""Signals: the events and alarm actions that stop runs without a stop request."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Final, cast

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra.config import Config
from infra.queues import Queues
from infra.topics import AlarmSource, alarm_arn, alarm_source, alarm_topic

_SUBSCRIPTION: Final = "MessagingStopQueueGluebrakeSignalsTopic6A51C4A3A0EC2346"
"""The logical id of the stop queue's subscription, in every environment."""


class Signals(Construct):
    """The configured EventBridge rules, and the two actions for an alarm.

    An alarm can notify a topic, which sends to the stop queue, or invoke the STOP function. `stop_on_alarms`
    and `alarm_accounts` limit the rules and both actions. Without a prefix, no alarm stops a run.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        config: Config,
        queues: Queues,
        stop_function: lambda_.Function,
    ) -> None:
        super().__init__(scope, construct_id)
        self._stack = cdk.Stack.of(self)
        self.rules: list[events.CfnRule] = []
        if config.stop_on_run_status:
            self._add_run_status_rule(config.stop_on_run_status, queues)
        if config.stop_on_alarms:
            self._add_alarm_rule(config, queues)
        sources = self._alarm_sources(config)
        self.topic = alarm_topic(self, "Topic", sources=sources)
        subscription = self.topic.add_subscription(
            subscriptions.SqsSubscription(queues.stop_queue, dead_letter_queue=queues.dead_letter_queue)
        )
        # By default, the logical id has the stack's id, so it would differ between environments.
        cast("sns.CfnSubscription", subscription.node.default_child).override_logical_id(_SUBSCRIPTION)
        _allow_invocations(stop_function, sources)

    def _alarm_sources(self, config: Config) -> list[AlarmSource]:
        return [
            alarm_source(self._stack, f"{prefix}*", account)
            for account in ("", *dict.fromkeys(config.alarm_accounts))
            for prefix in dict.fromkeys(config.stop_on_alarms)
        ]

    def _add_run_status_rule(self, patterns: Sequence[str], queues: Queues) -> None:
        rule = events.CfnRule(
            self,
            "RunStatus",
            description="Stops AWS Glue job runs that exceed their NotifyDelayAfter",
            event_pattern={
                "source": ["aws.glue"],
                "detail-type": ["Glue Job Run Status"],
                **self._places(),
                # Glue also sends such an event for a STOPPING run, which needs no stop.
                "detail": {
                    "state": ["STARTING", "RUNNING"],
                    "jobName": [event_filter(pattern) for pattern in patterns],
                },
            },
            targets=[queues.rule_target()],
        )
        queues.allow_rule(rule)
        self.rules.append(rule)

    def _add_alarm_rule(self, config: Config, queues: Queues) -> None:
        stack_alarms = alarm_arn(self._stack, f"{self._stack.stack_name}-")
        rule = events.CfnRule(
            self,
            "AlarmState",
            description="Stops the AWS Glue job runs that a CloudWatch alarm names",
            event_pattern={
                "source": ["aws.cloudwatch"],
                # An alarm on a query with GROUP BY sends an event for each contributor, such as a run:
                # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html
                "detail-type": [
                    "CloudWatch Alarm State Change",
                    "CloudWatch Alarm Contributor State Change",
                ],
                **self._places(config.alarm_accounts),
                # This stack's alarms name no job. Their events would become dead letters, and fire an alarm.
                "resources": [{"anything-but": {"prefix": stack_alarms}}],
                "detail": {
                    "state": {"value": ["ALARM"]},
                    "alarmName": [{"prefix": prefix} for prefix in config.stop_on_alarms],
                    # CloudWatch sends the events of muted alarms as well. `exists` works on leaves only.
                    "muteDetail": {"mutedByArn": [{"exists": False}]},
                },
            },
            targets=[queues.rule_target()],
        )
        queues.allow_rule(rule)
        self.rules.append(rule)

    def _places(self, other_accounts: Sequence[str] = ()) -> dict[str, list[str]]:
        # A bus can receive events of other accounts and Regions, whose runs STOP cannot stop. An alarm of a
        # monitoring account can watch a metric of this account.
        return {"account": [self._stack.account, *other_accounts], "region": [self._stack.region]}


def _allow_invocations(stop_function: lambda_.Function, sources: Sequence[AlarmSource]) -> None:
    for number, source in enumerate(sources):
        stop_function.add_permission(
            _permission_id(number, source),
            principal=iam.ServicePrincipal("lambda.alarms.cloudwatch.amazonaws.com"),
            source_account=source.account,
            source_arn=source.arn,
        )


def _permission_id(number: int, source: AlarmSource) -> str:
    # While CloudFormation replaces a permission, the function's policy has the old and the new one. With an id
    # made of its content, a permission that only moves in the list is not replaced.
    return f"Alarms{hashlib.sha256(source.label.encode()).hexdigest()[:8]}" if number else "Alarms"


def event_filter(pattern: str) -> str | dict[str, str]:
    """Convert a job name pattern to an EventBridge filter. Use `wildcard` only if no other filter fits.

    A bus allows 30 rules with wildcards, and rejects a rule whose wildcards are too complex:
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html
    """
    match re.split(r"\*+", pattern):
        case [name]:
            return name
        case [start, ""]:
            return {"prefix": start}
        case ["", end]:
            return {"suffix": end}
        case parts:
            return {"wildcard": "*".join(part.replace("\\", r"\\") for part in parts)}
