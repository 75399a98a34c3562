"""The event bus for stop requests, and its rule."""

from aws_cdk import aws_events as events
from constructs import Construct

from gluebrake import contract
from infra.names import BUS
from infra.queues import Queues


class RequestBus(Construct):
    """An event bus whose rule sends stop requests to the stop queue.

    A failed delivery becomes a dead letter. The functions publish outcome events on the same bus.
    """

    def __init__(self, scope: Construct, construct_id: str, *, queues: Queues) -> None:
        super().__init__(scope, construct_id)
        self.bus = events.EventBus(
            self,
            "Bus",
            event_bus_name=BUS,
            description="Carries requests to stop AWS Glue job runs, and their outcomes",
        )
        self.rule = events.CfnRule(
            self,
            "StopRequests",
            description="Sends stop requests to Gluebrake's stop queue",
            event_bus_name=self.bus.event_bus_name,
            event_pattern={"detail-type": [contract.STOP_REQUESTED]},
            targets=[queues.rule_target()],
        )
        queues.allow_rule(self.rule)
