"""Signals: which events reach the stop queue, and which senders may send."""

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluebrake.contract import STOP_REQUESTED
from infra.signals import event_filter
from tests.infra.conftest import Synthesise
from tests.infra.event_patterns import accepts, matches
from tests.infra.template import Template, plain

_ENVELOPE = {"version": "0", "account": "123456789012", "region": "eu-west-1"}
_OTHER_PLACES = [{"account": "210987654321"}, {"region": "eu-west-2"}]
_ALARMS = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:*"
_DEAD_LETTER_QUEUE = "<MessagingDeadLetterQueue.Arn>"
_STOP_QUEUE = "<MessagingStopQueue.Arn>"

_BACKSLASH = "\\"


@pytest.fixture(scope="module")
def with_rules(synthesised: Synthesise) -> Template:
    """Return the template of a configuration with both optional rules."""
    jobs = ["nightly-*", "*-adhoc", "load", f"C:{_BACKSLASH}etl{_BACKSLASH}**[x]?*!", "q*a**b"]
    return synthesised(stopOnRunStatus=jobs, stopOnAlarms=["glue-", "team?[a]"])


def _run_status(job_name: str = "nightly-load", state: str = "RUNNING", **envelope: Any) -> dict[str, Any]:
    return {
        **_ENVELOPE,
        "source": "aws.glue",
        "detail-type": "Glue Job Run Status",
        "detail": {
            "jobName": job_name,
            "jobRunId": "jr_1",
            "state": state,
            "severity": "INFO",
            "message": f"Job is in {state} state",
            "notificationCondition": {"NotifyDelayAfter": 15.0},
        },
        **envelope,
    }


def _alarm(name: str = "glue-slow", state: str = "ALARM", **envelope: Any) -> dict[str, Any]:
    return {
        **_ENVELOPE,
        "source": "aws.cloudwatch",
        "detail-type": "CloudWatch Alarm State Change",
        "resources": [f"{_ALARMS[:-1]}{name}"],
        "detail": {
            "alarmName": name,
            "state": {"value": state, "reason": "Threshold Crossed"},
            "previousState": {"value": "ALARM"},
        },
        **envelope,
    }


def _reaches(template: Template, rule: str, event: Mapping[str, Any]) -> bool:
    return matches(template.only("AWS::Events::Rule", f"Signals{rule}")["EventPattern"], event)


def test_by_default_only_stop_requests_have_a_rule(template: Template) -> None:
    """An empty list creates no rule."""
    assert [name[:-8] for name in template.resources("AWS::Events::Rule")] == ["IntakeStopRequests"]


@pytest.mark.parametrize(("key", "rule"), [("stopOnRunStatus", "RunStatus"), ("stopOnAlarms", "AlarmState")])
def test_each_list_creates_its_own_rule(synthesised: Synthesise, key: str, rule: str) -> None:
    """Each kind of signal can be configured without the other."""
    rules = synthesised(**{key: ["etl"]}).resources("AWS::Events::Rule")
    assert {name[:-8] for name in rules} == {"IntakeStopRequests", f"Signals{rule}"}


@pytest.mark.parametrize("rule", ["RunStatus", "AlarmState"])
def test_a_rule_on_the_default_bus_has_both_queues_as_targets(with_rules: Template, rule: str) -> None:
    """AWS services send their events to the default bus. A failed delivery becomes a dead letter."""
    properties = with_rules.only("AWS::Events::Rule", f"Signals{rule}")
    assert set(properties) == {"Description", "EventPattern", "Targets"}
    assert properties["Targets"] == [
        {"Id": "StopQueue", "Arn": _STOP_QUEUE, "DeadLetterConfig": {"Arn": _DEAD_LETTER_QUEUE}}
    ]


@pytest.mark.parametrize("state", ["STARTING", "RUNNING"])
@pytest.mark.parametrize(
    "job",
    [
        "nightly-load",
        "nightly-",
        "x-adhoc",
        "load",
        f"C:{_BACKSLASH}etl{_BACKSLASH}[x]?!",
        f"C:{_BACKSLASH}etl{_BACKSLASH}more[x]?more!",
        "qab",
        "q-a-b",
    ],
)
def test_a_run_status_event_of_a_matching_job_reaches_the_stop_queue(
    with_rules: Template, job: str, state: str
) -> None:
    """The rule matches Glue's event for a run that takes too long, with any characters in the job name."""
    assert _reaches(with_rules, "RunStatus", _run_status(job, state))


@pytest.mark.parametrize(
    "event",
    [
        *[
            _run_status(job)
            for job in ("Nightly-load", "nightly", "loads", "adhoc", "C:etl[x]?!", "C:[x]!", "qa")
        ],
        _run_status(state="STOPPING"),
        _run_status(source="custom"),
        _run_status(**{"detail-type": "Glue Job State Change"}),
        *[_run_status(**place) for place in _OTHER_PLACES],
        _alarm(),
    ],
)
def test_no_other_glue_event_reaches_the_stop_queue(with_rules: Template, event: dict[str, Any]) -> None:
    """The rule ignores other jobs, runs that are stopping, other events, accounts and Regions."""
    assert not _reaches(with_rules, "RunStatus", event)


@pytest.mark.parametrize("name", ["glue-slow", "glue-", "team?[a]", "team?[a]-costs"])
def test_an_alarm_in_state_alarm_reaches_the_stop_queue(with_rules: Template, name: str) -> None:
    """The rule matches an alarm whose name starts with a configured prefix."""
    assert _reaches(with_rules, "AlarmState", _alarm(name))


@pytest.mark.parametrize(
    "event",
    [
        *[_alarm(name) for name in ("Glue-slow", "my-glue-slow", "glue", "teams[a]")],
        *[_alarm(state=state) for state in ("OK", "INSUFFICIENT_DATA")],
        _alarm(source="custom"),
        _alarm(**{"detail-type": "CloudWatch Alarm Configuration Change"}),
        *[_alarm(**place) for place in _OTHER_PLACES],
        _run_status(),
    ],
)
def test_no_other_cloudwatch_event_reaches_the_stop_queue(with_rules: Template, event: dict[str, Any]) -> None:
    """The rule ignores other alarms, states, events, accounts and Regions."""
    assert not _reaches(with_rules, "AlarmState", event)


_TEXT = st.text(f"ab*?[]{_BACKSLASH}", min_size=1, max_size=8)


@given(pattern=_TEXT, name=_TEXT)
def test_a_pattern_matches_the_same_names_in_eventbridge(pattern: str, name: str) -> None:
    """EventBridge accepts every pattern, and `*` is the only wildcard there as well."""
    expected = ".*".join(map(re.escape, pattern.split("*")))
    assert bool(re.fullmatch(expected, name)) == accepts(event_filter(pattern), name)


def test_a_wildcard_filter_is_used_only_inside_a_name() -> None:
    """EventBridge limits the number of wildcard filters, so other filters are preferred."""
    filters = {pattern: event_filter(pattern) for pattern in ("a", "a**", "*a", "*", "a*b", "*a*")}
    assert filters == {
        "a": "a",
        "a**": {"prefix": "a"},
        "*a": {"suffix": "a"},
        "*": {"prefix": ""},
        "a*b": {"wildcard": "a*b"},
        "*a*": {"wildcard": "*a*"},
    }


def test_the_longest_allowed_lists_fit_into_an_event_pattern(synthesised: Synthesise) -> None:
    """Every list that the configuration allows is within EventBridge's limit of 2,048 characters."""
    jobs = [f"{_BACKSLASH * 100}*{number}" for number in range(4)]
    template = synthesised(stopOnRunStatus=jobs, stopOnAlarms=["a" * 100] * 14)
    for rule in template.resources("AWS::Events::Rule").values():
        assert len(json.dumps(plain(rule["Properties"]["EventPattern"]))) <= 2048


def test_the_topic_allows_only_alarms_over_tls(template: Template) -> None:
    """The only service that can publish is CloudWatch, for alarms of this account and Region."""
    assert template.only("AWS::SNS::TopicPolicy", "Signals") == {
        "Topics": ["<SignalsTopic>"],
        "PolicyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "AllowPublishThroughSSLOnly",
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "sns:Publish",
                    "Resource": "<SignalsTopic>",
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                },
                {
                    "Sid": "AllowAlarms",
                    "Effect": "Allow",
                    "Principal": {"Service": "cloudwatch.amazonaws.com"},
                    "Action": "sns:Publish",
                    "Resource": "<SignalsTopic>",
                    "Condition": {
                        "StringEquals": {"aws:SourceAccount": "123456789012"},
                        "ArnLike": {"aws:SourceArn": _ALARMS},
                    },
                },
            ],
        },
    }


def test_topics_have_no_encryption_key(template: Template) -> None:
    """CloudWatch cannot publish with the AWS managed key of SNS, so a topic has no property at all."""
    topics = template.resources("AWS::SNS::Topic")
    assert {name[:-8] for name in topics} == {"SignalsTopic", "ObservabilityAlarmTopic"}
    assert not any("Properties" in topic for topic in topics.values())


def test_the_topic_sends_to_the_stop_queue(template: Template) -> None:
    """Messages keep the SNS envelope. A failed delivery becomes a dead letter. The queue policy comes first."""
    (subscription,) = template.resources("AWS::SNS::Subscription").values()
    assert plain(subscription["Properties"]) == {
        "Protocol": "sqs",
        "TopicArn": "<SignalsTopic>",
        "Endpoint": _STOP_QUEUE,
        "RedrivePolicy": {"deadLetterTargetArn": _DEAD_LETTER_QUEUE},
    }
    assert [name[:-8] for name in subscription["DependsOn"]] == ["MessagingStopQueuePolicy"]


def test_alarms_can_invoke_the_stop_function(template: Template) -> None:
    """Only alarms of this account and Region can invoke STOP. No service can invoke CONFIRM."""
    assert template.only("AWS::Lambda::Permission") == {
        "Action": "lambda:InvokeFunction",
        "FunctionName": "<StopFunction.Arn>",
        "Principal": "lambda.alarms.cloudwatch.amazonaws.com",
        "SourceAccount": "123456789012",
        "SourceArn": _ALARMS,
    }


def test_the_producer_policy_allows_requesting_stops_and_nothing_else(template: Template) -> None:
    """The policy allows one action on each resource that accepts stop requests."""
    targets = {
        "sqs:SendMessage": _STOP_QUEUE,
        "events:PutEvents": "<IntakeBus.Arn>",
        "sns:Publish": "<SignalsTopic>",
        "lambda:InvokeFunction": "<StopFunction.Arn>",
    }
    properties = template.only("AWS::IAM::ManagedPolicy")
    statements = {s["Action"]: s for s in properties["PolicyDocument"]["Statement"]}
    # Only the functions can publish outcome events.
    condition = statements["events:PutEvents"].pop("Condition")
    assert condition == {
        "ForAllValues:StringEquals": {"events:detail-type": STOP_REQUESTED},
        "Null": {"events:detail-type": "false"},
    }
    assert statements == {
        action: {"Effect": "Allow", "Action": action, "Resource": resource}
        for action, resource in targets.items()
    }
    assert not {"Roles", "Users", "Groups"} & set(properties)


def test_cdk_nag_has_no_finding_with_the_optional_rules(with_rules: Template) -> None:
    """The rules need no further suppressions."""
    assert with_rules.validated("violations") == {"AwsSolutions": [], "Serverless": []}
