"""A message of the sweep queue names deployed policies and a due time, and can carry nothing else."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluebrake.model import NotARequest
from gluebrake.parsing import sweep_request
from gluebrake.parsing.context import Context
from gluebrake.parsing.errors import ParsingError
from gluebrake.policies import DueRequest, Trigger
from tests.support.builders import AWS_ENVIRONMENT, NOON

pytestmark = pytest.mark.disable_socket

TOPIC: Final = "arn:aws:sns:eu-west-1:123456789012:gluebrake-budget"
SIGNALS: Final = {TOPIC: "budget"}
SCHEDULED: Final[dict[str, Any]] = {"Policies": ["runaway", "night"], "Due": "2026-11-24T11:58:00Z"}
SIGNAL: Final[dict[str, Any]] = {
    "Type": "Notification",
    "MessageId": "8f6f5d6e-1f2b-5e4c-9d2a-0b9a8c7d6e5f",
    "TopicArn": TOPIC,
    "Subject": "AWS Budgets: dev",
    "Message": "AWS Budget Notification November 24, 2026\nAWS Account 123456789012",
    "Timestamp": "2026-11-24T11:59:30.123Z",
    "SignatureVersion": "1",
}


def _parse(body: bytes | dict[str, Any] | list[Any] | str) -> list[DueRequest] | NotARequest:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return sweep_request.parse(content, Context(AWS_ENVIRONMENT, NOON), signals=SIGNALS)


def _error(body: bytes | dict[str, Any] | list[Any] | str) -> str:
    with pytest.raises(ParsingError) as error:
        _parse(body)
    return str(error.value)


class TestSchedules:
    """The input of a schedule."""

    def test_policies_and_due_time_are_read(self) -> None:
        """The due time is the schedule's, however late the message is."""
        assert _parse(SCHEDULED) == [
            DueRequest(("runaway", "night"), datetime(2026, 11, 24, 11, 58, tzinfo=UTC), Trigger.SCHEDULE)
        ]

    def test_order_of_the_fields_does_not_matter(self) -> None:
        """JSON objects have no order."""
        assert _parse(dict(reversed(SCHEDULED.items()))) == _parse(SCHEDULED)

    @pytest.mark.parametrize(
        ("change", "error"),
        [
            ({"Mode": "stop"}, "Mode: unknown field; allowed: Policies, Due"),
            ({"MaxRuns": 1000}, "MaxRuns: unknown field; allowed: Policies, Due"),
            ({"Policies": [{"name": "mine"}]}, "Policies[0]: Expected `str`, got `object`"),
            ({"Policies": []}, "Policies: Expected `array` of length >= 1"),
            ({"Policies": "runaway"}, "Policies: Expected `array`, got `str`"),
            ({"Policies": None}, "Policies: Expected `array`, got `null`"),
            ({"Due": "2026-11-24T11:58:00"}, "Due: Expected `datetime` with a timezone component"),
            ({"Due": "soon"}, "Due: Invalid RFC3339 encoded datetime"),
            ({"Due": "<aws.scheduler.scheduled-time>"}, "Due: Invalid RFC3339 encoded datetime"),
            ({"Due": None}, "Due: Expected `datetime`, got `null`"),
            ({"TopicArn": 7}, "TopicArn: unknown field; allowed: Policies, Due"),
        ],
        ids=str,
    )
    def test_message_can_carry_no_policy_mode_or_cap(self, change: dict[str, Any], error: str) -> None:
        """Only names and a time are allowed. The error names the field and the rule."""
        assert _error({**SCHEDULED, **change}) == error

    @pytest.mark.parametrize("field", ["Policies", "Due"])
    def test_both_fields_are_required(self, field: str) -> None:
        """The error names the missing field."""
        body = {name: value for name, value in SCHEDULED.items() if name != field}
        assert _error(body) == f"{field}: missing; it is required"

    @pytest.mark.parametrize(
        ("body", "error"),
        [
            ([], "the body: Expected `object`, got `array`"),
            ("sweep", "the body: Expected `object`, got `str`"),
            (b"null", "the body: Expected `object`, got `null`"),
            (b"{", "the body: is not JSON"),
            (b"", "the body: is empty"),
            (b"\xff", "the body: is not JSON"),
            (b'{"TopicArn": "x"', "the body: is not JSON"),
            (SIGNAL["Message"].encode(), "the body: is AWS Budgets' text"),
        ],
        ids=str,
    )
    def test_other_bodies_cannot_be_used(self, body: Any, error: str) -> None:
        """A body that is no object, or no JSON, starts no sweep."""
        assert _error(body).startswith(error)


class TestSignals:
    """A notification of a policy's signal topic."""

    def test_any_message_of_the_topic_makes_its_policy_due(self) -> None:
        """The due time is that of the notification."""
        at = datetime(2026, 11, 24, 11, 59, 30, 123_000, tzinfo=UTC)
        assert _parse(SIGNAL) == [DueRequest(("budget",), at, Trigger.SIGNAL)]

    @pytest.mark.parametrize(
        "published",
        [
            "",
            "stop everything",
            json.dumps({"Policies": ["other"], "Due": "2026-11-24T11:00:00Z"}),
            json.dumps({"JobName": "etl", "JobRunIds": ["jr_1"]}),
            None,
            7,
            {"Policies": ["other"]},
        ],
        ids=str,
    )
    def test_what_was_published_is_not_read(self, published: Any) -> None:
        """The signal decides when, and the policy decides what."""
        assert _parse({**SIGNAL, "Message": published}) == _parse(SIGNAL)

    @given(st.dictionaries(st.text(max_size=9), st.none() | st.integers() | st.text(max_size=9), max_size=4))
    def test_no_other_member_changes_the_request(self, members: dict[str, Any]) -> None:
        """Only the topic, the time and the type are read."""
        assert _parse({**members, **SIGNAL}) == _parse(SIGNAL)

    @pytest.mark.parametrize(
        "timestamp",
        ["", "soon", "2026-11-24", "2026-11-24T11:00:00", "2026-11-24T12:00:01Z", "9999-12-31T23:59:59-12:00"],
    )
    def test_time_that_cannot_be_used_is_the_messages(self, timestamp: str) -> None:
        """A time without an offset, or later than the message's own, is replaced by the time it was sent."""
        assert _parse({**SIGNAL, "Timestamp": timestamp}) == [DueRequest(("budget",), NOON, Trigger.SIGNAL)]

    def test_notification_without_time_and_type_is_read(self) -> None:
        """Only the topic is required."""
        assert _parse({"TopicArn": TOPIC}) == [DueRequest(("budget",), NOON, Trigger.SIGNAL)]

    @pytest.mark.parametrize("topic", ["", TOPIC + "2", TOPIC.replace("eu-west-1", "eu-west-2"), "budget"])
    def test_topic_of_no_policy_cannot_be_used(self, topic: str) -> None:
        """Whatever topic may send to the queue, only a policy's own topic starts its sweep."""
        assert (
            _error({**SIGNAL, "TopicArn": topic}) == f"TopicArn: {topic!r} is the topic of no deployed policy"
        )

    def test_long_topic_is_cut_in_the_error(self) -> None:
        """An error fits into a dead letter's attribute."""
        assert len(_error({**SIGNAL, "TopicArn": "x" * 10_000})) < 400

    @pytest.mark.parametrize("kind", ["SubscriptionConfirmation", "UnsubscribeConfirmation", "", "x" * 999])
    def test_message_of_another_type_requests_nothing(self, kind: str) -> None:
        """A confirmation of a subscription is not a signal, from whichever topic."""
        for topic in (TOPIC, "other"):
            parsed = _parse({**SIGNAL, "TopicArn": topic, "Type": kind})
            assert isinstance(parsed, NotARequest)
            assert parsed.why == f"an SNS message of type {kind[:64]!r} publishes nothing"

    @pytest.mark.parametrize("member", ["TopicArn", "Timestamp", "Type"])
    def test_member_of_another_type_cannot_be_used(self, member: str) -> None:
        """SNS sends text, so the body is no notification, and no schedule's input either."""
        assert "unknown field; allowed: Policies, Due" in _error({**SIGNAL, member: 7})

    def test_signal_is_due_when_it_was_published(self) -> None:
        """A notification that waited in the queue keeps its time, so that its age is known."""
        waited = {**SIGNAL, "Timestamp": (NOON - timedelta(hours=7)).isoformat()}
        assert _parse(waited) == [DueRequest(("budget",), NOON - timedelta(hours=7), Trigger.SIGNAL)]
