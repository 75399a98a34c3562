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
_ALARMS = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm"
_MONITORING = "111122223333"
_MUTED = {"mutedByArn": f"{_ALARMS}-mute-rule:backfill", "muteWindowEnd": "2026-11-24T12:00:00.000+0000"}
_CONTRIBUTOR = "CloudWatch Alarm Contributor State Change"
_DEAD_LETTER_QUEUE = "<MessagingDeadLetterQueue.Arn>"
_STOP_QUEUE = "<MessagingStopQueue.Arn>"

_BACKSLASH = "\\"


@pytest.fixture(scope="module")
def with_rules(synthesised: Synthesise) -> Template:
    """Return the template of a configuration with both optional rules."""
    jobs = ["nightly-*", "*-adhoc", "load", f"C:{_BACKSLASH}etl{_BACKSLASH}**[x]?*!", "q*a**b"]
    return synthesised(stopOnRunStatus=jobs, stopOnAlarms=["glue-", "team[a]"], alarmAccounts=[_MONITORING])


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
        "resources": [f"{_ALARMS}:{name}"],
        "detail": {
            "alarmName": name,
            "state": {"value": state, "reason": "Threshold Crossed"},
            "previousState": {"value": "ALARM"},
        },
        **envelope,
    }


def _contributor(**detail: Any) -> dict[str, Any]:
    """Return the event of a time series of an alarm, which has no previous state."""
    event = _alarm(**{"detail-type": _CONTRIBUTOR})
    del event["detail"]["previousState"]
    contributor = {"id": "6d442278dba546f6", "attributes": {"JobName": "nightly", "JobRunId": "jr_1"}}
    return {**event, "detail": {**event["detail"], "alarmContributor": contributor, **detail}}


def _muted(event: dict[str, Any]) -> dict[str, Any]:
    return {**event, "detail": {**event["detail"], "muteDetail": _MUTED}}


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


@pytest.mark.parametrize("name", ["glue-slow", "glue-", "team[a]", "team[a]-costs"])
def test_an_alarm_in_state_alarm_reaches_the_stop_queue(with_rules: Template, name: str) -> None:
    """The rule matches an alarm whose name starts with a configured prefix."""
    assert _reaches(with_rules, "AlarmState", _alarm(name))


def test_a_contributor_of_an_alarm_reaches_the_stop_queue(with_rules: Template) -> None:
    """An alarm on a query with GROUP BY sends an event for each run that breaches its threshold."""
    assert _reaches(with_rules, "AlarmState", _contributor())
    assert not _reaches(with_rules, "AlarmState", _contributor(state={"value": "OK"}))
    assert not _reaches(with_rules, "AlarmState", _contributor(alarmName="slow"))


@pytest.mark.parametrize("event", [_alarm(), _contributor()], ids=["alarm", "contributor"])
def test_a_muted_alarm_does_not_reach_the_stop_queue(with_rules: Template, event: dict[str, Any]) -> None:
    """CloudWatch sends the event of a muted alarm as well. An alarm that is not muted has no `muteDetail`."""
    assert not _reaches(with_rules, "AlarmState", _muted(event))
    assert _reaches(with_rules, "AlarmState", event)


def test_an_alarm_of_a_monitoring_account_reaches_the_stop_queue(
    with_rules: Template, synthesised: Synthesise
) -> None:
    """The rule accepts the events that the accounts in `alarmAccounts` forward, from the same Region."""
    event = _alarm(account=_MONITORING, resources=[f"{_ALARMS}:glue-slow".replace("123456789012", _MONITORING)])
    assert _reaches(with_rules, "AlarmState", event)
    assert not _reaches(with_rules, "AlarmState", {**event, "region": "eu-west-2"})
    assert not _reaches(with_rules, "RunStatus", _run_status(account=_MONITORING))
    assert not _reaches(synthesised(stopOnAlarms=["glue-"]), "AlarmState", event)


@pytest.mark.parametrize(
    "event",
    [
        *[_alarm(name) for name in ("Glue-slow", "my-glue-slow", "glue", "teama")],
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
    template = synthesised(
        stopOnRunStatus=jobs,
        stopOnAlarms=["a" * 200, "b" * 200, "c" * 200, "d" * 200],
        alarmAccounts=_accounts(5),
    )
    for rule in template.resources("AWS::Events::Rule").values():
        assert len(json.dumps(plain(rule["Properties"]["EventPattern"]))) <= 2048


def test_the_most_allowed_prefixes_fit_into_the_policies(synthesised: Synthesise) -> None:
    """A function's policy holds 20 kB, with a statement for each prefix and account. A topic's holds 30 kB."""
    template = synthesised(stopOnAlarms=["a" * 90, "b" * 90, "c" * 90], alarmAccounts=_accounts(9))
    permissions = plain(template.resources("AWS::Lambda::Permission"))
    assert len(permissions) == 30
    size = sum(len(json.dumps(_statement(name, p["Properties"]))) for name, p in permissions.items())
    assert size <= 20_480
    assert len(json.dumps(template.only("AWS::SNS::TopicPolicy", "Signals")["PolicyDocument"])) <= 30_720


def _accounts(count: int) -> list[str]:
    return [f"{111122223333 + number}" for number in range(count)]


def _statement(logical_id: str, permission: Mapping[str, str]) -> dict[str, Any]:
    """Return the statement that Lambda makes of a permission, with names of the greatest length."""
    return {
        "Sid": f"Gluebrake-{logical_id}-1A2B3C4D5E6F",
        "Effect": "Allow",
        "Principal": {"Service": permission["Principal"]},
        "Action": permission["Action"],
        "Resource": f"arn:aws:lambda:eu-west-1:123456789012:function:Gluebrake-{'f' * 32}",
        "Condition": {
            "StringEquals": {"AWS:SourceAccount": permission["SourceAccount"]},
            "ArnLike": {"AWS:SourceArn": permission["SourceArn"]},
        },
    }


_TLS_ONLY = {
    "Sid": "AllowPublishThroughSSLOnly",
    "Effect": "Deny",
    "Principal": "*",
    "Action": "sns:Publish",
    "Resource": "<SignalsTopic>",
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}
_SOURCE_ARNS = [
    f"{arn}:{prefix}*"
    for arn in (_ALARMS, _ALARMS.replace("123456789012", _MONITORING))
    for prefix in ("glue-", "team[a]")
]


def test_by_default_no_alarm_can_publish_or_invoke(template: Template) -> None:
    """Without `stopOnAlarms`, the topic's policy allows no service, and the function has no permission."""
    policy = template.only("AWS::SNS::TopicPolicy", "Signals")["PolicyDocument"]
    assert policy["Statement"] == [_TLS_ONLY]
    assert template.resources("AWS::Lambda::Permission") == {}


def test_the_topic_allows_only_alarms_with_a_prefix(with_rules: Template) -> None:
    """The only service that can publish is CloudWatch, for alarms of these names, accounts and Region."""
    assert with_rules.only("AWS::SNS::TopicPolicy", "Signals") == {
        "Topics": ["<SignalsTopic>"],
        "PolicyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                _TLS_ONLY,
                {
                    "Sid": "AllowAlarms",
                    "Effect": "Allow",
                    "Principal": {"Service": "cloudwatch.amazonaws.com"},
                    "Action": "sns:Publish",
                    "Resource": "<SignalsTopic>",
                    "Condition": {
                        "StringEquals": {"aws:SourceAccount": ["123456789012", _MONITORING]},
                        "ArnLike": {"aws:SourceArn": _SOURCE_ARNS},
                    },
                },
            ],
        },
    }


def test_topics_have_no_encryption_key(template: Template) -> None:
    """CloudWatch cannot publish with the AWS managed key of SNS, so a topic has no property at all.

    A role would need a permission for the key of the notice topic.
    """
    topics = template.resources("AWS::SNS::Topic")
    assert {name[:-8] for name in topics} == {"SignalsTopic", "ObservabilityAlarmTopic", "NoticeTopic"}
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


def test_alarms_with_a_prefix_can_invoke_the_stop_function(with_rules: Template) -> None:
    """STOP has a permission for each prefix and account. No service can invoke CONFIRM."""
    permissions = [plain(p["Properties"]) for p in with_rules.resources("AWS::Lambda::Permission").values()]
    assert permissions == [
        {
            "Action": "lambda:InvokeFunction",
            "FunctionName": "<StopFunction.Arn>",
            "Principal": "lambda.alarms.cloudwatch.amazonaws.com",
            "SourceAccount": arn.split(":")[4],
            "SourceArn": arn,
        }
        for arn in _SOURCE_ARNS
    ]


def test_a_prefix_keeps_its_permission_when_the_list_changes(synthesised: Synthesise) -> None:
    """While CloudFormation replaces a permission, the function's policy holds both. So few are replaced."""
    before = synthesised(stopOnAlarms=["a-", "b-", "c-"]).resources("AWS::Lambda::Permission")
    after = synthesised(stopOnAlarms=["z-", "b-", "a-", "c-"]).resources("AWS::Lambda::Permission")
    kept = [name for name, permission in after.items() if plain(before.get(name)) == plain(permission)]
    assert {plain(after[name])["Properties"]["SourceArn"] for name in kept} == {
        f"{_ALARMS}:b-*",
        f"{_ALARMS}:c-*",
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
