"""Each check finds what is wrong in its facts, and names the command that fixes it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pytest

from gluebrake.model import AwsEnvironment
from gluebrake_cli import checks
from gluebrake_cli.canary_state import CanaryState
from gluebrake_cli.checks import (
    CHECKS,
    CheckResult,
    JobTag,
    JobTags,
    Problem,
    Recursion,
    Subscription,
    Versions,
)
from gluebrake_cli.errors import OperatorError
from gluebrake_cli.health import MappingState
from gluebrake_cli.policies import PolicyState
from gluebrake_cli.signal_alarms import SignalAlarm, SignalAlarms

UUID = "9dfb8c77-389e-44d4-9452-f3326f5f15f5"
JOB = "arn:aws:glue:eu-west-1:123456789012:job/nightly"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:alarms"
EMAIL = Subscription(topic_arn=TOPIC, protocol="email", endpoint="a@b.cd", arn=f"{TOPIC}:1")
POLICY = PolicyState(owner="the queue stop", template={"Statement": []}, live={}, repair=("aws",))
CHANGED_POLICY = PolicyState(
    owner="the queue stop", template={"Statement": [{}]}, live={}, repair=("aws", "sqs", "--x")
)
SIGNAL_ALARM = SignalAlarm("nightly-too-long", "notifies the signal topic")
ENVIRONMENT = AwsEnvironment("123456789012", "eu-west-1")


RIGHT: dict[str, Any] = {
    "mappings": [MappingState("stop", "Enabled", UUID), MappingState("confirm", "Enabled", UUID)],
    "queue_policies": [POLICY],
    "topic_policies": [POLICY],
    "role_policies": [POLICY],
    "recursion": [Recursion("stopper", "Allow")],
    "subscriptions": [EMAIL],
    "signal_alarms": SignalAlarms(("nightly-",), (SIGNAL_ALARM,)),
    "job_tags": JobTags("gluebrake:protect", [JobTag(JOB, "gluebrake:protect", "true")]),
    "canary": CanaryState(job_name="Gluebrake-canary", has_job=True, schedule="ENABLED", alarm="OK"),
    "versions": Versions("0.2.0", "0.2.0"),
}
WRONG: dict[str, Any] = {
    "mappings": [MappingState("stop", "Disabled", UUID)],
    "queue_policies": [POLICY, CHANGED_POLICY],
    "topic_policies": [CHANGED_POLICY],
    "role_policies": [CHANGED_POLICY],
    "recursion": [Recursion("stopper", "Terminate")],
    "subscriptions": [Subscription(topic_arn=TOPIC, protocol="email", endpoint="a@b.cd")],
    "signal_alarms": SignalAlarms(("glue-",), (SIGNAL_ALARM,)),
    "job_tags": JobTags("gluebrake:protect", [JobTag(JOB, "gluebrake:protect", "")]),
    "canary": CanaryState(job_name="Gluebrake-canary", has_job=False),
    "versions": Versions("0.1.0", "0.2.0"),
}

each_check = pytest.mark.parametrize(
    ("check", "fact"), list(zip([check.name for check in CHECKS], RIGHT, strict=True))
)


class _Facts:
    """The facts of a deployment that is as its template has it, with the changes of a test."""

    def __init__(self, changed: Mapping[str, Any]) -> None:
        self._facts = {**RIGHT, **changed}

    def __getattr__(self, name: str) -> Any:
        fact = self._facts[name]

        def read() -> Any:
            if isinstance(fact, Exception):
                raise fact
            return fact

        return read


def _results(**changed: Any) -> dict[str, CheckResult]:
    return {result.name: result for result in checks.examine(_Facts(changed))}


def _problems(problems: Iterator[Problem]) -> list[tuple[str, str]]:
    return [(problem.text, shlex.join(problem.fix)) for problem in problems]


def test_a_deployment_like_its_template_is_right() -> None:
    """Each check has a sentence for what is right."""
    results = _results()
    assert {result.state for result in results.values()} == {"right"}
    assert all(result.text for result in results.values())
    assert list(results) == [check.name for check in CHECKS]


@each_check
def test_each_check_reads_its_own_facts(check: str, fact: str) -> None:
    """A changed fact makes one check wrong, with one problem, and leaves the others right."""
    results = _results(**{fact: WRONG[fact]})
    assert [name for name, result in results.items() if result.state != "right"] == [check]
    assert (results[check].state, len(results[check].problems)) == ("wrong", 1)


@each_check
@pytest.mark.parametrize("error", [OperatorError("denied"), KeyError("odd")])
def test_what_cannot_be_read_is_not_checked(check: str, fact: str, error: Exception) -> None:
    """An unreadable fact is neither right nor wrong: its result has the error. The other checks are made."""
    results = _results(**{fact: error})
    text = str(error) if isinstance(error, OperatorError) else repr(error)
    assert (results[check].state, results[check].text) == ("not checked", text)
    assert [result.state for name, result in results.items() if name != check] == ["right"] * (len(CHECKS) - 1)


def test_a_disabled_mapping_is_enabled_by_its_command() -> None:
    """The command has the mapping's UUID. A mapping that is being enabled is right."""
    mappings = [
        MappingState("stop", "Disabled", UUID),
        MappingState("confirm", "Enabling", UUID),
        MappingState("other", "", ""),
    ]
    assert _problems(checks.disabled_mappings(mappings)) == [
        (
            "the stop function's mapping is Disabled",
            f"aws lambda update-event-source-mapping --uuid {UUID} --enabled",
        ),
        ("the other function has no event source mapping", "make deploy 'CDK_OPTIONS=--revert-drift ...'"),
    ]


def test_a_changed_policy_is_named_with_its_repair() -> None:
    """The problem has the policy's owner, how it differs, and the command of the policy."""
    assert _problems(checks.changed_policies([POLICY, CHANGED_POLICY])) == [
        ("the policy of the queue stop lacks 1 of the template's 1 statement, and has 0 others", "aws sqs --x")
    ]


def test_a_function_whose_retries_are_dropped_is_found() -> None:
    """The command sets RecursiveLoop, which drift detection would also show."""
    functions = [Recursion("stopper", "Terminate"), Recursion("confirmer", "Allow")]
    assert _problems(checks.terminated_loops(functions)) == [
        (
            "RecursiveLoop of stopper is Terminate, so Lambda drops retries",
            "aws lambda put-function-recursion-config --function-name stopper --recursive-loop Allow",
        )
    ]


def test_an_unconfirmed_subscription_is_found() -> None:
    """SNS deletes a subscription that is not confirmed in time, so a missing one is found as well."""
    pending = Subscription(topic_arn=TOPIC, protocol="email", endpoint="a@b.cd", arn="PendingConfirmation")
    missing = Subscription(
        topic_arn=TOPIC,
        protocol="sqs",
        endpoint="arn:aws:sqs:eu-west-1:123456789012:stop",
        attributes={"RedrivePolicy": '{"deadLetterTargetArn":"dead"}'},
    )
    (first, send_again), (second, subscribe) = _problems(
        checks.unconfirmed_subscriptions([EMAIL, pending, missing])
    )
    assert first.startswith("a@b.cd has not confirmed its subscription to alarms.")
    assert second == "arn:aws:sqs:eu-west-1:123456789012:stop is not subscribed to alarms"
    assert send_again == (
        f"aws sns subscribe --topic-arn {TOPIC} --protocol email --notification-endpoint a@b.cd"
    )
    assert shlex.split(subscribe)[-2:] == [
        "--attributes",
        r'{"RedrivePolicy":"{\"deadLetterTargetArn\":\"dead\"}"}',
    ]


def test_an_alarm_without_a_prefix_is_found() -> None:
    """Its actions fail, so it stops no run. The problem has what to add to `stopOnAlarms`."""
    alarms = (
        SIGNAL_ALARM,
        SignalAlarm("glue-a", "invokes the STOP function"),
        SignalAlarm("*", "invokes the STOP function"),
    )
    found = _problems(checks.alarms_without_prefix(SignalAlarms(("glue-",), alarms)))
    reason = "but no prefix in stopOnAlarms allows its name, so it stops no run. If it should"
    add = 'add "nightly-too-long" or a shorter prefix to stopOnAlarms and deploy'
    assert found == [
        (f"nightly-too-long notifies the signal topic, {reason}, {add}", "make deploy CDK_OPTIONS=..."),
        (f"* invokes the STOP function, {reason}, rename it and deploy", "make deploy CDK_OPTIONS=..."),
    ]


def test_an_empty_protect_tag_is_found_in_any_case() -> None:
    """IAM compares tag keys without regard to case. Other tags, and tags with a value, are right."""
    tags = [
        JobTag(JOB, "gluebrake:protect", "false"),
        JobTag(JOB, "owner", ""),
        JobTag(JOB, "Gluebrake:Protect", ""),
    ]
    ((text, fix),) = _problems(checks.empty_protect_tags(JobTags("gluebrake:protect", tags)))
    assert text.startswith(f"{JOB} has the tag Gluebrake:Protect without a value")
    assert shlex.split(fix)[-2:] == ["--tags-to-add", '{"Gluebrake:Protect":"true"}']


@pytest.mark.parametrize(
    ("changed", "text", "fix"),
    [
        ({"has_job": False}, "the Glue job c does not exist", "make deploy 'CDK_OPTIONS=--revert-drift ...'"),
        (
            {"schedule": "DISABLED"},
            "the canary's schedule is DISABLED",
            "make deploy 'CDK_OPTIONS=--revert-drift ...'",
        ),
        (
            {"schedule": "deleted"},
            "the canary's schedule is deleted",
            "make deploy 'CDK_OPTIONS=--revert-drift ...'",
        ),
        (
            {"alarm": "deleted"},
            "the alarm CanarySilent is deleted",
            "make deploy 'CDK_OPTIONS=--revert-drift ...'",
        ),
        (
            {"alarm": "ALARM"},
            "the alarm CanarySilent is in ALARM: no run of the canary was confirmed STOPPED in time",
            "gluebrake verify",
        ),
    ],
)
def test_a_silent_canary_is_found(changed: dict[str, Any], text: str, fix: str) -> None:
    """A changed resource is restored by a deployment. Why no run is stopped is shown by `verify`."""
    state = CanaryState(job_name="c", has_job=True, schedule="ENABLED", alarm="OK")
    assert _problems(checks.silent_canary(msgspec.structs.replace(state, **changed))) == [(text, fix)]


@pytest.mark.parametrize(
    "state",
    [
        CanaryState(job_name="c", has_job=True),
        CanaryState(job_name="c", has_job=True, schedule="ENABLED", alarm="INSUFFICIENT_DATA"),
    ],
)
def test_a_canary_that_is_off_or_new_is_right(state: CanaryState) -> None:
    """While it is off, only its job exists. After it is switched on, its alarm has no data yet."""
    assert _problems(checks.silent_canary(state)) == []


def test_another_version_is_found() -> None:
    """A stack without the output is of a version before the output existed."""
    assert _problems(checks.other_version(Versions("", "0.2.0"))) == [
        ("the stack's version is before 0.2, and this command's is 0.2.0", "make deploy CDK_OPTIONS=...")
    ]
