"""Topics on which CloudWatch's alarms publish, and the alarms that are let in."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.suppressions import skip


def alarm_arn(stack: cdk.Stack, name: str) -> str:
    """Return the ARN of an alarm of the stack's account and Region; `*` in its name is any text."""
    return stack.format_arn(
        service="cloudwatch",
        resource="alarm",
        resource_name=name,
        arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
    )


def topic_for_alarms(scope: Construct, construct_id: str) -> sns.Topic:
    """Return a topic that takes messages over TLS alone, and of the services only from alarms at home."""
    stack = cdk.Stack.of(scope)
    # No key: AWS's own for SNS locks alarms out, and one of ours costs by the month, for names of jobs.
    topic = sns.Topic(scope, construct_id, enforce_ssl=True)
    skip(topic, "CKV_AWS_26", "AWS's own key for SNS locks alarms out, and one of ours costs by the month.")
    # The account's own identities need no statement: their IAM policies are enough. Neither AWS Budgets nor
    # cost anomalies are let in: they name no job.
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
