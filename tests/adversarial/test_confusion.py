"""Tests with ambiguous messages, which two parsers understand differently, and with forged origins."""

from __future__ import annotations

import json
from itertools import permutations
from random import Random
from typing import Final

import pytest
from msgspec import UNSET

from gluebrake.model import ParsedRequest
from gluebrake.parsing.context import region_of
from tests.adversarial.fuzz import with_repeated_member
from tests.support.builders import AWS_ENVIRONMENT, Ignored, Invalid, parse_one
from tests.unit.parsing import events
from tests.unit.parsing.events import RUN, SENT_AT, Json, message

pytestmark = pytest.mark.disable_socket

PLAIN: Final = f'"JobName": "etl", "JobRunIds": ["{RUN}"]'
HERE: Final = f'"account": "{AWS_ENVIRONMENT.account}", "region": "{AWS_ENVIRONMENT.region}"'
RUN_STATUS: Final = f'"detail-type": "Glue Job Run Status", "source": "aws.glue", {HERE}, "detail": '


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (f'{{"JobName": "other", {PLAIN}}}', "JobName"),
        (f'{{{PLAIN}, "\\u004aobName": "other"}}', "JobName"),
        (f'{{{PLAIN}, "JobRunIds": ["jr_other"]}}', "JobRunIds"),
        (f'{{"DryRun": true, {PLAIN}, "DryRun": false}}', "DryRun"),
        (f'{{"DryRun": true, {PLAIN}, "DryRun": true}}', "DryRun"),
        ('{"JobName": "etl", "Select": {"OlderThanMinutes": 60, "OlderThanMinutes": 0}}', "OlderThanMinutes"),
        (f'{{"detail-type": "Glue Job Run Stop Requested", "detail": {{{PLAIN}, "JobName": "b"}}}}', "JobName"),
        (f'{{{RUN_STATUS}{{"jobName": "a", "jobName": "b", "jobRunId": "r", "state": "RUNNING"}}}}', "jobName"),
        (
            f'{{"source": "mine", {RUN_STATUS}{{"jobName": "b", "jobRunId": "r", "state": "RUNNING"}}}}',
            "source",
        ),
        (json.dumps(events.notification(f'{{{PLAIN}, "JobName": "b"}}')), "JobName"),
    ],
)
def test_repeated_name_makes_a_message_invalid(text: str, name: str) -> None:
    """If an object anywhere in the message has a name twice, neither member is used."""
    parsed = parse_one(message(text))
    assert isinstance(parsed, Invalid)
    assert f"{name}: occurs twice in one object" in parsed.why


def test_same_name_in_two_objects_is_allowed() -> None:
    """Each metric of an alarm has its own `name`. Long numbers in an event are allowed too."""
    event = events.alarm_notification(
        events.metric_math_trigger(*[events.trigger_metric(events.dimensions(RUN))] * 2)
    )
    long_event = json.dumps(event)[:-1] + f', "Extra": {"9" * 5000}}}'
    assert isinstance(parse_one(message(long_event)), ParsedRequest)


@pytest.mark.parametrize(
    "event", [events.request(), events.stop_request_event(events.request()), events.run_status()]
)
def test_no_member_can_be_repeated(event: Json) -> None:
    """An event with a repeated member, of the same value or another, requests no stop."""
    random = Random(7)  # noqa: S311 - repeatable, and not a secret
    for _ in range(200):
        assert not isinstance(
            parse_one(message(with_repeated_member(json.dumps(event), random))), ParsedRequest
        )


MARKERS: Final[Json] = {
    "detail-type": "Glue Job State Change",
    "alarmData": {},
    "NewStateValue": "OK",
    "TopicArn": "arn:aws:sns:eu-west-1:123456789012:t",
    "requestContext": {},
    "Records": [],
    "anomalyId": "a",
}


@pytest.mark.parametrize(("first", "second"), list(permutations(MARKERS, 2)))
def test_body_with_the_markers_of_two_event_types_is_invalid(first: str, second: str) -> None:
    """A body with the fields of two event types is refused, in either order."""
    both = [(first, MARKERS[first]), *events.request().items(), (second, MARKERS[second])]
    parsed = parse_one(message(dict(both)))
    assert isinstance(parsed, Invalid)
    assert "has the fields of two event types" in parsed.why


@pytest.mark.parametrize(
    ("arn", "region"), [(events.TOPIC, AWS_ENVIRONMENT.region), ("a:b:c", ""), ("", ""), (":" * 9, "")]
)
def test_region_of_an_arn_is_its_fourth_part(arn: str, region: str) -> None:
    """The Region of a text that is not an ARN is empty."""
    assert region_of(arn) == region


@pytest.mark.parametrize("value", ["true", "True", 1, 0, None, [], {}, "", "1", [True]])
def test_dry_run_must_be_true_or_false(value: object) -> None:
    """A message with a value that only resembles true is invalid."""
    parsed = parse_one(message(events.request(DryRun=value)))
    assert isinstance(parsed, Invalid)
    assert "DryRun: Expected `bool`, got " in parsed.why


@pytest.mark.parametrize(
    "name",
    ["dryRun", "DRYRUN", "dryrun", "DryRun ", " DryRun", "Dry\u200bRun", "Dr\u0443Run", "DryRun\0", "dry_run"],
)
def test_dry_run_has_one_name(name: str) -> None:
    """A name that only resembles DryRun is an unknown field, so that the message stops no run."""
    parsed = parse_one(message(events.request(**{name: True})))
    assert isinstance(parsed, Invalid)
    assert "unknown field" in parsed.why


def test_dry_run_may_be_escaped() -> None:
    """JSON can escape the characters of a name, which is then the same name."""
    parsed = parse_one(message(f'{{{PLAIN}, "\\u0044ry\\u0052un": true}}'))
    assert isinstance(parsed, ParsedRequest)
    assert parsed.request.dry_run


def test_stop_request_event_of_another_account_is_accepted() -> None:
    """The bus policy decides who can put events on the bus. The run is always in this account."""
    parsed = parse_one(message(events.stop_request_event(events.request(), **events.ELSEWHERE)))
    assert isinstance(parsed, ParsedRequest)
    assert parsed.request.job_run_ids == (RUN,)


@pytest.mark.parametrize("member", ["time", "source", "account", "region"])
@pytest.mark.parametrize("value", [5, None, ["aws.glue"], {"a": 1}, True])
def test_envelope_with_a_member_of_the_wrong_type_is_invalid(member: str, value: object) -> None:
    """EventBridge writes these members as text. An envelope with another type is not from EventBridge."""
    parsed = parse_one(message({**events.stop_request_event(events.request()), member: value}))
    assert isinstance(parsed, Invalid)
    assert f"{member}: Expected `str`, got " in parsed.why


@pytest.mark.parametrize(
    "time", ["2099-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "tomorrow", "", "2026-03-14"]
)
def test_selection_matches_no_future_run(time: str) -> None:
    """Whatever time an event has, it selects no run that started after the message was sent."""
    event = events.stop_request_event(
        events.request(Select={"StartedBefore": "9999-01-01T00:00:00Z"}), time=time
    )
    parsed = parse_one(message(event))
    assert isinstance(parsed, ParsedRequest)
    assert parsed.request.select is not UNSET
    assert parsed.request.select.started_before == SENT_AT


@pytest.mark.parametrize(
    "event",
    [
        events.run_status(envelope={"source": "mine"}),
        events.run_status(envelope={"source": "aws.glue "}),
        events.alarm_event(source="aws.glue"),
        events.alarm_event(source=""),
        events.destination_record(requestPayload=events.request()),
        events.eventbridge("Lambda Function Invocation Result - Failure", events.destination_record()),
        events.notification(events.destination_record(requestPayload=events.alarm_action())),
    ],
)
def test_forged_event_is_invalid(event: Json) -> None:
    """An event of AWS from another source, and the record of another function's invocation, are refused."""
    assert isinstance(parse_one(message(event)), Invalid)


@pytest.mark.parametrize(
    "event",
    [
        events.run_status(envelope={"account": events.ELSEWHERE["account"]}),
        events.run_status(envelope={"region": events.ELSEWHERE["region"]}),
        events.run_status("STOPPING"),
        events.alarm_event(**events.ELSEWHERE),
        events.notification(
            events.alarm_notification(AlarmArn=..., AWSAccountId=events.ELSEWHERE["account"]),
        ),
        events.notification(events.request(), Type="SubscriptionConfirmation"),
    ],
)
def test_foreign_signal_is_ignored(event: Json) -> None:
    """A signal of another account or Region, or about a run that is stopping, requests nothing."""
    assert isinstance(parse_one(message(event)), Ignored)


def test_forged_notification_is_the_request_in_it() -> None:
    """A sender that wraps a request into a notification of another topic gains nothing."""
    forged = events.notification(events.request(), TopicArn="arn:aws:sns:ap-south-1:999900001111:alarms")
    wrapped, plain = (parse_one(message(body)) for body in (forged, events.request()))
    assert isinstance(wrapped, ParsedRequest)
    assert isinstance(plain, ParsedRequest)
    assert wrapped.request == plain.request
