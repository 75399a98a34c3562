"""The rule that forwards outcome events and report events to a central bus."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.queues import Queues
from infra.statements import REPORTS


class Forwarding(Construct):
    """A rule from the stack's bus to `central_bus_arn`, which can be in another account and Region.

    An event that cannot be delivered within a day becomes a dead letter. The rule has no other target, and the
    central bus gets no permission in this account.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        bus: events.IEventBus,
        central_bus_arn: str,
        queues: Queues,
    ) -> None:
        super().__init__(scope, construct_id)
        stack = cdk.Stack.of(self)
        self.rule = events.CfnRule(
            self,
            "Reports",
            description="Forwards what Gluebrake did and found in this account and Region to a central bus",
            event_bus_name=bus.event_bus_name,
            # Only this stack's own events: another account or Region can also send events to the bus.
            event_pattern={**REPORTS, "account": [stack.account], "region": [stack.region]},
            targets=[
                events.CfnRule.TargetProperty(
                    id="CentralBus",
                    arn=central_bus_arn,
                    role_arn=self._role(central_bus_arn).role_arn,
                    dead_letter_config=queues.dead_letters(),
                )
            ],
        )
        queues.allow_rule(self.rule, to_stop=False)

    def _role(self, central_bus_arn: str) -> iam.Role:
        # A bus policy that names an organisation accepts only a rule with a role:
        # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-cross-account.html
        # The condition has the account, not the rule's ARN: the rule refers to the role, so the role cannot
        # refer to the rule.
        account = {"aws:SourceAccount": cdk.Stack.of(self).account}
        principal = iam.ServicePrincipal("events.amazonaws.com", conditions={"StringEquals": account})
        role = iam.Role(self, "Role", assumed_by=principal)
        role.add_to_policy(
            iam.PolicyStatement(sid="ForwardReports", actions=["events:PutEvents"], resources=[central_bus_arn])
        )
        return role
