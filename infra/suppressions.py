"""Suppressions of findings by cdk-nag and checkov, each on the construct concerned and with its reason."""

from __future__ import annotations

from typing import cast

import aws_cdk as cdk
from constructs import Construct


def suppress_nag(construct: Construct, *rules: str, reason: str) -> None:
    """Acknowledge findings of cdk-nag on a construct. `rules` start with the name of their rule pack."""
    # The CDK matches ids that include the pack's name. cdk-nag's own suppressions fail on an id with spaces.
    cdk.Validations.of(construct).acknowledge(*[cdk.Acknowledgment(id=rule, reason=reason) for rule in rules])


def wildcard_finding(scope: Construct, service: str, resource: str) -> str:
    """Return the finding of cdk-nag for a wildcard in an ARN of the stack's account and Region.

    The finding has the account's id and the Region. For a stack of any account, it has CloudFormation's names.
    """
    stack = cdk.Stack.of(scope)
    account = "<AWS::AccountId>" if cdk.Token.is_unresolved(stack.account) else stack.account
    region = "<AWS::Region>" if cdk.Token.is_unresolved(stack.region) else stack.region
    arn = f"arn:<AWS::Partition>:{service}:{region}:{account}:{resource}"
    return f"AwsSolutions::AwsSolutions-IAM5[Resource::{arn}]"


def suppress_checkov(construct: Construct, rule: str, reason: str) -> None:
    """Skip a checkov rule on a construct, in the template metadata that checkov reads."""
    resource = cast("cdk.CfnResource", construct.node.default_child or construct)
    skipped = (resource.get_metadata("checkov") or {"skip": []})["skip"]
    resource.add_metadata("checkov", {"skip": [*skipped, {"id": rule, "comment": reason}]})
