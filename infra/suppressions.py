"""Why a finding of a rule pack stands: said on the construct; checkov reads it in the template."""

from __future__ import annotations

from typing import cast

import aws_cdk as cdk
from constructs import Construct


def acknowledge(construct: Construct, *rules: str, reason: str) -> None:
    """Let findings of cdk-nag stand."""
    # With the pack's name before the rule's, the CDK compares and reports; cdk-nag itself stumbles over spaces.
    cdk.Validations.of(construct).acknowledge(*[cdk.Acknowledgment(id=rule, reason=reason) for rule in rules])


def skip(construct: Construct, rule: str, reason: str) -> None:
    """Let a finding of checkov stand."""
    resource = cast("cdk.CfnResource", construct.node.default_child)
    skipped = (resource.get_metadata("checkov") or {"skip": []})["skip"]
    resource.add_metadata("checkov", {"skip": [*skipped, {"id": rule, "comment": reason}]})
