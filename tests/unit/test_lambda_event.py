"""Tests that every event that invokes a function becomes messages."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluebrake import lambda_event
from gluebrake.contract import VIA
from gluebrake.lambda_event import LambdaEvent
from gluebrake.model import ParsedRequest
from tests.support.builders import FUNCTION_SENDER_ID, Invalid, bookkeeping, parse_one
from tests.unit.parsing.events import (
    CHANGED_AT,
    KINESIS_RECORDS,
    RUN,
    S3_RECORDS,
    SENT_AT,
    alarm_action,
    alarm_notification,
    message,
    request,
    run_status,
    sns_record,
    sqs_record,
)

pytestmark = pytest.mark.disable_socket

NOW: Final = SENT_AT + timedelta(seconds=1)

UNUSABLE: Final[dict[str, Any]] = {
    "text": "please stop",
    "JSON in text": json.dumps(request()),
    "number": 5,
    "fraction": 0.5,
    "nothing": None,
    "truth": True,
    "empty list": [],
    "empty object": {},
    "no records": {"Records": []},
    "records that are null": {"Records": None},
    "records that are text": {"Records": "aws:sqs"},
    "records that are an object": {"Records": {"eventSource": "aws:sqs"}},
    "records that are numbers": {"Records": [1, 2]},
    "list of different types": [1, "x", None, {}, sqs_record(request()), [sqs_record(request())]],
    "records of two sources": {"Records": [sqs_record(request()), *S3_RECORDS["Records"]]},
    "records of a queue and a topic": {"Records": [sqs_record(request()), sns_record(request())]},
    "records of S3": S3_RECORDS,
    "records of Kinesis": KINESIS_RECORDS,
    "source that is not text": {"Records": [{"eventSource": ["aws:sqs"]}]},
    "record without a notification": {"Records": [{"EventSource": "aws:sns"}]},
    "notification that is text": {"Records": [{"EventSource": "aws:sns", "Sns": "x"}]},
    "infinity": {"JobName": float("inf")},
    "half of a pair": {"JobName": "\ud800", "JobRunIds": ["jr_1"]},
    "a list of requests": [request(), request()],
}

any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["Records", "EventSource", "Sns", "JobName", "x"]), inner, max_size=3)
    ),
    max_leaves=12,
)


def _parse(event: Any) -> LambdaEvent:
    return lambda_event.parse(event, request_id="request-9", now=NOW, bookkeeping=bookkeeping())


class TestQueueRecords:
    """Records of an SQS queue."""

    @pytest.mark.parametrize("in_a_list", [False, True], ids=["mapping", "pipe"])
    def test_each_record_is_a_message(self, *, in_a_list: bool) -> None:
        """Each record of an event source mapping, or of a pipe's list, is a message."""
        records = [sqs_record(request("jr_1"), "m-1"), sqs_record("prose", "m-2")]
        parsed = _parse(records if in_a_list else {"Records": records})
        expected = (
            message(request("jr_1"), message_id="m-1", receipt_handle="m-1/1"),
            message("prose", message_id="m-2", receipt_handle="m-2/1"),
        )
        assert parsed == LambdaEvent(expected, from_queue=True)

    def test_notification_in_a_queue_is_one_message(self) -> None:
        """The notification is the message's body, and is parsed as the published message."""
        envelope = sns_record(request())["Sns"]
        (queued,) = _parse({"Records": [sqs_record(envelope)]}).messages
        parsed = parse_one(queued)
        assert isinstance(parsed, ParsedRequest)
        assert parsed.run_ids == (RUN,)

    def test_records_in_a_body_are_not_messages(self) -> None:
        """A message whose body has records is one message, which is invalid."""
        (queued,) = _parse({"Records": [sqs_record({"Records": [sqs_record(request())]})]}).messages
        assert isinstance(parse_one(queued), Invalid)

    @pytest.mark.parametrize(
        "attributes",
        [
            {
                "RULE_ARN": "arn:aws:events:eu-west-1:1:rule/r",
                "ERROR_CODE": "NO_PERMISSIONS",
                "RETRY_ATTEMPTS": "0",
            },
            {"ERROR_CODE": "ThrottlingException", "ERROR_MESSAGE": "Rate exceeded", "RETRY_ATTEMPTS": "8"},
        ],
        ids=["of EventBridge", "of Gluebrake"],
    )
    def test_error_attributes_of_a_dead_letter_are_ignored(self, attributes: dict[str, str]) -> None:
        """A redriven dead letter is parsed like the original message. Its error attributes are for people."""
        error_attributes = {
            name: {"dataType": "String", "stringValue": value} for name, value in attributes.items()
        }
        record = sqs_record(run_status(), messageAttributes=error_attributes)
        (redriven,) = _parse({"Records": [record]}).messages
        assert redriven == message(run_status(), receipt_handle="m-7/1")
        assert redriven.is_first

    @pytest.mark.parametrize(
        ("member", "value", "why"),
        [("body", 5, "TypeError"), ("attributes", {}, "KeyError"), ("attributes", "none", "TypeError")],
    )
    def test_record_that_is_not_one_of_sqs_is_rejected(self, member: str, value: object, why: str) -> None:
        """A caller may send it. Its message has the reason, and the other records are messages as usual."""
        malformed, valid = sqs_record(request(), "m-1"), sqs_record(request(), "m-2")
        rejected, other = _parse({"Records": [{**malformed, member: value}, valid]}).messages
        assert rejected.message_id == "m-1"
        assert rejected.rejection.startswith(f"the record: is not one of SQS ({why}")
        assert other == message(request(), message_id="m-2", receipt_handle="m-2/1")

    @pytest.mark.parametrize(
        ("sender", "via"),
        [
            (FUNCTION_SENDER_ID, "event e-1"),
            (FUNCTION_SENDER_ID.partition(":")[0], "event e-1"),
            ("AROAANOTHER:stop", ""),
            ("", ""),
        ],
    )
    def test_envelope_is_believed_of_functions_only(self, sender: str, via: str) -> None:
        """The attribute with the first envelope counts only in a message that a function sent."""
        attributes = {VIA: {"dataType": "String", "stringValue": "event e-1"}}
        record = sqs_record(request(), messageAttributes=attributes)
        record["attributes"]["SenderId"] = sender
        (queued,) = _parse({"Records": [record]}).messages
        assert queued.via == via

    def test_attributes_of_producers_are_ignored(self) -> None:
        """A message may have binary attributes, or no attributes."""
        binary = {"x": {"dataType": "Binary", "binaryValue": "AA==", "stringListValues": []}}
        for attributes in (binary, None):
            (parsed,) = _parse([sqs_record(request(), messageAttributes=attributes)]).messages
            assert parsed == message(request(), receipt_handle="m-7/1")


class TestDirectInvocations:
    """Every other event: the caller gets the response."""

    def test_each_notification_is_a_message(self) -> None:
        """A topic's records are messages with their notifications, and SNS expects no batchItemFailures."""
        parsed = _parse({"Records": [sns_record(alarm_notification()), sns_record(request())]})
        assert not parsed.from_queue
        assert [direct.message_id for direct in parsed.messages] == ["request-9/0", "request-9/1"]
        first, second = map(parse_one, parsed.messages)
        assert isinstance(first, ParsedRequest)
        assert isinstance(second, ParsedRequest)
        assert first.request.select
        assert first.request.select.started_before == CHANGED_AT
        assert second.run_ids == (RUN,)

    @pytest.mark.parametrize("event", [alarm_action(), run_status(), request(), request(Select={})])
    def test_event_is_the_message(self, event: dict[str, Any]) -> None:
        """An alarm's action, an event and a stop request are messages that are sent now."""
        (direct,) = _parse(event).messages
        assert json.loads(direct.body) == event
        assert (direct.sent_at, direct.sender, direct.is_first) == (NOW, "invocation", True)
        assert isinstance(parse_one(direct), ParsedRequest)

    @pytest.mark.parametrize("event", UNUSABLE.values(), ids=UNUSABLE.keys())
    def test_unusable_event_is_an_invalid_message(self, event: Any) -> None:
        """An event of unknown format is one message, which is invalid."""
        parsed = _parse(event)
        assert not parsed.from_queue
        (direct,) = parsed.messages
        assert isinstance(parse_one(direct), Invalid)

    def test_large_event_is_rejected(self) -> None:
        """The message keeps the beginning of the event, and has the limit as the reason."""
        (direct,) = _parse(request(Reason="x" * 1_000_000)).messages
        assert direct.body == json.dumps(request(Reason="x" * 1_000_000))[:65_536]
        assert direct.rejection.startswith("the payload: has 1,000,139 bytes; at most 1,000,000 are allowed")

    @given(any_json)
    def test_no_event_raises_an_exception(self, event: Any) -> None:
        """Any JSON becomes messages, and parsing each of them has a result."""
        for parsed in _parse(event).messages:
            parse_one(parsed)
