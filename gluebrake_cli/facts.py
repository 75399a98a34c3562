"""The facts for the checks of `gluebrake doctor`, read from AWS."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import msgspec

from gluebrake import __version__
from gluebrake.settings import PREFIX
from gluebrake_cli import canary_state, signal_alarms
from gluebrake_cli.canary_state import CanaryState
from gluebrake_cli.checks import JobTag, JobTags, Recursion, Subscription, Versions
from gluebrake_cli.errors import OperatorError
from gluebrake_cli.health import MappingState
from gluebrake_cli.policies import PolicyState
from gluebrake_cli.signal_alarms import SignalAlarms
from gluebrake_cli.stack_template import Properties, StackTemplate

if TYPE_CHECKING:
    from gluebrake_cli.clients import Clients
    from gluebrake_cli.stack import Deployment

_PROTECT_TAG: Final = f"{PREFIX}PROTECT_TAG"
_ALARMS: Final = "lambda.alarms.cloudwatch.amazonaws.com"


@dataclass(frozen=True)
class DeploymentFacts:
    """The facts of a deployed stack."""

    deployment: Deployment

    @property
    def clients(self) -> Clients:
        """The deployment's clients."""
        return self.deployment.clients

    @cached_property
    def template(self) -> StackTemplate:
        """The template that CloudFormation deployed last."""
        body = self.clients.cloudformation.get_template(StackName=self.deployment.stack)["TemplateBody"]
        physical_ids = {
            resource["LogicalResourceId"]: resource["PhysicalResourceId"]
            for resource in self.deployment.resources()
        }
        return StackTemplate(body, self.deployment.stack_id, physical_ids)

    def mappings(self) -> Sequence[MappingState]:
        """Return the state of each event source mapping. A function without a mapping has an empty state."""
        mappings = self.deployment.mappings()
        missing = self.deployment.function_names.keys() - {mapping.function for mapping in mappings}
        return [*mappings, *(MappingState(function, "", "") for function in sorted(missing))]

    def queue_policies(self) -> Sequence[PolicyState]:
        """Return the policy of each queue."""
        return [
            self._queue_policy(url, policy["PolicyDocument"])
            for policy in self.template.resources("AWS::SQS::QueuePolicy")
            for url in policy["Queues"]
        ]

    def _queue_policy(self, url: str, template: Mapping[str, Any]) -> PolicyState:
        answer = self.clients.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])
        attributes = _json({"Policy": _json(template)})
        return PolicyState(
            owner=f"the queue {url.rpartition('/')[2]}",
            template=template,
            live=json.loads(answer.get("Attributes", {}).get("Policy") or "{}"),
            repair=("aws", "sqs", "set-queue-attributes", "--queue-url", url, "--attributes", attributes),
        )

    def topic_policies(self) -> Sequence[PolicyState]:
        """Return the policy of each topic."""
        return [
            self._topic_policy(arn, policy["PolicyDocument"])
            for policy in self.template.resources("AWS::SNS::TopicPolicy")
            for arn in policy["Topics"]
        ]

    def _topic_policy(self, arn: str, template: Mapping[str, Any]) -> PolicyState:
        answer = self.clients.sns.get_topic_attributes(TopicArn=arn)
        attribute = ("--attribute-name", "Policy", "--attribute-value", _json(template))
        return PolicyState(
            owner=f"the topic {arn.rpartition(':')[2]}",
            template=template,
            live=json.loads(answer["Attributes"].get("Policy") or "{}"),
            repair=("aws", "sns", "set-topic-attributes", "--topic-arn", arn, *attribute),
        )

    def role_policies(self) -> Sequence[PolicyState]:
        """Return the inline policy of each role."""
        return [
            self._role_policy(role, policy["PolicyName"], policy["PolicyDocument"])
            for policy in self.template.resources("AWS::IAM::Policy")
            for role in policy["Roles"]
        ]

    def _role_policy(self, role: str, name: str, template: Mapping[str, Any]) -> PolicyState:
        try:
            live = self.clients.iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        except self.clients.iam.exceptions.NoSuchEntityException:
            live = {}
        names = ("--role-name", role, "--policy-name", name)
        return PolicyState(
            owner=f"the role {role}",
            template=template,
            live=live,
            repair=("aws", "iam", "put-role-policy", *names, "--policy-document", _json(template)),
        )

    def recursion(self) -> Sequence[Recursion]:
        """Return the recursive loop setting of each function."""
        return [
            Recursion(
                name, self.clients.lambda_.get_function_recursion_config(FunctionName=name)["RecursiveLoop"]
            )
            for name in self.deployment.function_names.values()
        ]

    def subscriptions(self) -> Sequence[Subscription]:
        """Return the subscriptions of the stack's topics, and the missing subscriptions of the template."""
        existing = [
            subscription
            for logical_id, resource in self.template.body["Resources"].items()
            if resource["Type"] == "AWS::SNS::Topic"
            for subscription in self._subscriptions(self.template.physical_ids[logical_id])
        ]
        expected = map(_expected, self.template.resources("AWS::SNS::Subscription"))
        found = {_key(subscription) for subscription in existing}
        return [*existing, *(each for each in expected if _key(each) not in found)]

    def _subscriptions(self, topic_arn: str) -> Iterator[Subscription]:
        pages = self.clients.sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic_arn)
        for page in pages:
            for subscription in page["Subscriptions"]:
                yield Subscription(
                    topic_arn=topic_arn,
                    protocol=subscription["Protocol"],
                    endpoint=subscription["Endpoint"],
                    arn=subscription["SubscriptionArn"],
                )

    def signal_alarms(self) -> SignalAlarms:
        """Return the alarms whose actions stop runs, and the deployed prefixes."""
        actions = signal_alarms.actions(self.deployment.stack_id, self.deployment.outputs)
        return SignalAlarms(tuple(self._alarm_prefixes()), signal_alarms.read(self.clients.cloudwatch, actions))

    def _alarm_prefixes(self) -> Iterator[str]:
        """Yield the name prefixes of this account's alarms that can invoke STOP and publish to the topic."""
        account = self.deployment.aws_environment.account
        for permission in self.template.resources("AWS::Lambda::Permission"):
            if permission["Principal"] == _ALARMS and permission["SourceAccount"] == account:
                yield permission["SourceArn"].split(":alarm:", 1)[1].removesuffix("*")

    def job_tags(self) -> JobTags:
        """Return the tags of the jobs."""
        variables = self.deployment.configuration("stop").get("Environment", {}).get("Variables", {})
        if _PROTECT_TAG not in variables:
            raise OperatorError(f"the STOP function has no environment variable {_PROTECT_TAG}")
        pages = self.clients.resourcegroupstaggingapi.get_paginator("get_resources").paginate(
            ResourceTypeFilters=["glue:job"]
        )
        tags = [
            JobTag(resource["ResourceARN"], tag["Key"], tag["Value"])
            for page in pages
            for resource in page["ResourceTagMappingList"]
            for tag in resource["Tags"]
        ]
        return JobTags(variables[_PROTECT_TAG], tags)

    def canary(self) -> CanaryState:
        """Return the states of the canary's job, schedule and alarm."""
        return canary_state.read(self.clients, self.template, self.deployment.outputs.get("CanaryJobName", ""))

    def versions(self) -> Versions:
        """Return the versions of the stack and of this command."""
        return Versions(self.deployment.outputs.get("Version", ""), __version__)


def _expected(properties: Properties) -> Subscription:
    redrive = properties.get("RedrivePolicy")
    return Subscription(
        topic_arn=properties["TopicArn"],
        protocol=properties["Protocol"],
        endpoint=properties["Endpoint"],
        attributes={"RedrivePolicy": _json(redrive)} if redrive else {},
    )


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _key(subscription: Subscription) -> tuple[str, str, str]:
    return subscription.topic_arn, subscription.protocol, subscription.endpoint.lower()
