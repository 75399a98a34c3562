"""Tests of the event, the notification or the alarm action that carried a request, as its body claims."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluebrake.parsing import dispatcher
from gluebrake.parsing.provenance import LONGEST_VIA, with_via
from tests.support.builders import AWS_ENVIRONMENT, parse_requests
from tests.support.fakes.aws_server import ACCOUNT
from tests.unit.parsing import events
from tests.unit.parsing.events import ALARM_ARN, TOPIC, Json, message

pytestmark = pytest.mark.disable_socket

EVENT_ID: Final = events.stop_request_event({})["id"]
NOTIFICATION_ID: Final = events.notification("")["MessageId"]
OF_NOTIFICATION: Final = f"notification {NOTIFICATION_ID} of {TOPIC}"

# A body, and what it says of the event, notification or action that it is.
CARRIED: Final[dict[str, tuple[Json, str]]] = {
    "stop request": (events.request(), ""),
    "selection": (events.request(Select={}), ""),
    "stop request on the bus": (
        events.stop_request_event(events.request()),
        f"event {EVENT_ID} of guardrail.orders in account {ACCOUNT}",
    ),
    "run status": (events.run_status(), f"event {EVENT_ID} of aws.glue in account {ACCOUNT}"),
    "alarm's event": (events.alarm_event(), f"event {EVENT_ID} of aws.cloudwatch in account {ACCOUNT}"),
    "event that requests nothing": (events.job_state(), f"event {EVENT_ID} of aws.glue in account {ACCOUNT}"),
    "event without a source": (events.run_status(envelope={"source": ""}), ""),
    "event without an id": (events.run_status(envelope={"id": ""}), ""),
    "event with the member of an action": (
        events.run_status(envelope={"alarmArn": ALARM_ARN}),
        f"event {EVENT_ID} of aws.glue in account {ACCOUNT}",
    ),
    "event without an id with the member of an action": (
        events.run_status(envelope={"id": "", "alarmArn": ALARM_ARN}),
        "",
    ),
    "notification of a request": (events.notification(events.request()), OF_NOTIFICATION),
    "notification of an event": (events.notification(events.run_status()), OF_NOTIFICATION),
    "notification of an alarm": (events.notification(events.alarm_notification()), OF_NOTIFICATION),
    "notification of a notification": (
        events.notification(events.notification(events.request())),
        OF_NOTIFICATION,
    ),
    "notification without an envelope": (events.alarm_notification(), ""),
    "alarm's action": (events.alarm_action(), f"action of {ALARM_ARN}"),
    "alarm's action with the members of an event": (
        {**events.alarm_action(), "id": EVENT_ID},
        f"action of {ALARM_ARN}",
    ),
}

UNREADABLE: Final = {
    "empty": "",
    "prose": "please stop etl",
    "list": "[]",
    "number": "5",
    "null": "null",
    "half of a pair": '{"TopicArn": "\ud800"}',
    "escaped half of a pair": r'{"TopicArn": "\ud800"}',
    "name that is no text": '{"TopicArn": 5, "alarmArn": "arn"}',
    "nested too deeply": '{"TopicArn": "arn", "x": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "truncated": '{"TopicArn": "arn"',
}


def _via(body: str | Json, **changes: Any) -> str:
    return with_via(message(body, **changes)).via


@pytest.mark.parametrize(("body", "via"), CARRIED.values(), ids=CARRIED)
def test_envelope_names_itself(body: Json, via: str) -> None:
    """The body of an event, a notification or an action says what carried the request."""
    assert _via(body) == via


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
def test_unreadable_body_says_nothing(body: str) -> None:
    """A body that cannot be read raises no exception here, and the message is unchanged."""
    unreadable = message(body)
    assert with_via(unreadable) is unreadable


def test_attribute_takes_precedence() -> None:
    """A message that a function sent has a stop request as its body, and the first envelope in an attribute."""
    assert _via(events.request(), via="event e-1") == "event e-1"
    assert _via(events.run_status(), via="event e-1") == "event e-1"


@pytest.mark.parametrize("character", ["x", "\0", "\U0001f6d1"])
def test_long_text_is_cut(character: str) -> None:
    """Sources and ARNs are the sender's words, and only their beginning is kept, from body and attribute."""
    long = character * 10_000
    for body in (
        events.run_status(envelope={"source": long}),
        {**events.alarm_action(), "alarmArn": long},
        events.notification(events.request(), TopicArn=long),
    ):
        assert len(_via(body)) == LONGEST_VIA
    assert _via(events.request(), via=long) == character * LONGEST_VIA


@given(st.text())
def test_no_body_raises_an_exception(body: str) -> None:
    """Any text is a body."""
    assert len(_via(body)) <= LONGEST_VIA


def test_request_has_the_envelope_of_its_message() -> None:
    """The message of a parsed request, and of a result without one, says what carried it."""
    bodies: list[tuple[str | Json, str]] = [*CARRIED.values(), *((body, "") for body in UNREADABLE.values())]
    messages = [message(body, message_id=str(number)) for number, (body, _) in enumerate(bodies)]
    requests, results = parse_requests(messages, dispatcher.parse, AWS_ENVIRONMENT)
    parsed = [*(request.message for request in requests), *(result.message for result in results)]
    expected = {str(number): via for number, (_, via) in enumerate(bodies)}
    assert {message.message_id: message.via for message in parsed} == expected


def test_rejected_record_has_none() -> None:
    """The body of a record that is not one of SQS is not read."""
    rejected = message(json.dumps(events.run_status()), rejection="the record: is not one of SQS")
    _, (result,) = parse_requests([rejected], dispatcher.parse, AWS_ENVIRONMENT)
    assert result.message == rejected
