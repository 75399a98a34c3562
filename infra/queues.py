"""The SQS queues: a work queue for each stage, and the dead-letter queue."""

from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from gluebrake.stages import STAGES, Queue
from infra.batching import batchings
from infra.config import Config
from infra.suppressions import suppress_checkov, suppress_nag

_MAX_RECEIVE_COUNT: Final = 5
_WORK_RETENTION: Final = cdk.Duration.days(4)
_DEAD_LETTER_RETENTION: Final = cdk.Duration.days(14)

# SWEEP runs for up to 15 minutes, and drops a signal after six hours: `gluebrake.decisions.due_policies`.
_SWEEP_VISIBILITY: Final = cdk.Duration.minutes(16)
_SWEEP_RETENTION: Final = cdk.Duration.hours(6)


class Queues(Construct):
    """A work queue for each stage, and one dead-letter queue for all failures.

    The optional stage SWEEP has a queue if there are policies.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, config: Config, function_timeout: cdk.Duration
    ) -> None:
        super().__init__(scope, construct_id)
        self.dead_letter_queue = self._dead_letter_queue()
        # AWS recommends six times the function's timeout plus the batch window:
        # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
        self.visibility_timeouts = {
            queue: cdk.Duration.seconds(6 * function_timeout.to_seconds() + batching.window_seconds)
            for queue, batching in batchings(config).items()
        } | {Queue.SWEEP: _SWEEP_VISIBILITY}
        self.work_queues = {
            stage.queue: self._work_queue(f"{stage.title}Queue", self.visibility_timeouts[stage.queue])
            for stage in STAGES.values()
            if not stage.is_optional
        }
        if config.policies:
            self.work_queues[Queue.SWEEP] = self._sweep_queue()
        self.stop_queue = self.work_queues[Queue.STOP]
        self.confirm_queue = self.work_queues[Queue.CONFIRM]
        for queue in (self.dead_letter_queue, *self.work_queues.values()):
            suppress_checkov(
                queue,
                "CKV_AWS_27",
                "SQS encrypts the queue with its own key (SSE-SQS). The rule accepts only KMS.",
            )

    def rule_target(self) -> events.CfnRule.TargetProperty:
        """Return a rule's target: the stop queue, with the dead-letter queue for failed deliveries."""
        return events.CfnRule.TargetProperty(
            id="StopQueue",
            arn=self.stop_queue.queue_arn,
            dead_letter_config=self.dead_letters(),
        )

    def dead_letters(self) -> events.CfnRule.DeadLetterConfigProperty:
        """Return the dead-letter configuration of a rule's target."""
        return events.CfnRule.DeadLetterConfigProperty(arn=self.dead_letter_queue.queue_arn)

    def allow_rule(self, rule: events.CfnRule, *, to_stop: bool = True) -> None:
        """Allow a rule to send dead letters and, unless it has another target, to send to the stop queue."""
        # The CDK's own SqsQueue target would also allow EventBridge to read the queue's attributes.
        for queue in (*([self.stop_queue] if to_stop else []), self.dead_letter_queue):
            queue.add_to_resource_policy(
                iam.PolicyStatement(
                    sid=f"Allow{rule.node.id}",
                    principals=[iam.ServicePrincipal("events.amazonaws.com")],
                    actions=["sqs:SendMessage"],
                    resources=[queue.queue_arn],
                    conditions={"ArnEquals": {"aws:SourceArn": rule.attr_arn}},
                )
            )

    def _dead_letter_queue(self) -> sqs.Queue:
        # No redriveAllowPolicy: it would refer to the work queues, which refer to this queue. CloudFormation
        # rejects such a circle. So any queue of the account can name this queue in its redrive policy.
        queue = sqs.Queue(
            self,
            "DeadLetterQueue",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=_DEAD_LETTER_RETENTION,
            removal_policy=cdk.RemovalPolicy.RETAIN,
        )
        suppress_nag(
            queue,
            "Serverless::Serverless-SQSRedrivePolicy",
            reason="This is the dead-letter queue of the other queues.",
        )
        return queue

    def _work_queue(self, construct_id: str, visibility_timeout: cdk.Duration) -> sqs.Queue:
        return sqs.Queue(
            self,
            construct_id,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=_WORK_RETENTION,
            visibility_timeout=visibility_timeout,
            dead_letter_queue=sqs.DeadLetterQueue(
                queue=self.dead_letter_queue, max_receive_count=_MAX_RECEIVE_COUNT
            ),
        )

    def _sweep_queue(self) -> sqs.Queue:
        queue = sqs.Queue(
            self,
            "SweepQueue",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=_SWEEP_RETENTION,
            visibility_timeout=self.visibility_timeouts[Queue.SWEEP],
        )
        suppress_nag(
            queue,
            "AwsSolutions::AwsSolutions-SQS3",
            "Serverless::Serverless-SQSRedrivePolicy",
            reason="A sweep is worth nothing after its due time, and its dead letter could not be redriven.",
        )
        return queue
