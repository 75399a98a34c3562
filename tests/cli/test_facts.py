"""The facts of `gluebrake doctor` are read from the stack's template and the resources themselves."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

import gluebrake
from gluebrake_cli.checks import JobTag, JobTags, Recursion, Subscription, Versions
from gluebrake_cli.errors import OperatorError
from gluebrake_cli.facts import DeploymentFacts
from gluebrake_cli.health import MappingState
from gluebrake_cli.signal_alarms import SignalAlarm, SignalAlarms
from tests.cli.stubbed import Stubbed
from tests.support.fakes.aws_server import ACCOUNT, REGION

QUEUE = f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/stop"
QUEUE_ARN = f"arn:aws:sqs:{REGION}:{ACCOUNT}:stop"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:signals"
UUID = "9dfb8c77-389e-44d4-9452-f3326f5f15f5"
_QUEUE_POLICY = {"Statement": [{"Effect": "Deny", "Resource": {"Fn::GetAtt": ["Queue", "Arn"]}}]}
_TOPIC_POLICY = {"Statement": [{"Effect": "Deny", "Resource": {"Ref": "Topic"}}]}
_ROLE_POLICY = {"Statement": [{"Effect": "Allow", "Resource": {"Fn::GetAtt": ["Queue", "Arn"]}}]}
RESOLVED = {"Statement": [{"Effect": "Deny", "Resource": QUEUE_ARN}]}
RESOLVED_TOPIC = {"Statement": [{"Effect": "Deny", "Resource": TOPIC}]}
RESOLVED_ROLE = {"Statement": [{"Effect": "Allow", "Resource": QUEUE_ARN}]}


def _alarm_permission(source: str, principal: str = "lambda.alarms.cloudwatch.amazonaws.com") -> dict[str, Any]:
    """Return a permission for the alarms of `source`: an account and a pattern of names."""
    account, pattern = source.split(":")
    return {
        "Principal": principal,
        "SourceAccount": {"Ref": "AWS::AccountId"} if account == ACCOUNT else account,
        "SourceArn": f"arn:aws:cloudwatch:{REGION}:{account}:alarm:{pattern}",
    }


RESOURCES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "Queue": ("AWS::SQS::Queue", QUEUE, {}),
    "QueuePolicy": (
        "AWS::SQS::QueuePolicy",
        "policy-1",
        {"Queues": [{"Ref": "Queue"}], "PolicyDocument": _QUEUE_POLICY},
    ),
    "Topic": ("AWS::SNS::Topic", TOPIC, {}),
    "TopicPolicy": (
        "AWS::SNS::TopicPolicy",
        "policy-2",
        {"Topics": [{"Ref": "Topic"}], "PolicyDocument": _TOPIC_POLICY},
    ),
    "Subscription": (
        "AWS::SNS::Subscription",
        f"{TOPIC}:1",
        {
            "TopicArn": {"Ref": "Topic"},
            "Protocol": "sqs",
            "Endpoint": {"Fn::GetAtt": ["Queue", "Arn"]},
            "RedrivePolicy": {"deadLetterTargetArn": "dead"},
        },
    ),
    **{
        f"Alarms{number}": ("AWS::Lambda::Permission", f"permission-{number}", properties)
        for number, properties in enumerate(
            (
                _alarm_permission(f"{ACCOUNT}:glue-*"),
                _alarm_permission(f"{ACCOUNT}:a b*"),
                _alarm_permission("111122223333:other-*"),
                _alarm_permission(f"{ACCOUNT}:rule-*", principal="events.amazonaws.com"),
            )
        )
    },
    "Role": ("AWS::IAM::Role", "stop-role", {}),
    "RolePolicy": (
        "AWS::IAM::Policy",
        "policy-3",
        {"Roles": [{"Ref": "Role"}], "PolicyName": "StopPolicy", "PolicyDocument": _ROLE_POLICY},
    ),
}


@pytest.fixture
def facts(stubbed: Stubbed) -> DeploymentFacts:
    """Return the facts of a deployment with a queue, a topic and a role."""
    return DeploymentFacts(stubbed.deployment)


@pytest.fixture
def template(stubbed: Stubbed) -> None:
    """Prepare the answers with the stack's template and its resources."""
    body = {
        "Resources": {
            name: {"Type": kind, "Properties": properties} for name, (kind, _, properties) in RESOURCES.items()
        }
    }
    stubbed.answer("cloudformation", "get_template", {"TemplateBody": json.dumps(body)}, StackName="Gluebrake")
    listed = [
        {
            "LogicalResourceId": name,
            "PhysicalResourceId": physical_id,
            "ResourceType": kind,
            "ResourceStatus": "CREATE_COMPLETE",
            "LastUpdatedTimestamp": datetime(2026, 11, 24, tzinfo=UTC),
        }
        for name, (kind, physical_id, _) in RESOURCES.items()
    ]
    stubbed.answer(
        "cloudformation", "list_stack_resources", {"StackResourceSummaries": listed}, StackName="Gluebrake"
    )


def _answer_mappings(stubbed: Stubbed, name: str, *mappings: dict[str, str]) -> None:
    answer = {"EventSourceMappings": list(mappings)}
    stubbed.answer("lambda_", "list_event_source_mappings", answer, FunctionName=name)


def test_a_function_without_a_mapping_has_an_empty_state(stubbed: Stubbed, facts: DeploymentFacts) -> None:
    """A deleted mapping is not simply absent from the facts."""
    _answer_mappings(stubbed, "stopper", {"State": "Disabled", "UUID": UUID})
    _answer_mappings(stubbed, "confirmer")
    assert facts.mappings() == [MappingState("stop", "Disabled", UUID), MappingState("confirm", "", "")]


@pytest.mark.usefixtures("template")
@pytest.mark.parametrize(
    ("attributes", "live"), [({"Policy": json.dumps(RESOLVED)}, RESOLVED), ({"Policy": ""}, {}), (None, {})]
)
def test_a_queues_policy_is_read(
    stubbed: Stubbed, facts: DeploymentFacts, attributes: dict[str, str] | None, live: dict[str, Any]
) -> None:
    """An absent policy is an empty one. The command sets the template's."""
    answer = {} if attributes is None else {"Attributes": attributes}
    stubbed.answer("sqs", "get_queue_attributes", answer, QueueUrl=QUEUE, AttributeNames=["Policy"])
    (policy,) = facts.queue_policies()
    assert (policy.owner, policy.template, policy.live) == ("the queue stop", RESOLVED, live)
    *command, attributes_option = policy.repair
    assert command == ["aws", "sqs", "set-queue-attributes", "--queue-url", QUEUE, "--attributes"]
    assert json.loads(json.loads(attributes_option)["Policy"]) == RESOLVED


@pytest.mark.usefixtures("template")
def test_a_topics_policy_is_read(stubbed: Stubbed, facts: DeploymentFacts) -> None:
    """The command sets the template's."""
    answer = {"Attributes": {"Policy": json.dumps(RESOLVED_TOPIC)}}
    stubbed.answer("sns", "get_topic_attributes", answer, TopicArn=TOPIC)
    (policy,) = facts.topic_policies()
    assert (policy.owner, policy.difference) == ("the topic signals", "")
    *command, value = policy.repair
    assert command == [
        *("aws", "sns", "set-topic-attributes", "--topic-arn", TOPIC),
        *("--attribute-name", "Policy", "--attribute-value"),
    ]
    assert json.loads(value) == RESOLVED_TOPIC


@pytest.mark.usefixtures("template")
@pytest.mark.parametrize("exists", [True, False])
def test_a_roles_policy_is_read(stubbed: Stubbed, facts: DeploymentFacts, *, exists: bool) -> None:
    """A deleted policy is an empty one. The command sets the template's."""
    names = {"RoleName": "stop-role", "PolicyName": "StopPolicy"}
    if exists:
        answer = {**names, "PolicyDocument": json.dumps(RESOLVED_ROLE)}
        stubbed.answer("iam", "get_role_policy", answer, **names)
    else:
        stubbed.of("iam").add_client_error("get_role_policy", "NoSuchEntity")
    (policy,) = facts.role_policies()
    assert (policy.owner, policy.difference == "") == ("the role stop-role", exists)
    *command, document = policy.repair
    assert command == [
        *("aws", "iam", "put-role-policy", "--role-name", "stop-role"),
        *("--policy-name", "StopPolicy", "--policy-document"),
    ]
    assert json.loads(document) == RESOLVED_ROLE


def test_the_recursive_loop_setting_of_each_function_is_read(stubbed: Stubbed, facts: DeploymentFacts) -> None:
    """It is part of no configuration that another call returns."""
    for name, loop in (("stopper", "Allow"), ("confirmer", "Terminate")):
        stubbed.answer("lambda_", "get_function_recursion_config", {"RecursiveLoop": loop}, FunctionName=name)
    assert facts.recursion() == [Recursion("stopper", "Allow"), Recursion("confirmer", "Terminate")]


EMAIL = {"TopicArn": TOPIC, "Protocol": "email", "Endpoint": "a@b.cd", "SubscriptionArn": "PendingConfirmation"}
SQS = {"TopicArn": TOPIC, "Protocol": "sqs", "Endpoint": QUEUE_ARN, "SubscriptionArn": f"{TOPIC}:1"}


@pytest.mark.usefixtures("template")
@pytest.mark.parametrize("listed", [[EMAIL, SQS], [EMAIL]])
def test_subscriptions_are_read(stubbed: Stubbed, facts: DeploymentFacts, listed: list[dict[str, str]]) -> None:
    """One of the template that the topic does not have is among them, with no ARN."""
    stubbed.answer("sns", "list_subscriptions_by_topic", {"Subscriptions": listed}, TopicArn=TOPIC)
    email = Subscription(topic_arn=TOPIC, protocol="email", endpoint="a@b.cd", arn="PendingConfirmation")
    sqs = Subscription(topic_arn=TOPIC, protocol="sqs", endpoint=QUEUE_ARN)
    redrive = {"RedrivePolicy": '{"deadLetterTargetArn":"dead"}'}
    assert facts.subscriptions() == [
        email,
        msgspec.structs.replace(sqs, **({"arn": f"{TOPIC}:1"} if SQS in listed else {"attributes": redrive})),
    ]


@pytest.mark.usefixtures("template")
def test_alarms_and_the_deployed_prefixes_are_read(stubbed: Stubbed, facts: DeploymentFacts) -> None:
    """The prefixes are those of this account's alarms, since only these alarms can be listed."""
    function = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:stopper"
    stubbed.answer(
        "cloudwatch",
        "describe_alarms",
        {"MetricAlarms": [{"AlarmName": "nightly", "AlarmActions": [function]}]},
        AlarmTypes=["MetricAlarm", "CompositeAlarm"],
    )
    assert facts.signal_alarms() == SignalAlarms(
        ("glue-", "a b"), (SignalAlarm("nightly", "invokes the STOP function"),)
    )


def test_the_tags_of_jobs_are_read(stubbed: Stubbed, facts: DeploymentFacts) -> None:
    """The key is that of the deployed configuration. Tags of all pages are read."""
    variables = {"GLUEBRAKE_PROTECT_TAG": "keep"}
    stubbed.answer(
        "lambda_",
        "get_function_configuration",
        {"Environment": {"Variables": variables}},
        FunctionName="stopper",
    )
    for arn, token, next_token in (("arn-of-a-job-1", "", "2"), ("arn-of-a-job-2", "2", "")):
        stubbed.answer(
            "resourcegroupstaggingapi",
            "get_resources",
            {
                "PaginationToken": next_token,
                "ResourceTagMappingList": [{"ResourceARN": arn, "Tags": [{"Key": "keep", "Value": ""}]}],
            },
            ResourceTypeFilters=["glue:job"],
            **({"PaginationToken": token} if token else {}),
        )
    tags = [JobTag("arn-of-a-job-1", "keep", ""), JobTag("arn-of-a-job-2", "keep", "")]
    assert facts.job_tags() == JobTags("keep", tags)


def test_a_configuration_without_a_protect_tag_is_an_error(stubbed: Stubbed, facts: DeploymentFacts) -> None:
    """Without its key, no tag can be called right."""
    stubbed.answer("lambda_", "get_function_configuration", {}, FunctionName="stopper")
    with pytest.raises(OperatorError, match="no environment variable GLUEBRAKE_PROTECT_TAG"):
        facts.job_tags()


def test_the_versions_are_read(facts: DeploymentFacts) -> None:
    """The stack's version is an output, which older stacks do not have."""
    assert facts.versions() == Versions("", gluebrake.__version__)
