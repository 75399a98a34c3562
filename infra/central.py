"""The stack that collects the reports of other accounts: a bus, a rule, a log group and saved queries."""

from __future__ import annotations

from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra import central_queries, queries
from infra.log_group import create_log_group
from infra.names import CENTRAL_BUS
from infra.statements import REPORTS
from infra.suppressions import suppress_nag

_LOG_GROUP: Final = f"/aws/events/{CENTRAL_BUS}"


class GluebrakeCentral(cdk.Stack):
    """The central stack. It stores reports and cannot stop a run: it has no role, and no rule that forwards.

    `organization` is the AWS organisation whose accounts may report.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, organization: str, log_retention_days: int
    ) -> None:
        super().__init__(
            scope, construct_id, description="Gluebrake: collects the reports of an organisation's accounts"
        )
        self._bus = events.EventBus(
            self,
            "Bus",
            event_bus_name=CENTRAL_BUS,
            description="Collects what Gluebrake did and found in the accounts of the organisation",
        )
        self._allow_organization(organization)
        log_group = create_log_group(self, "Reports", retention_days=log_retention_days, name=_LOG_GROUP)
        rule = self._rule(log_group)
        self._allow_rule(rule, log_group)
        queries.save(self, central_queries.QUERIES, [log_group])
        cdk.CfnOutput(self, "CentralBusArn", value=self._bus.event_bus_arn)
        cdk.CfnOutput(self, "ReportLogGroupName", value=log_group.log_group_name)

    def _allow_organization(self, organization: str) -> None:
        # A rule of another account sends with its role, which is a principal of the organisation. The condition
        # keys of events have a value for each event of a call. PutEvents refuses an event without one:
        # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-bus-example-policy-cross-account-custom-bus-source.html
        self._bus.add_to_resource_policy(
            iam.PolicyStatement(
                sid="AllowReports",
                principals=[iam.AnyPrincipal()],
                actions=["events:PutEvents"],
                resources=[self._bus.event_bus_arn],
                conditions={
                    "StringEquals": {"aws:PrincipalOrgID": organization},
                    "ForAllValues:StringEquals": {f"events:{key}": values for key, values in REPORTS.items()},
                },
            )
        )

    def _rule(self, log_group: logs.ILogGroup) -> events.CfnRule:
        rule = events.CfnRule(
            self,
            "KeepReports",
            description="Keeps the outcome events and the report events of Gluebrake, and nothing else",
            event_bus_name=self._bus.event_bus_name,
            event_pattern=REPORTS,
            targets=[events.CfnRule.TargetProperty(id="Reports", arn=self._log_group_arn())],
        )
        rule.node.add_dependency(log_group)
        suppress_nag(
            rule,
            "Serverless::Serverless-EventBusDLQ",
            reason="Each account has its own reports in its functions' logs, where a lost copy can be read.",
        )
        return rule

    def _allow_rule(self, rule: events.CfnRule, log_group: logs.ILogGroup) -> None:
        # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-cloudwatchlogs-permissions
        # The call that creates a log stream has no source ARN.
        services = [
            iam.ServicePrincipal("events.amazonaws.com"),
            iam.ServicePrincipal("delivery.logs.amazonaws.com"),
        ]
        statements = [
            iam.PolicyStatement(
                sid="CreateLogStreams",
                principals=[*services],
                actions=["logs:CreateLogStream"],
                resources=[log_group.log_group_arn],
            ),
            iam.PolicyStatement(
                sid="KeepReports",
                principals=[*services],
                actions=["logs:PutLogEvents"],
                resources=[log_group.log_group_arn],
                conditions={"ArnEquals": {"aws:SourceArn": rule.attr_arn}},
            ),
        ]
        logs.ResourcePolicy(self, "LogPolicy", policy_statements=statements)

    def _log_group_arn(self) -> str:
        """Return the log group's ARN in the form for a rule's target, without `:*` at the end."""
        return self.format_arn(
            service="logs",
            resource="log-group",
            resource_name=_LOG_GROUP,
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )
