"""Signals: the events and alarm actions that stop runs without a stop request."""

from __future__ import annotations

import re
from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra.config import Config
from infra.queues import Queues
from infra.topics import alarm_arn, alarm_topic


class Signals(Construct):
    """The configured EventBridge rules, and the two actions for an alarm of this account and Region.

    An alarm can notify a topic, which sends to the stop queue, or invoke the STOP function.
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
            self._add_alarm_rule(config.stop_on_alarms, queues)
        self.topic = alarm_topic(self, "Topic")
        self.topic.add_subscription(
            subscriptions.SqsSubscription(queues.stop_queue, dead_letter_queue=queues.dead_letter_queue)
        )
        stop_function.add_permission(
            "Alarms",
            principal=iam.ServicePrincipal("lambda.alarms.cloudwatch.amazonaws.com"),
            source_account=self._stack.account,
            source_arn=alarm_arn(self._stack, "*"),
        )

    def _add_run_status_rule(self, patterns: Sequence[str], queues: Queues) -> None:
        rule = events.CfnRule(
            self,
            "RunStatus",
            description="Stops AWS Glue job runs that exceed their NotifyDelayAfter",
            event_pattern={
                "source": ["aws.glue"],
                "detail-type": ["Glue Job Run Status"],
                **self._same_account_and_region(),
                # Glue also sends STOPPING, for a run that needs no stop.
                "detail": {
                    "state": ["STARTING", "RUNNING"],
                    "jobName": [event_filter(pattern) for pattern in patterns],
                },
            },
            targets=[queues.rule_target()],
        )
        queues.allow_rule(rule)
        self.rules.append(rule)

    def _add_alarm_rule(self, prefixes: Sequence[str], queues: Queues) -> None:
        stack_alarms = alarm_arn(self._stack, f"{self._stack.stack_name}-")
        rule = events.CfnRule(
            self,
            "AlarmState",
            description="Stops the AWS Glue job runs that a CloudWatch alarm names",
            event_pattern={
                "source": ["aws.cloudwatch"],
                "detail-type": ["CloudWatch Alarm State Change"],
                **self._same_account_and_region(),
                # This stack's alarms name no job: each would become a dead letter, which fires the next alarm.
                "resources": [{"anything-but": {"prefix": stack_alarms}}],
                "detail": {
                    "state": {"value": ["ALARM"]},
                    "alarmName": [{"prefix": prefix} for prefix in prefixes],
                },
            },
            targets=[queues.rule_target()],
        )
        queues.allow_rule(rule)
        self.rules.append(rule)

    def _same_account_and_region(self) -> dict[str, list[str]]:
        # A bus can receive events of other accounts and Regions, whose runs STOP cannot stop.
        return {"account": [self._stack.account], "region": [self._stack.region]}


def event_filter(pattern: str) -> str | dict[str, str]:
    """Convert a job name pattern to an EventBridge filter, with `wildcard` only where no other filter fits.

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
