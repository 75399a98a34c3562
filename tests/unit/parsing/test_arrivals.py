"""Arrivals: whatever the function is invoked with becomes messages."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluebrake.lambda_event import Arrival, arrival
from gluebrake.model import Invalid, ParsedRequest
from gluebrake.parsing import dispatcher
from tests.unit.parsing.events import (
    AWS_ENVIRONMENT,
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

GARBAGE: Final[dict[str, Any]] = {
    "text": "please stop",
    "JSON in text": json.dumps(request()),
    "number": 5,
    "fraction": 0.5,
    "nothing": None,
    "truth": True,
    "empty list": [],
    "empty object": {},
    "no records": {"Records": []},
    "records that are none": {"Records": None},
    "records that are text": {"Records": "aws:sqs"},
    "records that are an object": {"Records": {"eventSource": "aws:sqs"}},
    "records that are numbers": {"Records": [1, 2]},
    "list of mixed": [1, "x", None, {}, sqs_record(request()), [sqs_record(request())]],
    "records of two sources": {"Records": [sqs_record(request()), *S3_RECORDS["Records"]]},
    "records of a queue and a topic": {"Records": [sqs_record(request()), sns_record(request())]},
    "records of S3": S3_RECORDS,
    "records of Kinesis": KINESIS_RECORDS,
    "source that is no text": {"Records": [{"eventSource": ["aws:sqs"]}]},
    "notification without anything in it": {"Records": [{"EventSource": "aws:sns"}]},
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


def _arrival(event: Any) -> Arrival:
    return arrival(event, request_id="request-9", now=NOW, max_attempts=8, trusted_sender_ids=frozenset())


class TestQueues:
    """Records of a queue."""

    @pytest.mark.parametrize("in_a_list", [False, True], ids=["mapping", "pipe"])
    def test_each_record_is_a_message(self, *, in_a_list: bool) -> None:
        """A mapping's records, and a pipe's bare list of them, are the messages of the queue."""
        records = [sqs_record(request("jr_1"), "m-1"), sqs_record("prose", "m-2")]
        came = _arrival(records if in_a_list else {"Records": records})
        wanted = (
            message(request("jr_1"), message_id="m-1", receipt_handle="m-1/1"),
            message("prose", message_id="m-2", receipt_handle="m-2/1"),
        )
        assert came == Arrival(wanted, from_queue=True)

    def test_envelope_of_a_topic_stays_in_the_body(self) -> None:
        """A notification in a queue is one message, whose body is read as what was published."""
        envelope = sns_record(request())["Sns"]
        (one,) = _arrival({"Records": [sqs_record(envelope)]}).messages
        read = dispatcher.read(one, AWS_ENVIRONMENT)
        assert isinstance(read, ParsedRequest)
        assert read.run_ids == (RUN,)

    def test_records_in_a_body_are_no_messages(self) -> None:
        """A queue's message that holds records again is one message: nothing is unwrapped twice."""
        (one,) = _arrival({"Records": [sqs_record({"Records": [sqs_record(request())]})]}).messages
        assert isinstance(dispatcher.read(one, AWS_ENVIRONMENT), Invalid)

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
        ids=["of a rule", "of ours"],
    )
    def test_dead_letter_is_its_original(self, attributes: dict[str, str]) -> None:
        """What a rule or we put aside is read as the first time: its attributes are for people."""
        said = {name: {"dataType": "String", "stringValue": value} for name, value in attributes.items()}
        (one,) = _arrival({"Records": [sqs_record(run_status(), messageAttributes=said)]}).messages
        assert one == message(run_status(), receipt_handle="m-7/1")
        assert one.is_first

    def test_attributes_of_any_type_are_read_over(self) -> None:
        """Binary attributes of a producer, or none at all, are no matter."""
        binary = {"x": {"dataType": "Binary", "binaryValue": "AA==", "stringListValues": []}}
        for attributes in (binary, None):
            (one,) = _arrival([sqs_record(request(), messageAttributes=attributes)]).messages
            assert one == message(request(), receipt_handle="m-7/1")


class TestDirectInvocations:
    """All else: whoever invoked the function is answered."""

    def test_each_notification_is_a_message(self) -> None:
        """A topic's records are messages, each with its envelope, and nobody waits for failed ones."""
        came = _arrival({"Records": [sns_record(alarm_notification()), sns_record(request())]})
        assert not came.from_queue
        assert [one.message_id for one in came.messages] == ["request-9/0", "request-9/1"]
        first, second = (dispatcher.read(one, AWS_ENVIRONMENT) for one in came.messages)
        assert isinstance(first, ParsedRequest)
        assert isinstance(second, ParsedRequest)
        assert first.request.select
        assert first.request.select.started_before == CHANGED_AT
        assert second.run_ids == (RUN,)

    @pytest.mark.parametrize("event", [alarm_action(), run_status(), request(), request(Select={})])
    def test_event_is_the_message(self, event: dict[str, Any]) -> None:
        """An alarm's action, an event and a stop request are messages that came just now."""
        (one,) = _arrival(event).messages
        assert json.loads(one.body) == event
        assert (one.sent_at, one.sender, one.is_first) == (NOW, "invocation", True)
        assert isinstance(dispatcher.read(one, AWS_ENVIRONMENT), ParsedRequest)

    @pytest.mark.parametrize("event", GARBAGE.values(), ids=GARBAGE.keys())
    def test_garbage_is_an_invalid_message(self, event: Any) -> None:
        """What nobody understands is one message that cannot be used: it is answered, and put aside."""
        came = _arrival(event)
        assert not came.from_queue
        (one,) = came.messages
        assert isinstance(dispatcher.read(one, AWS_ENVIRONMENT), Invalid)

    @given(any_json)
    def test_nothing_that_lambda_can_deliver_crashes(self, event: Any) -> None:
        """Any JSON becomes messages that can be read."""
        for one in _arrival(event).messages:
            dispatcher.read(one, AWS_ENVIRONMENT)
