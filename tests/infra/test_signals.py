"""What stops runs besides stop requests: which events reach the stop queue, and who may send."""

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

_HERE = {"version": "0", "account": "123456789012", "region": "eu-west-1"}
_ELSEWHERE = [{"account": "210987654321"}, {"region": "eu-west-2"}]
_ALARMS = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:*"
_DEAD = "<MessagingDeadLetterQueue.Arn>"
_STOP = "<MessagingStopQueue.Arn>"

_BACKSLASH = "\\"


@pytest.fixture(scope="module")
def signalled(synthesised: Synthesise) -> Template:
    """Return the template of a configuration with both kinds of rules."""
    jobs = ["nightly-*", "*-adhoc", "load", f"C:{_BACKSLASH}etl{_BACKSLASH}**[x]?*!", "q*a**b"]
    return synthesised(stopOnRunStatus=jobs, stopOnAlarms=["glue-", "team?[a]"])


def _run_status(job_name: str = "nightly-load", state: str = "RUNNING", **envelope: Any) -> dict[str, Any]:
    return {
        **_HERE,
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
        **_HERE,
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


def test_nothing_but_a_stop_request_stops_runs_unless_asked_for(template: Template) -> None:
    """Neither list has a rule as long as it is empty."""
    assert [name[:-8] for name in template.resources("AWS::Events::Rule")] == ["IntakeStopRequests"]


@pytest.mark.parametrize(("chosen", "rule"), [("stopOnRunStatus", "RunStatus"), ("stopOnAlarms", "AlarmState")])
def test_each_list_makes_its_own_rule(synthesised: Synthesise, chosen: str, rule: str) -> None:
    """One kind of signal can be asked for without the other."""
    rules = synthesised(**{chosen: ["etl"]}).resources("AWS::Events::Rule")
    assert {name[:-8] for name in rules} == {"IntakeStopRequests", f"Signals{rule}"}


@pytest.mark.parametrize("rule", ["RunStatus", "AlarmState"])
def test_signals_come_from_the_default_bus_and_none_is_lost(signalled: Template, rule: str) -> None:
    """AWS's own events are on the default bus; what the stop queue does not take becomes a dead letter."""
    properties = signalled.only("AWS::Events::Rule", f"Signals{rule}")
    assert set(properties) == {"Description", "EventPattern", "Targets"}
    assert properties["Targets"] == [{"Id": "StopQueue", "Arn": _STOP, "DeadLetterConfig": {"Arn": _DEAD}}]


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
def test_a_run_that_takes_too_long_reaches_the_stop_queue(signalled: Template, job: str, state: str) -> None:
    """Glue's notice about a job that matches is let through, whatever characters are in the name."""
    assert _reaches(signalled, "RunStatus", _run_status(job, state))


@pytest.mark.parametrize(
    "event",
    [
        *[
            _run_status(job)
            for job in ("Nightly-load", "nightly", "loads", "adhoc", "C:etl[x]?!", "C:[x]!", "qa")
        ],
        _run_status(state="STOPPING"),
        _run_status(source="mine"),
        _run_status(**{"detail-type": "Glue Job State Change"}),
        *[_run_status(**place) for place in _ELSEWHERE],
        _alarm(),
    ],
)
def test_no_other_notice_of_glue_reaches_the_stop_queue(signalled: Template, event: dict[str, Any]) -> None:
    """Other jobs, runs that stop already, other events, accounts and Regions are left where they are."""
    assert not _reaches(signalled, "RunStatus", event)


@pytest.mark.parametrize("name", ["glue-slow", "glue-", "team?[a]", "team?[a]-costs"])
def test_an_alarm_that_goes_off_reaches_the_stop_queue(signalled: Template, name: str) -> None:
    """An alarm whose name begins as asked is let through."""
    assert _reaches(signalled, "AlarmState", _alarm(name))


@pytest.mark.parametrize(
    "event",
    [
        *[_alarm(name) for name in ("Glue-slow", "my-glue-slow", "glue", "teams[a]")],
        *[_alarm(state=state) for state in ("OK", "INSUFFICIENT_DATA")],
        _alarm(source="mine"),
        _alarm(**{"detail-type": "CloudWatch Alarm Configuration Change"}),
        *[_alarm(**place) for place in _ELSEWHERE],
        _run_status(),
    ],
)
def test_no_other_notice_of_cloudwatch_reaches_the_stop_queue(
    signalled: Template, event: dict[str, Any]
) -> None:
    """Other alarms, states, events, accounts and Regions are left where they are."""
    assert not _reaches(signalled, "AlarmState", event)


_TEXT = st.text(f"ab*?[]{_BACKSLASH}", min_size=1, max_size=8)


@given(pattern=_TEXT, name=_TEXT)
def test_a_pattern_means_the_same_to_eventbridge_as_to_us(pattern: str, name: str) -> None:
    """Whatever is in a pattern, EventBridge takes it, and matches what `*` alone as a wildcard does."""
    ours = ".*".join(map(re.escape, pattern.split("*")))
    assert bool(re.fullmatch(ours, name)) == accepts(event_filter(pattern), name)


def test_a_wildcard_filter_is_used_only_inside_a_name() -> None:
    """The filters that a bus takes only few of are kept for what no other filter can say."""
    filters = {pattern: event_filter(pattern) for pattern in ("a", "a**", "*a", "*", "a*b", "*a*")}
    assert filters == {
        "a": "a",
        "a**": {"prefix": "a"},
        "*a": {"suffix": "a"},
        "*": {"prefix": ""},
        "a*b": {"wildcard": "a*b"},
        "*a*": {"wildcard": "*a*"},
    }


def test_the_longest_lists_allowed_fit_into_an_event_pattern(synthesised: Synthesise) -> None:
    """What the configuration lets through, EventBridge's limit of 2,048 characters does too."""
    jobs = [f"{_BACKSLASH * 100}*{number}" for number in range(4)]
    template = synthesised(stopOnRunStatus=jobs, stopOnAlarms=["a" * 100] * 14)
    for rule in template.resources("AWS::Events::Rule").values():
        assert len(json.dumps(plain(rule["Properties"]["EventPattern"]))) <= 2048


def test_the_topic_lets_in_alarms_by_tls_alone(template: Template) -> None:
    """Of the services, only CloudWatch's alarms of this account and Region publish, and never unencrypted."""
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


def test_no_key_locks_alarms_out_of_the_topic(template: Template) -> None:
    """CloudWatch cannot use AWS's own key for SNS, so a topic has none: no property at all."""
    topics = template.resources("AWS::SNS::Topic")
    assert {name[:-8] for name in topics} == {"SignalsTopic", "ObservabilityAlarmTopic"}
    assert not any("Properties" in topic for topic in topics.values())


def test_the_topic_hands_on_to_the_stop_queue(template: Template) -> None:
    """What is published arrives in its envelope, or else as a dead letter, and only once it is let in."""
    (subscription,) = template.resources("AWS::SNS::Subscription").values()
    assert plain(subscription["Properties"]) == {
        "Protocol": "sqs",
        "TopicArn": "<SignalsTopic>",
        "Endpoint": _STOP,
        "RedrivePolicy": {"deadLetterTargetArn": _DEAD},
    }
    assert [name[:-8] for name in subscription["DependsOn"]] == ["MessagingStopQueuePolicy"]


def test_an_alarm_may_have_the_stop_function_as_its_action(template: Template) -> None:
    """Alarms of this account and Region invoke it; nobody else is let in, and CONFIRM is no one's action."""
    assert template.only("AWS::Lambda::Permission") == {
        "Action": "lambda:InvokeFunction",
        "FunctionName": "<StopFunction.Arn>",
        "Principal": "lambda.alarms.cloudwatch.amazonaws.com",
        "SourceAccount": "123456789012",
        "SourceArn": _ALARMS,
    }


def test_a_producer_may_ask_in_each_way_and_do_no_more(template: Template) -> None:
    """The policy to attach to guardrails and people names each way in, and nothing that leads further."""
    ways = {
        "sqs:SendMessage": _STOP,
        "events:PutEvents": "<IntakeBus.Arn>",
        "sns:Publish": "<SignalsTopic>",
        "lambda:InvokeFunction": "<StopFunction.Arn>",
    }
    properties = template.only("AWS::IAM::ManagedPolicy")
    statements = {one["Action"]: one for one in properties["PolicyDocument"]["Statement"]}
    # Nobody but the functions tells on the bus what became of a run.
    condition = statements["events:PutEvents"].pop("Condition")
    assert condition == {"StringEquals": {"events:detail-type": STOP_REQUESTED}}
    assert statements == {
        action: {"Effect": "Allow", "Action": action, "Resource": resource} for action, resource in ways.items()
    }
    assert not {"Roles", "Users", "Groups"} & set(properties)


def test_cdk_nag_finds_nothing_in_the_rules_for_signals(signalled: Template) -> None:
    """Asking for signals needs no further acknowledgement."""
    assert signalled.validated("violations") == {"AwsSolutions": [], "Serverless": []}
