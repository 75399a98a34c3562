"""Messages are sent in the fewest calls, and the ids of those that SQS did not accept are returned."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ReadTimeoutError
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

from gluebrake.aws.sqs import MAX_BYTES, MAX_ENTRIES, Queues, batches
from gluebrake.contract import ATTEMPT, SENDER
from gluebrake.model import OutgoingMessage
from gluebrake.stages import Queue
from tests.support.builders import outgoing_message
from tests.support.fakes.aws_server import FakeAws
from tests.support.fakes.exchange import Answer, Call, Reply
from tests.support.fakes.faults import (
    EmptyBody,
    EntriesFailed,
    Fault,
    Latency,
    LostAnswer,
    Refused,
    Reset,
    Throttle,
    TruncatedBody,
)

URLS: Final = {queue: f"https://sqs.test/{queue.name}" for queue in Queue}


class RecordingClient:
    """Accepts every entry, or those that `accepts` selects, and records the calls."""

    def __init__(self, accepts: Callable[[Any], bool] = lambda _: True) -> None:
        self.calls: list[tuple[str, list[Any]]] = []
        self._accepts = accepts
        self._lock = threading.Lock()

    def send_message_batch(self, *, QueueUrl: str, Entries: list[Any]) -> dict[str, Any]:  # noqa: N803 - SQS's names
        """Answer as SQS does."""
        with self._lock:
            self.calls.append((QueueUrl, Entries))
        accepted = [entry for entry in Entries if self._accepts(entry)]
        failed = [entry for entry in Entries if not self._accepts(entry)]
        return {
            "Successful": [{"Id": entry["Id"]} for entry in accepted],
            "Failed": [{"Id": entry["Id"], "Code": "InternalError"} for entry in failed],
        }


def _queues(client: Any, calls_at_once: int = 1) -> Queues:
    return Queues(client, urls=URLS, calls_at_once=calls_at_once)


def _numbered(count: int, queue: Queue = Queue.STOP) -> list[OutgoingMessage]:
    return [
        outgoing_message(
            f"{queue.name} {number}", queue=queue, message_ids=frozenset({f"{queue.name}-{number}"})
        )
        for number in range(count)
    ]


def _bytes(entry: Any) -> int:
    """Return the bytes that SQS counts: the body, and each attribute's name, type and value."""
    texts = [entry["MessageBody"]]
    for name, value in entry["MessageAttributes"].items():
        texts += [name, value["DataType"], value["StringValue"]]
    return sum(len(text.encode()) for text in texts)


def _sent(aws: FakeAws) -> Iterator[tuple[str, str]]:
    """Yield the queue URL and the body of each message that was sent."""
    for request in aws.requests("SendMessageBatch"):
        yield from ((request["QueueUrl"], entry["MessageBody"]) for entry in request["Entries"])


@pytest.fixture
def aws_queues(aws: FakeAws) -> Queues:
    """Connect to the fake's queues, with an SQS client that tries each call only once."""
    urls = {queue: aws.sqs.add_queue(queue.name).url for queue in Queue}
    return Queues(boto3.client("sqs", **aws.client_options), urls=urls, calls_at_once=4)


class TestCalls:
    """The calls of SendMessageBatch."""

    def test_entry_has_the_members_of_the_api(self, aws: FakeAws) -> None:
        """Body, delay and attributes have the names and types of botocore's model."""
        client = boto3.client("sqs", **aws.client_options)
        entry = {
            "Id": "0",
            "MessageBody": "{}",
            "DelaySeconds": 30,
            "MessageAttributes": {ATTEMPT: {"DataType": "String", "StringValue": "2"}},
        }
        with Stubber(client) as sqs:
            sqs.add_response(
                "send_message_batch",
                {"Successful": [{"Id": "0", "MessageId": "new", "MD5OfMessageBody": ""}], "Failed": []},
                {"QueueUrl": URLS[Queue.CONFIRM], "Entries": [entry]},
            )
            message = outgoing_message("{}", queue=Queue.CONFIRM, attributes={ATTEMPT: "2"}, delay_seconds=30)
            assert _queues(client).send([message]) == frozenset()
            sqs.assert_no_pending_responses()

    def test_each_message_is_sent_to_its_queue(self, aws: FakeAws, aws_queues: Queues) -> None:
        """Each queue gets its own messages, with their bodies unchanged."""
        messages = [message for queue in Queue for message in _numbered(12, queue)]
        assert aws_queues.send(messages) == frozenset()
        expected = Counter((aws_queues.urls[message.queue], message.body) for message in messages)
        assert Counter(_sent(aws)) == expected
        assert len(aws.calls) == 2 * len(Queue)

    def test_nothing_to_send_is_no_call(self) -> None:
        """Without messages no call is made."""
        client = RecordingClient()
        assert _queues(client).send(iter(())) == frozenset()
        assert client.calls == []

    def test_calls_at_once_are_bounded(self, aws: FakeAws, aws_queues: Queues) -> None:
        """Calls run in parallel, but no more of them than are allowed."""
        aws.faults.add(Latency(0.02))
        assert aws_queues.send(_numbered(100)) == frozenset()
        assert 2 <= len(aws.connections) <= 4


sizes = st.lists(
    st.tuples(
        st.sampled_from(Queue),
        st.one_of(st.integers(1, 200_000), st.sampled_from([MAX_BYTES - 11, MAX_BYTES, MAX_BYTES + 1])),
        st.sampled_from(["x", "é", "\U0001f6d1"]),
        st.sampled_from([{}, {ATTEMPT: "1"}, {SENDER: "é" * 1024}]),
    ),
    max_size=30,
)


class TestBatches:
    """Batches are limited in entries and in bytes."""

    @given(sizes)
    def test_each_message_is_in_one_batch_within_the_limits(
        self, drawn: list[tuple[Queue, int, str, dict[str, str]]]
    ) -> None:
        """Each message that fits is sent once, in order. The ids of the others are returned."""
        messages = [
            outgoing_message(
                character * (size // len(character.encode())) + str(number),
                queue=queue,
                attributes=attributes,
                message_ids=frozenset({str(number)}),
            )
            for number, (queue, size, character, attributes) in enumerate(drawn)
        ]
        client = RecordingClient()
        failed = _queues(client).send(messages)
        for _, entries in client.calls:
            assert 1 <= len(entries) <= MAX_ENTRIES
            assert sum(map(_bytes, entries)) <= MAX_BYTES
            assert len({entry["Id"] for entry in entries}) == len(entries)
        for queue in Queue:
            expected = [m.body for m in messages if m.queue is queue and not m.message_ids & failed]
            sent = [e["MessageBody"] for url, entries in client.calls if url == URLS[queue] for e in entries]
            assert sent == expected
        assert failed == {
            message_id
            for message in messages
            for message_id in message.message_ids
            if len(message.body.encode())
            + sum(len(name) + len("String") + len(value.encode()) for name, value in message.attributes.items())
            > MAX_BYTES
        }

    @pytest.mark.parametrize(("count", "entries"), [(10, [10]), (11, [10, 1]), (25, [10, 10, 5])])
    def test_ten_entries_fill_a_batch(self, count: int, entries: list[int]) -> None:
        """A batch is filled before the next begins."""
        client = RecordingClient()
        _queues(client).send(_numbered(count))
        assert [len(batch) for _, batch in client.calls] == entries

    def test_no_item_is_no_batch(self) -> None:
        """The outcome events of an invocation use the batches as well, and there may be none."""
        assert list(batches([], len)) == []

    def test_bytes_fill_a_batch_exactly(self) -> None:
        """Two messages of 1 MiB together share a batch. With one byte more they need two."""
        client = RecordingClient()
        half = "x" * (MAX_BYTES // 2)
        _queues(client).send([outgoing_message(half), outgoing_message(half)])
        _queues(client).send([outgoing_message(half), outgoing_message(f"{half}x")])
        assert [len(batch) for _, batch in client.calls] == [2, 1, 1]

    def test_message_over_a_mebibyte_with_its_attributes_fails_alone(self) -> None:
        """A message that is too large is not sent, and the ids of all messages that led to it are returned."""
        attributes = {"ERROR_CODE": "InvalidRequest"}
        body = "x" * (MAX_BYTES - len("ERROR_CODE") - len("String") - len("InvalidRequest"))
        largest = outgoing_message(body, attributes=attributes)
        too_large = outgoing_message(f"{body}x", attributes=attributes, message_ids=frozenset({"m-2", "m-3"}))
        client = RecordingClient()
        assert _queues(client).send([too_large, largest]) == {"m-2", "m-3"}
        assert [entry["MessageBody"] for _, batch in client.calls for entry in batch] == [body]


class TestFailures:
    """Messages that SQS does not accept."""

    def test_ids_of_failed_entries_are_returned(self, aws: FakeAws, aws_queues: Queues) -> None:
        """The ids are those of the messages that led to the entries in Failed."""
        aws.faults.add(EntriesFailed(when=lambda entry: entry["MessageBody"].endswith("3")))
        messages = [*_numbered(25), *_numbered(5, Queue.CONFIRM)]
        assert aws_queues.send(messages) == {"STOP-3", "STOP-13", "STOP-23", "CONFIRM-3"}

    @pytest.mark.parametrize(
        "fault",
        [
            Refused("InternalError", status=500),
            Refused("AccessDenied"),
            Throttle(),
            LostAnswer(),
            Reset(),
            EmptyBody(),
            TruncatedBody(),
            TruncatedBody(whole_length=True),
        ],
        ids=repr,
    )
    def test_failed_call_fails_its_messages_only(self, aws: FakeAws, aws_queues: Queues, fault: Fault) -> None:
        """Whatever ends a call, the ids of its messages are returned, and the other calls are made."""
        first = {"STOP 0", "CONFIRM 0"}
        aws.faults.add(fault, when=lambda call: call.parameters["Entries"][0]["MessageBody"] in first)
        messages = [*_numbered(11), *_numbered(2, Queue.CONFIRM), *_numbered(1, Queue.DEAD_LETTER)]
        expected = {f"STOP-{number}" for number in range(10)} | {"CONFIRM-0", "CONFIRM-1"}
        assert aws_queues.send(messages) == expected

    def test_batch_that_sqs_finds_too_long_is_halved(self, aws: FakeAws, aws_queues: Queues) -> None:
        """Where SQS accepts fewer bytes in a batch, its messages are sent in smaller ones."""
        aws.faults.add(
            Refused("AWS.SimpleQueueService.BatchRequestTooLong"),
            when=lambda call: len(call.parameters["Entries"]) > 2,
        )
        assert aws_queues.send(_numbered(9)) == frozenset()
        sizes = sorted(len(request["Entries"]) for request in aws.requests("SendMessageBatch"))
        assert sizes == [1, 2, 2, 2, 2, 3, 4, 5, 9]

    def test_message_that_is_too_long_alone_fails(self, aws: FakeAws, aws_queues: Queues) -> None:
        """A message that SQS finds too long by itself is not accepted."""
        aws.faults.add(Refused("AWS.SimpleQueueService.BatchRequestTooLong"))
        assert aws_queues.send(_numbered(2)) == {"STOP-0", "STOP-1"}

    def test_call_that_times_out_fails_its_messages(self, aws: FakeAws) -> None:
        """A message of a call without response may not have been sent, so its ids are returned."""
        options = {**aws.client_options, "config": Config(read_timeout=0.05, retries={"total_max_attempts": 1})}
        client = boto3.client("sqs", **options)
        urls = {queue: aws.sqs.add_queue(queue.name).url for queue in Queue}
        aws.faults.add(Latency(0.3))
        assert Queues(client, urls=urls, calls_at_once=1).send([outgoing_message()]) == {"m-1"}
        with pytest.raises(ReadTimeoutError):
            client.send_message_batch(QueueUrl=urls[Queue.STOP], Entries=[{"Id": "0", "MessageBody": "x"}])

    @pytest.mark.parametrize("answer", [{}, {"Successful": []}, {"Failed": []}])
    def test_answer_without_entries_fails_all_messages(
        self, aws: FakeAws, aws_queues: Queues, answer: dict[str, Any]
    ) -> None:
        """A message that the answer does not name may not have been sent."""
        aws.faults.add(lambda _call, _answer: Reply(payload=answer))
        assert aws_queues.send(_numbered(2)) == {"STOP-0", "STOP-1"}

    def test_entry_that_the_answer_leaves_out_fails_alone(self, aws: FakeAws, aws_queues: Queues) -> None:
        """Only the ids of the entry that is missing are returned."""

        def leave_out_the_first(call: Call, answer: Answer) -> Reply:
            payload = answer(call).payload
            return Reply(payload={**payload, "Successful": payload["Successful"][1:]})

        aws.faults.add(leave_out_the_first)
        assert aws_queues.send(_numbered(3)) == {"STOP-0"}

    @pytest.mark.parametrize("payload", [{"Successful": [{}]}, {"Successful": 5}], ids=repr)
    def test_malformed_answer_fails_its_batch_only(
        self, aws: FakeAws, aws_queues: Queues, payload: dict[str, Any]
    ) -> None:
        """An unexpected exception concerns the messages of its own batch only."""
        malformed = Reply(payload=payload)
        aws.faults.add(
            lambda _call, _answer: malformed, when=lambda call: "STOP" in call.parameters["QueueUrl"]
        )
        assert aws_queues.send([*_numbered(2), *_numbered(1, Queue.CONFIRM)]) == {"STOP-0", "STOP-1"}

    def test_message_with_a_failed_send_is_redelivered(self) -> None:
        """A message is done only when everything that it led to was sent."""
        messages = [
            outgoing_message("a"),
            outgoing_message("b"),
            outgoing_message("c", message_ids=frozenset({"m-2"})),
        ]
        client = RecordingClient(accepts=lambda entry: entry["MessageBody"] != "b")
        assert _queues(client).send(messages) == {"m-1"}

    @pytest.mark.parametrize("queue", Queue)
    def test_body_that_is_not_unicode_fails_alone(self, queue: Queue) -> None:
        """SQS refuses half of a surrogate pair. Only the ids of that message are returned."""
        bad = outgoing_message("\ud800", queue=queue, message_ids=frozenset({"bad"}))
        client = RecordingClient()
        assert _queues(client).send([bad, outgoing_message("good")]) == {"bad"}


class TestAttributes:
    """Attribute values are cut and cleaned to what SQS accepts."""

    @pytest.mark.parametrize(
        ("value", "cleaned"),
        [
            ("plain", "plain"),
            ("two\nlines\r\tand é\U0001f6d1", "two\nlines\r\tand é\U0001f6d1"),
            ("\0\x07\x1b\x0b", "\ufffd" * 4),
            ("\ud800\udfff\ufffe\uffff", "\ufffd" * 4),
            ("x" * 1025, "x" * 1024),
        ],
    )
    def test_value_is_cleaned(self, value: str, cleaned: str) -> None:
        """Characters that SQS refuses are replaced, and a long value is cut."""
        client = RecordingClient()
        _queues(client).send([outgoing_message(attributes={SENDER: value})])
        ((_, (entry,)),) = client.calls
        assert entry["MessageAttributes"] == {SENDER: {"DataType": "String", "StringValue": cleaned}}

    def test_empty_value_is_left_out(self) -> None:
        """SQS refuses an attribute without a value."""
        client = RecordingClient()
        _queues(client).send([outgoing_message(attributes={SENDER: "", ATTEMPT: "0"})])
        ((_, (entry,)),) = client.calls
        assert entry["MessageAttributes"].keys() == {ATTEMPT}

    def test_sqs_accepts_any_cleaned_value(self, aws: FakeAws, aws_queues: Queues) -> None:
        """A message is sent whatever characters the text of its error has."""
        values = [chr(code) * 3 for code in (0, 8, 31, 127, 0xD800, 0xDFFF, 0xFFFE, 0xFFFF, 0x10FFFF)]
        messages = [
            outgoing_message(json.dumps(value), attributes={"ERROR_MESSAGE": value}) for value in values
        ]
        assert aws_queues.send(messages) == frozenset()
        assert len(list(_sent(aws))) == len(values)


class TestDeleting:
    """The calls of DeleteMessageBatch."""

    def test_messages_are_deleted_ten_at_a_time(self, aws: FakeAws, aws_queues: Queues) -> None:
        """Each receipt handle is sent to its queue once, in the fewest calls."""
        handles = [f"handle {number}" for number in range(25)]
        aws_queues.delete(Queue.CONFIRM, handles)
        requests = aws.requests("DeleteMessageBatch")
        assert sorted(len({entry["Id"] for entry in request["Entries"]}) for request in requests) == [5, 10, 10]
        assert {request["QueueUrl"] for request in requests} == {aws_queues.urls[Queue.CONFIRM]}
        assert aws.sqs.deleted == set(handles)

    def test_nothing_to_delete_is_no_call(self, aws: FakeAws, aws_queues: Queues) -> None:
        """Without receipt handles no call is made."""
        aws_queues.delete(Queue.STOP, [])
        assert not aws.calls

    @pytest.mark.parametrize(
        "fault", [Refused("AccessDenied"), Throttle(), LostAnswer(), EmptyBody()], ids=repr
    )
    def test_failed_deletion_causes_no_error(self, aws: FakeAws, aws_queues: Queues, fault: Fault) -> None:
        """SQS redelivers a message that is not deleted, and the other call is made."""
        aws.faults.add(fault, times=1)
        aws_queues.delete(Queue.STOP, [f"handle {number}" for number in range(11)])
        assert aws.sqs.deleted  # by the call without the fault, whichever was first
