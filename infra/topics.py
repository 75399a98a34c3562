"""SNS topics to which CloudWatch alarms publish."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.suppressions import suppress_checkov


def alarm_arn(stack: cdk.Stack, name: str) -> str:
    """Return the ARN of an alarm in the stack's account and Region. In `name`, `*` matches any text."""
    return stack.format_arn(
        service="cloudwatch",
        resource="alarm",
        resource_name=name,
        arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
    )


def alarm_topic(scope: Construct, construct_id: str) -> sns.Topic:
    """Return a topic to which alarms of this account and Region can publish, over TLS only."""
    stack = cdk.Stack.of(scope)
    # No KMS key: alarms cannot publish with the AWS managed key of SNS, and a customer managed key has a
    # monthly price.
    topic = sns.Topic(scope, construct_id, enforce_ssl=True)
    suppress_checkov(
        topic,
        "CKV_AWS_26",
        "Alarms cannot publish with the AWS managed key of SNS. A customer managed key has a monthly price.",
    )
    # Principals of this account need no statement: their IAM policies suffice. AWS Budgets and Cost Anomaly
    # Detection are not allowed, because their notifications name no job.
    topic.add_to_resource_policy(
        iam.PolicyStatement(
            sid="AllowAlarms",
            principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
            actions=["sns:Publish"],
            resources=[topic.topic_arn],
            conditions={
                "StringEquals": {"aws:SourceAccount": stack.account},
                "ArnLike": {"aws:SourceArn": alarm_arn(stack, "*")},
            },
        )
    )
    return topic
