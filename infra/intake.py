"""The way in for events: a bus, and the rule that puts stop requests on the stop queue."""

from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from gluebrake import model
from infra.messaging import Messaging


class Intake(Construct):
    """A bus of its own, whose stop requests reach the stop queue or, failing that, the dead-letter queue."""

    def __init__(self, scope: Construct, construct_id: str, *, messaging: Messaging) -> None:
        super().__init__(scope, construct_id)
        self.bus = events.EventBus(self, "Bus", description="Takes requests to stop AWS Glue job runs")
        rule = self._rule(messaging)
        for queue in (messaging.stop_queue, messaging.dead_letter_queue):
            _let_in(queue, rule)

    def _rule(self, messaging: Messaging) -> events.CfnRule:
        target = events.CfnRule.TargetProperty(
            id="StopQueue",
            arn=messaging.stop_queue.queue_arn,
            dead_letter_config=events.CfnRule.DeadLetterConfigProperty(
                arn=messaging.dead_letter_queue.queue_arn
            ),
        )
        return events.CfnRule(
            self,
            "StopRequests",
            description="Puts stop requests on Gluebrake's stop queue",
            event_bus_name=self.bus.event_bus_name,
            event_pattern={"detail-type": [model.STOP_REQUESTED]},
            targets=[target],
        )


def _let_in(queue: sqs.Queue, rule: events.CfnRule) -> None:
    # Not through the CDK's own target: it would grant the service reading the queue's attributes as well.
    queue.add_to_resource_policy(
        iam.PolicyStatement(
            sid=f"LetIn{rule.node.id}",
            principals=[iam.ServicePrincipal("events.amazonaws.com")],
            actions=["sqs:SendMessage"],
            resources=[queue.queue_arn],
            conditions={"ArnEquals": {"aws:SourceArn": rule.attr_arn}},
        )
    )
