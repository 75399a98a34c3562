"""A log group with the configured retention."""

from __future__ import annotations

from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.suppressions import suppress_checkov


def create_log_group(
    scope: Construct, construct_id: str, *, retention_days: int, name: str | None = None
) -> logs.LogGroup:
    """Create a log group that is deleted with its stack. Without a name, CloudFormation generates the name."""
    group = logs.LogGroup(
        scope,
        construct_id,
        log_group_name=name,
        retention=logs.RetentionDays.INFINITE,
        removal_policy=cdk.RemovalPolicy.DESTROY,
    )
    # LogGroup accepts only a member of an enum. The underlying CfnLogGroup accepts the number of days.
    cast("logs.CfnLogGroup", group.node.default_child).retention_in_days = retention_days
    suppress_checkov(group, "CKV_AWS_158", "CloudWatch Logs encrypts the log group. The rule accepts only KMS.")
    return group
