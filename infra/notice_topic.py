"""The SNS topic for notices about stopped runs, runs that could not be stopped, and findings of policies."""

from __future__ import annotations

from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.suppressions import suppress_checkov
from infra.topics import subscribe


class NoticeTopic(sns.Topic):
    """A topic to which only principals of this account can publish, over TLS. No AWS service can publish.

    The topic's policy has no statement for these principals, because their IAM policies suffice. A subscribed
    queue or endpoint gets the notices as well as `email`.
    """

    def __init__(self, scope: Construct, construct_id: str, *, email: str | None) -> None:
        super().__init__(scope, construct_id, enforce_ssl=True)
        suppress_checkov(
            self,
            "CKV_AWS_26",
            "A notice has no secret. A key would need permissions of its own, without which notices are lost.",
        )
        subscribe(
            self,
            email,
            without_dead_letters="A notice is best effort: the log and the outcome events have what it says.",
        )
