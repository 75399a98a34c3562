"""The topic of the notices: who can publish on it, who gets the notices, and what switches them off."""

from __future__ import annotations

from typing import Any, Final

import pytest

from gluebrake.settings import Settings, load
from tests.infra.conftest import POLICIES, Synthesise
from tests.infra.template import Template, plain

_TOPIC: Final = "<NoticeTopic>"
_FUNCTIONS: Final = ("Stop", "Confirm", "Sweep")


@pytest.fixture(scope="module")
def switched_off(synthesised: Synthesise) -> Template:
    """Return the template of a stack with guardrail policies and no kind of notices."""
    return synthesised(policies=POLICIES, notifyOn=[])


def _statements(template: Template, kind: str) -> list[dict[str, Any]]:
    """Return the statements of all IAM policies of a type."""
    policies = plain(template.resources(kind)).values()
    return [s for policy in policies for s in policy["Properties"]["PolicyDocument"]["Statement"]]


def _settings(template: Template, function: str) -> Settings:
    variables = template.only("AWS::Lambda::Function", function)["Environment"]["Variables"]
    names = {f"GLUEBRAKE_{name.upper()}" for name in Settings.__struct_fields__}
    return load(Settings, {name: value for name, value in variables.items() if name in names})


def test_no_service_can_publish_on_the_topic(template: Template) -> None:
    """Its policy only denies requests without TLS, so a principal needs an IAM policy of this account."""
    assert template.only("AWS::SNS::TopicPolicy", "NoticeTopic")["PolicyDocument"]["Statement"] == [
        {
            "Sid": "AllowPublishThroughSSLOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "sns:Publish",
            "Resource": _TOPIC,
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ]


def test_each_function_can_publish_notices(sweeping: Template) -> None:
    """Each role has one statement for SNS, and it has the notice topic alone."""
    of_sns = [s for s in _statements(sweeping, "AWS::IAM::Policy") if "sns:" in str(s["Action"])]
    assert [(s["Action"], s["Resource"]) for s in of_sns] == [("sns:Publish", _TOPIC)] * len(_FUNCTIONS)


def test_a_producer_cannot_publish_notices(sweeping: Template) -> None:
    """The policy for producers has no statement with the topic, and no pattern that matches it."""
    resources = [s["Resource"] for s in _statements(sweeping, "AWS::IAM::ManagedPolicy")]
    assert _TOPIC not in resources
    assert "*" not in "".join(resources)


@pytest.mark.parametrize("function", _FUNCTIONS)
def test_a_function_gets_the_configured_notices_and_prices(synthesised: Synthesise, function: str) -> None:
    """Its environment has the topic, the kinds, and a price for each kind of worker."""
    prices = {"standard": 0.5, "memoryOptimized": 0.6}
    template = synthesised(policies=POLICIES, notifyOn=["notStopped"], pricePerDpuHour=prices)
    settings = _settings(template, function)
    assert (settings.notice_topic_arn, settings.notify_on) == (_TOPIC, ("notStopped",))
    price = settings.price_per_dpu_hour
    assert (price.standard, price.flex, price.memory_optimized) == (0.5, 0.29, 0.6)


def test_without_kinds_nothing_can_be_published(switched_off: Template) -> None:
    """No role has an action of SNS, and no function knows the topic. The topic and its output stay."""
    assert "sns:" not in str(_statements(switched_off, "AWS::IAM::Policy"))
    known = [_settings(switched_off, function) for function in _FUNCTIONS]
    assert [(s.notice_topic_arn, s.notify_on) for s in known] == [("", ())] * len(_FUNCTIONS)
    assert plain(switched_off.body["Outputs"]["NoticeTopicArn"]["Value"]) == _TOPIC


def _subscriptions(template: Template) -> list[dict[str, Any]]:
    properties = [plain(s["Properties"]) for s in template.resources("AWS::SNS::Subscription").values()]
    return [p for p in properties if p["TopicArn"] == _TOPIC]


def test_notify_email_subscribes_to_the_topic(template: Template, synthesised: Synthesise) -> None:
    """By default there is no subscription. With `notifyEmail` there is one, and cdk-nag accepts it."""
    subscribed = synthesised(notifyEmail="team@example.com")
    email = {"Protocol": "email", "Endpoint": "team@example.com", "TopicArn": _TOPIC}
    assert [_subscriptions(of) for of in (template, subscribed)] == [[], [email]]
    assert subscribed.validated("violations") == {"AwsSolutions": [], "Serverless": []}
