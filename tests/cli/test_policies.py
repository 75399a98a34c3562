"""A policy equals the template's if it has the same effect, even if AWS writes it in another form."""

from __future__ import annotations

import re
from typing import Any

import pytest

from gluebrake_cli.policies import PolicyState

STATEMENT: dict[str, Any] = {
    "Sid": "AllowRule",
    "Effect": "Allow",
    "Principal": {"Service": "events.amazonaws.com"},
    "Action": "sqs:SendMessage",
    "Resource": "arn:aws:sqs:eu-west-1:123456789012:stop",
    "Condition": {"ArnEquals": {"aws:SourceArn": "arn:aws:events:eu-west-1:123456789012:rule/bus/rule"}},
}
DENY: dict[str, Any] = {
    "Effect": "Deny",
    "Principal": {"AWS": "*"},
    "Action": ["sqs:SendMessage", "sqs:DeleteMessage"],
    "Resource": "*",
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}


def _document(*statements: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements), **more}


def _difference(live: dict[str, Any]) -> str:
    return PolicyState(
        owner="the queue stop", template=_document(STATEMENT, DENY), live=live, repair=()
    ).difference


@pytest.mark.parametrize(
    "live",
    [
        _document(STATEMENT, DENY),
        _document(DENY, STATEMENT, Id="added by the console"),
        _document(STATEMENT | {"Sid": "Other"}, DENY | {"Sid": "Added"}),
        _document(STATEMENT | {"Action": ["SQS:SendMessage"], "Resource": [STATEMENT["Resource"]]}, DENY),
        _document(STATEMENT, DENY | {"Action": ["sqs:DeleteMessage", "sqs:SendMessage"], "Principal": "*"}),
        _document(STATEMENT, DENY | {"Condition": {"Bool": {"AWS:SecureTransport": ["false"]}}}),
        _document(STATEMENT, DENY | {"Condition": {"Bool": {"aws:SecureTransport": False}}}),
    ],
    ids=["same", "order", "sid", "list of one", "principal", "condition key", "boolean"],
)
def test_a_policy_of_the_same_effect_is_no_difference(live: dict[str, Any]) -> None:
    """AWS does not return a policy byte for byte as it was set."""
    assert _difference(live) == ""


@pytest.mark.parametrize(
    ("live", "difference"),
    [
        ({}, "lacks 2 of the template's 2 statements, and has 0 others"),
        (_document(DENY), "lacks 1 of the template's 2 statements, and has 0 others"),
        (_document(STATEMENT, DENY, STATEMENT | {"Effect": "Deny"}), "lacks 0 of .* has 1 other$"),
        (_document(STATEMENT | {"Condition": {}}, DENY), "lacks 1 of .* has 1 other$"),
        (_document(STATEMENT | {"Resource": "*"}, DENY), "lacks 1 of .* has 1 other$"),
        (_document(STATEMENT | {"Action": ["sqs:SendMessage", "sqs:*"]}, DENY), "lacks 1 of .* has 1 other$"),
        (_document(STATEMENT | {"Principal": {"Service": "sns.amazonaws.com"}}, DENY), "lacks 1"),
        ({"Statement": [STATEMENT, DENY]}, "lacks 2 of .* has 2 others"),
        ({"Version": "2012-10-17", "Statement": STATEMENT}, "lacks 1"),
    ],
    ids=[
        "empty",
        "missing",
        "added",
        "condition",
        "resource",
        "action",
        "principal",
        "version",
        "one statement",
    ],
)
def test_a_policy_of_another_effect_is_a_difference(live: dict[str, Any], difference: str) -> None:
    """The difference counts the statements that are missing, and those that are not the template's."""
    assert re.match(difference, _difference(live))
