"""The queues: work to do, and what could not be done."""

from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.suppressions import acknowledge, skip

_CRASHES_BEFORE_DEAD: Final = 5
_WORK_KEPT: Final = cdk.Duration.days(4)
_DEAD_LETTERS_KEPT: Final = cdk.Duration.days(14)


class Messaging(Construct):
    """A work queue for each function, and the dead-letter queue for everything that fails."""

    def __init__(
        self, scope: Construct, construct_id: str, *, function_timeout: cdk.Duration, batch_window: cdk.Duration
    ) -> None:
        super().__init__(scope, construct_id)
        # No redriveAllowPolicy: it would name the work queues, which name this queue.
        self.dead_letter_queue = sqs.Queue(
            self,
            "DeadLetterQueue",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=_DEAD_LETTERS_KEPT,
            removal_policy=cdk.RemovalPolicy.RETAIN,
        )
        acknowledge(
            self.dead_letter_queue,
            "Serverless::Serverless-SQSRedrivePolicy",
            reason="It is where the others redrive to.",
        )
        # AWS's advice for a mapping: six times the function's timeout, and the window on top.
        self.visibility_timeout = cdk.Duration.seconds(
            6 * function_timeout.to_seconds() + batch_window.to_seconds()
        )
        self.stop_queue = self._work_queue("StopQueue")
        self.confirm_queue = self._work_queue("ConfirmQueue")
        for queue in (self.dead_letter_queue, self.stop_queue, self.confirm_queue):
            skip(queue, "CKV_AWS_27", "SQS encrypts it with its own key (SSE-SQS); the rule knows KMS alone.")

    def rule_target(self) -> events.CfnRule.TargetProperty:
        """Return the target that puts events on the stop queue or, failing that, on the dead-letter queue."""
        return events.CfnRule.TargetProperty(
            id="StopQueue",
            arn=self.stop_queue.queue_arn,
            dead_letter_config=events.CfnRule.DeadLetterConfigProperty(arn=self.dead_letter_queue.queue_arn),
        )

    def allow_rule(self, rule: events.CfnRule) -> None:
        """Let a rule send to where its target leads."""
        # Not through the CDK's own target: it would grant the service reading the queue's attributes as well.
        for queue in (self.stop_queue, self.dead_letter_queue):
            queue.add_to_resource_policy(
                iam.PolicyStatement(
                    sid=f"Allow{rule.node.id}",
                    principals=[iam.ServicePrincipal("events.amazonaws.com")],
                    actions=["sqs:SendMessage"],
                    resources=[queue.queue_arn],
                    conditions={"ArnEquals": {"aws:SourceArn": rule.attr_arn}},
                )
            )

    def _work_queue(self, construct_id: str) -> sqs.Queue:
        return sqs.Queue(
            self,
            construct_id,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=_WORK_KEPT,
            visibility_timeout=self.visibility_timeout,
            dead_letter_queue=sqs.DeadLetterQueue(
                queue=self.dead_letter_queue, max_receive_count=_CRASHES_BEFORE_DEAD
            ),
        )
