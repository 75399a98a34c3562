"""SNS topics to which CloudWatch alarms publish, and the subscription of an address to any topic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra.suppressions import suppress_checkov, suppress_nag


@dataclass(frozen=True, kw_only=True)
class AlarmSource:
    """The alarms of one account and the stack's Region whose ARNs match `arn`, in which `*` is any text.

    `label` has the account and the name as plain text: the CDK's tokens have numbers that change.
    """

    account: str
    arn: str
    label: str


def alarm_arn(stack: cdk.Stack, name: str, account: str = "") -> str:
    """Return an alarm's ARN in the stack's Region. The default account is the stack's account."""
    return stack.format_arn(
        service="cloudwatch",
        resource="alarm",
        resource_name=name,
        account=account or None,
        arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
    )


def alarm_source(stack: cdk.Stack, name: str, account: str = "") -> AlarmSource:
    """Return the alarms whose names match `name`. The default account is the stack's account."""
    arn = alarm_arn(stack, name, account)
    return AlarmSource(account=account or stack.account, arn=arn, label=f"{account}:{name}")


def alarm_topic(scope: Construct, construct_id: str, *, sources: Sequence[AlarmSource]) -> sns.Topic:
    """Return a topic to which only these alarms can publish, over TLS only."""
    # No KMS key: alarms cannot publish with the AWS managed key of SNS, and a customer managed key has a
    # monthly price.
    topic = sns.Topic(scope, construct_id, enforce_ssl=True)
    suppress_checkov(
        topic,
        "CKV_AWS_26",
        "Alarms cannot publish with the AWS managed key of SNS. A customer managed key has a monthly price.",
    )
    if sources:
        topic.add_to_resource_policy(_allow_alarms(topic, sources))
    return topic


def subscribe(topic: sns.Topic, email: str | None, *, without_dead_letters: str) -> None:
    """Subscribe an address, if there is one. `without_dead_letters` says why lost mails make no dead letter."""
    if email:
        suppress_nag(
            topic.add_subscription(subscriptions.EmailSubscription(email)),
            "Serverless::Serverless-SNSRedrivePolicy",
            reason=without_dead_letters,
        )


def _allow_alarms(topic: sns.ITopic, sources: Sequence[AlarmSource]) -> iam.PolicyStatement:
    # Principals of this account need no statement: their IAM policies suffice. AWS Budgets and Cost Anomaly
    # Detection are not allowed, because their notifications name no job.
    return iam.PolicyStatement(
        sid="AllowAlarms",
        principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
        actions=["sns:Publish"],
        resources=[topic.topic_arn],
        conditions={
            "StringEquals": {"aws:SourceAccount": [*dict.fromkeys(source.account for source in sources)]},
            "ArnLike": {"aws:SourceArn": [source.arn for source in sources]},
        },
    )
