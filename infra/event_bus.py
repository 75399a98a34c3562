"""The way in for stop requests: a bus, its rule, and the permission to send."""

from collections.abc import Mapping
from typing import Final

from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from constructs import Construct

from gluebrake import contract
from infra.queues import Messaging


class Intake(Construct):
    """A bus of its own, whose stop requests reach the stop queue or, failing that, the dead-letter queue."""

    def __init__(self, scope: Construct, construct_id: str, *, messaging: Messaging) -> None:
        super().__init__(scope, construct_id)
        self.bus = events.EventBus(self, "Bus", description="Takes requests to stop AWS Glue job runs")
        self.rule = events.CfnRule(
            self,
            "StopRequests",
            description="Puts stop requests on Gluebrake's stop queue",
            event_bus_name=self.bus.event_bus_name,
            event_pattern={"detail-type": [contract.STOP_REQUESTED]},
            targets=[messaging.rule_target()],
        )
        messaging.allow_rule(self.rule)


# Whoever asks must not be able to tell, in our name, what became of it.
_CONDITIONS: Final = {"events:PutEvents": {"StringEquals": {"events:detail-type": contract.STOP_REQUESTED}}}


class ProducerPolicy(iam.ManagedPolicy):
    """Lets whoever it is attached to ask for stops, and nothing else."""

    def __init__(self, scope: Construct, construct_id: str, *, ways_in: Mapping[str, str]) -> None:
        super().__init__(
            scope,
            construct_id,
            description="Permits asking Gluebrake to stop AWS Glue job runs",
            statements=[
                iam.PolicyStatement(actions=[action], resources=[arn], conditions=_CONDITIONS.get(action))
                for action, arn in ways_in.items()
            ],
        )
