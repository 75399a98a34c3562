"""What starts sweeps: one schedule for each expression and time zone, and topics that few may publish to."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from ministack.core.iam_evaluator import (
    EvalContext,
    combine_resource_policy,
    evaluate,
    evaluate_resource_policy,
    parse_policy_document,
)

from gluebrake.decisions.due_policies import due_policies
from gluebrake.parsing import sweep_request
from gluebrake.parsing.context import Context
from gluebrake.policies import DueRequest, Trigger
from tests.infra.conftest import POLICIES, ROLE, Synthesise
from tests.infra.template import Template, plain
from tests.support.builders import AWS_ENVIRONMENT, NOON, message

_ACCOUNT: Final = "123456789012"
_BUDGET: Final = "<SweepTriggersTopicdevbudget>"
_BELL: Final = "<SweepTriggersTopicbell>"
_QUEUE: Final = "<MessagingSweepQueue.Arn>"
_SCHEDULE: Final = "AWS::Scheduler::Schedule"


@pytest.fixture(scope="module")
def extended(synthesised: Synthesise) -> Template:
    """Return the template with two policies more: one at the start, and one in another time zone."""
    tokyo = {**POLICIES[2], "name": "tokyo-night", "timeZone": "Asia/Tokyo"}
    return synthesised(policies=[{**POLICIES[0], "name": "first"}, *POLICIES, tokyo])


@pytest.fixture(scope="module")
def scheduled(synthesised: Synthesise) -> Template:
    """Return the template with a single policy, which has a schedule."""
    return synthesised(policies=POLICIES[:1])


def _schedules(template: Template) -> dict[str, dict[str, Any]]:
    """Return the schedules by their expressions."""
    schedules = plain(template.resources(_SCHEDULE)).values()
    return {s["Properties"]["ScheduleExpression"]: s["Properties"] for s in schedules}


class TestSchedules:
    """The schedules of EventBridge Scheduler."""

    def test_policies_with_one_expression_share_a_schedule(self, sweeping: Template) -> None:
        """Their messages would be due at the same moment. A policy without an expression has no schedule."""
        inputs = {name: json.loads(s["Target"]["Input"]) for name, s in _schedules(sweeping).items()}
        assert {name: request["Policies"] for name, request in inputs.items()} == {
            "rate(1 hour)": ["runaway", "expensive"],
            "cron(0/30 20-23 ? * * *)": ["dev-night"],
        }

    def test_a_schedule_sends_to_the_sweep_queue(self, sweeping: Template) -> None:
        """It is enabled and exact, in its time zone, and gives up when SWEEP would drop its message."""
        schedule = _schedules(sweeping)["cron(0/30 20-23 ? * * *)"]
        del schedule["Target"]["Input"]
        assert schedule == {
            "Description": "Starts sweeps by Gluebrake's guardrail policies",
            "GroupName": "<SweepTriggersGroup>",
            "ScheduleExpression": "cron(0/30 20-23 ? * * *)",
            "ScheduleExpressionTimezone": "Europe/Berlin",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "State": "ENABLED",
            "Target": {
                "Arn": _QUEUE,
                "RoleArn": "<SweepTriggersRole.Arn>",
                "RetryPolicy": {"MaximumEventAgeInSeconds": 900},
            },
        }

    def test_sweep_drops_what_the_schedule_stops_sending(self, sweeping: Template) -> None:
        """A message that arrives at the end of the retries is still read. A later one would be dropped."""
        retry_policy = _schedules(sweeping)["rate(1 hour)"]["Target"]["RetryPolicy"]
        arrival = NOON + timedelta(seconds=retry_policy["MaximumEventAgeInSeconds"])
        request = DueRequest(("runaway",), NOON, Trigger.SCHEDULE)
        outcomes = [
            due_policies([(message(), request)], (), arrival + delay)[1][0].outcome
            for delay in (timedelta(), timedelta(seconds=1))
        ]
        assert outcomes == ["Ignored", "SweepLate"]

    def test_sweep_reads_the_message(self, sweeping: Template) -> None:
        """The input is a request for sweeps once Scheduler has put in the time."""
        text = _schedules(sweeping)["rate(1 hour)"]["Target"]["Input"]
        body = text.replace("<aws.scheduler.scheduled-time>", "2022-03-22T18:59:43Z").encode()
        assert sweep_request.parse(body, Context(AWS_ENVIRONMENT, NOON), signals={}) == [
            DueRequest(
                ("runaway", "expensive"), datetime(2022, 3, 22, 18, 59, 43, tzinfo=UTC), Trigger.SCHEDULE
            )
        ]

    def test_one_expression_in_two_time_zones_is_two_schedules(self, extended: Template) -> None:
        """20:00 in Berlin is another moment than 20:00 in Tokyo."""
        schedules = [plain(r["Properties"]) for r in extended.resources(_SCHEDULE).values()]
        of_zones = {s["ScheduleExpressionTimezone"]: json.loads(s["Target"]["Input"]) for s in schedules}
        assert {zone: request["Policies"] for zone, request in of_zones.items()} == {
            "UTC": ["first", "runaway", "expensive"],
            "Europe/Berlin": ["dev-night"],
            "Asia/Tokyo": ["tokyo-night"],
        }

    def test_another_policy_replaces_no_schedule(
        self, sweeping: Template, extended: Template, scheduled: Template
    ) -> None:
        """A schedule's logical id depends on its expression and time zone, not on the policies."""
        fewer, more, most = (t.resources(_SCHEDULE).keys() for t in (scheduled, sweeping, extended))
        assert fewer < more < most

    def test_the_role_can_send_to_the_sweep_queue_only(self, sweeping: Template) -> None:
        """EventBridge Scheduler assumes it for the schedules of this group alone."""
        policy = sweeping.only("AWS::IAM::Policy", "SweepTriggersRole")["PolicyDocument"]
        assert policy["Statement"] == [
            {"Sid": "SendToSweepQueue", "Effect": "Allow", "Action": "sqs:SendMessage", "Resource": _QUEUE}
        ]
        (trust,) = sweeping.only("AWS::IAM::Role", "SweepTriggersRole")["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Service": "scheduler.amazonaws.com"}
        assert trust["Condition"] == {
            "StringEquals": {"aws:SourceAccount": _ACCOUNT, "aws:SourceArn": "<SweepTriggersGroup.Arn>"}
        }

    def test_the_first_message_finds_the_permission(self, sweeping: Template) -> None:
        """A rate sends a message as soon as the schedule exists, so it is created after the role's policy."""
        for schedule in sweeping.resources(_SCHEDULE).values():
            assert "SweepTriggersRoleDefaultPolicy" in {name[:-8] for name in schedule["DependsOn"]}

    def test_signals_alone_need_no_schedule(self, synthesised: Synthesise) -> None:
        """Neither a group nor a role for schedules exists, and no alarm waits for sweeps."""
        template = synthesised(policies=POLICIES[3:])
        assert not template.resources("AWS::Scheduler::ScheduleGroup")
        assert not template.resources(_SCHEDULE)
        assert not [name for name in template.resources("AWS::IAM::Role") if name.startswith("SweepTriggers")]
        assert not [n for n in template.resources("AWS::CloudWatch::Alarm") if "SweepsMissing" in n]


_BUDGETS: Final = {"by": "budgets.amazonaws.com", "source": f"arn:aws:budgets::{_ACCOUNT}:budget/dev"}
_ANOMALIES: Final = {
    "by": "costalerts.amazonaws.com",
    "source": f"arn:aws:ce::{_ACCOUNT}:anomalysubscription/1a2b",
}


def _request(action: str, resource: str, *, by: str, source: str = "", secure: bool = True) -> EvalContext:
    """Return the context of a request by a service or, if `by` is an ARN, by a principal of IAM."""
    is_principal = by.startswith("arn:")
    context = {"aws:principalisawsservice": str(not is_principal).lower()}
    if source:
        context |= {"aws:sourcearn": source, "aws:sourceaccount": source.split(":")[4]}
    return EvalContext(
        principal_arn=by if is_principal else "*",
        principal_type="AssumedRole" if is_principal else "Service",
        principal_account=by.split(":")[4] if is_principal else "",
        action=action,
        resource_arn=resource,
        region="eu-west-1",
        secure_transport=secure,
        service_context=context,
    )


def _topic_policy(template: Template, topic: str) -> dict[str, Any]:
    policies = plain(template.resources("AWS::SNS::TopicPolicy")).values()
    (policy,) = (p["Properties"]["PolicyDocument"] for p in policies if p["Properties"]["Topics"] == [topic])
    return dict(policy)


def _accepts(template: Template, topic: str, **sender: Any) -> bool:
    """Return whether a topic's own policy allows to publish."""
    request = _request("sns:Publish", topic, **sender)
    return (
        str(evaluate_resource_policy(_topic_policy(template, topic), request, service=sender["by"]).decision)
        == "Allow"
    )


def _may_publish(template: Template, topic: str, by: str, *, secure: bool = True) -> bool:
    """Return whether a principal can publish whose own policy allows it on every topic."""
    everything = parse_policy_document({"Statement": [{"Effect": "Allow", "Action": "sns:*", "Resource": "*"}]})
    request = _request("sns:Publish", topic, by=by, secure=secure)
    policy = _topic_policy(template, topic)
    combined = combine_resource_policy(evaluate(request, [everything]), request, policy, _ACCOUNT)
    return str(combined.decision) == "Allow"


class TestTopics:
    """Who may publish to the topic of a policy. An evaluator decides."""

    @pytest.mark.parametrize("sender", [_BUDGETS, _ANOMALIES, {"by": ROLE}], ids=lambda sender: sender["by"])
    def test_the_named_publishers_may(self, sweeping: Template, sender: dict[str, str]) -> None:
        """What `onSignal` names can publish, over TLS only, and needs no other permission."""
        assert _accepts(sweeping, _BUDGET, **sender)
        assert not _accepts(sweeping, _BUDGET, **sender, secure=False)

    @pytest.mark.parametrize("sender", [_ANOMALIES, {"by": ROLE}], ids=lambda sender: sender["by"])
    def test_a_publisher_of_one_policy_is_none_of_another(
        self, sweeping: Template, sender: dict[str, str]
    ) -> None:
        """The second policy names `budgets` alone."""
        assert _accepts(sweeping, _BELL, **_BUDGETS)
        assert not _accepts(sweeping, _BELL, **sender)

    @pytest.mark.parametrize(
        "changed",
        [
            {"source": ""},
            {"source": "arn:aws:budgets::210987654321:budget/dev"},
            {"source": f"arn:aws:ce::{_ACCOUNT}:anomalymonitor/1a2b"},
            {"by": "cloudwatch.amazonaws.com"},
            {"by": "events.amazonaws.com"},
            {"by": "s3.amazonaws.com"},
        ],
        ids=str,
    )
    def test_no_other_service_or_account_may(self, sweeping: Template, changed: dict[str, str]) -> None:
        """Budgets and anomalies of another account start no sweep here."""
        for sender in (_BUDGETS, _ANOMALIES):
            assert not _accepts(sweeping, _BUDGET, **{**sender, **changed})

    @pytest.mark.parametrize(
        "principal",
        [
            f"arn:aws:iam::{_ACCOUNT}:root",
            f"arn:aws:iam::{_ACCOUNT}:user/admin",
            f"arn:aws:iam::{_ACCOUNT}:role/admin",
            f"arn:aws:iam::{_ACCOUNT}:role/FinOps",
            f"{ROLE}2",
            "arn:aws:iam::210987654321:role/ops/FinOps",
        ],
    )
    @pytest.mark.parametrize("topic", [_BUDGET, _BELL])
    def test_principals_of_the_account_may_not(self, sweeping: Template, topic: str, principal: str) -> None:
        """Their own IAM policies would suffice for every other topic of the account."""
        assert _may_publish(sweeping, "<ObservabilityAlarmTopic>", f"arn:aws:iam::{_ACCOUNT}:role/admin")
        assert not _may_publish(sweeping, topic, principal)

    def test_the_named_role_may_with_its_own_policy(self, sweeping: Template) -> None:
        """The denial does not reach the role that `onSignal` names, except without TLS."""
        assert _may_publish(sweeping, _BUDGET, ROLE)
        assert not _may_publish(sweeping, _BUDGET, ROLE, secure=False)
        assert not _may_publish(sweeping, _BELL, ROLE)

    def test_a_topic_sends_to_the_sweep_queue(self, sweeping: Template) -> None:
        """SQS gets the notification with its topic and its time, because delivery is not raw."""
        subscriptions = plain(sweeping.resources("AWS::SNS::Subscription")).values()
        of_topics = [s["Properties"] for s in subscriptions if s["Properties"]["TopicArn"] in (_BUDGET, _BELL)]
        assert of_topics == [
            {"Protocol": "sqs", "Endpoint": _QUEUE, "TopicArn": topic} for topic in (_BUDGET, _BELL)
        ]

    def test_the_queue_accepts_messages_of_these_topics_only(self, sweeping: Template) -> None:
        """No other topic or service can send to the sweep queue, and no topic without TLS."""
        policy = sweeping.only("AWS::SQS::QueuePolicy", "MessagingSweepQueue")["PolicyDocument"]

        def is_accepted(by: str, source: str, *, secure: bool = True) -> bool:
            request = _request("sqs:SendMessage", _QUEUE, by=by, secure=secure)
            request.service_context |= {"aws:sourcearn": source}
            return str(evaluate_resource_policy(policy, request, service=by).decision) == "Allow"

        for topic in (_BUDGET, _BELL):
            assert is_accepted("sns.amazonaws.com", topic)
            assert not is_accepted("sns.amazonaws.com", topic, secure=False)
            assert not is_accepted("budgets.amazonaws.com", topic)
        assert not is_accepted("sns.amazonaws.com", "<SignalsTopic>")

    def test_schedules_alone_need_no_topic(self, scheduled: Template) -> None:
        """Only the topics of every stack exist, and no topic is allowed to send."""
        topics = {name[:-8] for name in scheduled.resources("AWS::SNS::Topic")}
        assert topics == {"SignalsTopic", "ObservabilityAlarmTopic", "NoticeTopic"}
        (tls,) = scheduled.only("AWS::SQS::QueuePolicy", "MessagingSweepQueue")["PolicyDocument"]["Statement"]
        assert tls["Effect"] == "Deny"
