"""What stops runs without being a stop request: Glue's and CloudWatch's events, and alarms' own actions."""

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
from infra.queues import Messaging
from infra.topics import alarm_arn, topic_for_alarms


class Signals(Construct):
    """The rules that were asked for, and what any alarm of this account and Region may use as its action.

    That is a topic in front of the stop queue, and the STOP function itself.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        config: Config,
        messaging: Messaging,
        stop_function: lambda_.Function,
    ) -> None:
        super().__init__(scope, construct_id)
        self._stack = cdk.Stack.of(self)
        self.rules: list[events.CfnRule] = []
        if config.stop_on_run_status:
            self._on_run_status(config.stop_on_run_status, messaging)
        if config.stop_on_alarms:
            self._on_alarms(config.stop_on_alarms, messaging)
        self.topic = topic_for_alarms(self, "Topic")
        self.topic.add_subscription(
            subscriptions.SqsSubscription(messaging.stop_queue, dead_letter_queue=messaging.dead_letter_queue)
        )
        stop_function.add_permission(
            "Alarms",
            principal=iam.ServicePrincipal("lambda.alarms.cloudwatch.amazonaws.com"),
            source_account=self._stack.account,
            source_arn=alarm_arn(self._stack, "*"),
        )

    def _on_run_status(self, patterns: Sequence[str], messaging: Messaging) -> None:
        rule = events.CfnRule(
            self,
            "RunStatus",
            description="Has Gluebrake stop runs that take longer than their NotifyDelayAfter",
            event_pattern={
                "source": ["aws.glue"],
                "detail-type": ["Glue Job Run Status"],
                **self._home(),
                # The third state, STOPPING, leaves nothing to do.
                "detail": {
                    "state": ["STARTING", "RUNNING"],
                    "jobName": [event_filter(pattern) for pattern in patterns],
                },
            },
            targets=[messaging.rule_target()],
        )
        messaging.allow_rule(rule)
        self.rules.append(rule)

    def _on_alarms(self, prefixes: Sequence[str], messaging: Messaging) -> None:
        ours = alarm_arn(self._stack, f"{self._stack.stack_name}-")
        rule = events.CfnRule(
            self,
            "AlarmState",
            description="Has Gluebrake stop the runs that an alarm names",
            event_pattern={
                "source": ["aws.cloudwatch"],
                "detail-type": ["CloudWatch Alarm State Change"],
                **self._home(),
                # Our own alarms name no job: each would come back as a dead letter, which sets off the next.
                "resources": [{"anything-but": {"prefix": ours}}],
                "detail": {
                    "state": {"value": ["ALARM"]},
                    "alarmName": [{"prefix": prefix} for prefix in prefixes],
                },
            },
            targets=[messaging.rule_target()],
        )
        messaging.allow_rule(rule)
        self.rules.append(rule)

    def _home(self) -> dict[str, list[str]]:
        # A bus may be sent other accounts' and Regions' events, whose runs we could not stop.
        return {"account": [self._stack.account], "region": [self._stack.region]}


def event_filter(pattern: str) -> str | dict[str, str]:
    """Write one of our patterns for EventBridge, with its `wildcard` only where no other filter will do.

    A bus takes 30 rules with wildcards, and none whose wildcards leave too much open:
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
