"""Queues: what is sent goes in as few calls as fit, and what did not get there is known."""

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

from gluebrake.aws.sqs import MAX_BYTES, MAX_ENTRIES, Queues
from gluebrake.contract import ATTEMPT, SENDER
from gluebrake.model import Queue, Send
from tests.support.builders import send
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
    """Takes every entry, or those that `takes` lets through, and keeps the calls."""

    def __init__(self, takes: Callable[[Any], bool] = lambda _: True) -> None:
        self.calls: list[tuple[str, list[Any]]] = []
        self._takes = takes
        self._lock = threading.Lock()

    def send_message_batch(self, *, QueueUrl: str, Entries: list[Any]) -> dict[str, Any]:  # noqa: N803 - SQS's names
        """Answer as SQS does."""
        with self._lock:
            self.calls.append((QueueUrl, Entries))
        taken = [entry for entry in Entries if self._takes(entry)]
        failed = [entry for entry in Entries if not self._takes(entry)]
        return {
            "Successful": [{"Id": entry["Id"]} for entry in taken],
            "Failed": [{"Id": entry["Id"], "Code": "InternalError"} for entry in failed],
        }


def _queues(client: Any, calls_at_once: int = 1) -> Queues:
    return Queues(client, urls=URLS, calls_at_once=calls_at_once)


def _numbered(count: int, queue: Queue = Queue.STOP) -> list[Send]:
    return [
        send(f"{queue.name} {number}", queue=queue, message_ids=frozenset({f"{queue.name}-{number}"}))
        for number in range(count)
    ]


def _bytes(entry: Any) -> int:
    """Count as SQS does: the body, and each attribute's name, type and value."""
    texts = [entry["MessageBody"]]
    for name, value in entry["MessageAttributes"].items():
        texts += [name, value["DataType"], value["StringValue"]]
    return sum(len(text.encode()) for text in texts)


@pytest.fixture
def aws_queues(aws: FakeAws) -> Queues:
    """Connect to the fake's queues, with an SQS client that tries once."""
    urls = {queue: aws.sqs.add_queue(queue.name).url for queue in Queue}
    return Queues(boto3.client("sqs", **aws.client_options), urls=urls, calls_at_once=4)


class TestCalls:
    """SendMessageBatch, as SQS's own model has it."""

    def test_entry_has_what_sqs_takes(self, aws: FakeAws) -> None:
        """The body, the delay and text attributes are sent under the names of SQS's model."""
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
            sent = send("{}", queue=Queue.CONFIRM, attributes={ATTEMPT: "2"}, delay_seconds=30)
            assert _queues(client).send([sent]) == frozenset()
            sqs.assert_no_pending_responses()

    def test_messages_arrive_in_their_queues(self, aws: FakeAws, aws_queues: Queues) -> None:
        """Each message is in its own queue, as it was."""
        sends = [sent for queue in Queue for sent in _numbered(12, queue)]
        assert aws_queues.send(sends) == frozenset()
        bodies = [record["body"] for record in _records(aws)]
        assert Counter(bodies) == Counter(sent.body for sent in sends)
        assert len(aws.calls) == 6

    def test_nothing_to_send_is_no_call(self) -> None:
        """Without messages nothing is called."""
        client = RecordingClient()
        assert _queues(client).send(iter(())) == frozenset()
        assert client.calls == []

    def test_calls_at_once_are_bounded(self, aws: FakeAws, aws_queues: Queues) -> None:
        """No more connections are open than calls may be under way, and those are made use of."""
        aws.faults.add(Latency(0.02))
        assert aws_queues.send(_numbered(100)) == frozenset()
        assert 2 <= len(aws.connections) <= 4


def _records(aws: FakeAws) -> Iterator[dict[str, Any]]:
    for request in aws.requests("SendMessageBatch"):
        for entry in request["Entries"]:
            yield {"body": entry["MessageBody"], **entry}


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
    """By count, and by bytes."""

    @given(sizes)
    def test_each_message_is_in_one_batch_within_the_limits(
        self, some: list[tuple[Queue, int, str, dict[str, str]]]
    ) -> None:
        """Each message that SQS can take is sent once, in order, and the others are given back."""
        sends = [
            send(
                character * (size // len(character.encode())) + str(number),
                queue=queue,
                attributes=attributes,
                message_ids=frozenset({str(number)}),
            )
            for number, (queue, size, character, attributes) in enumerate(some)
        ]
        client = RecordingClient()
        failed = _queues(client).send(sends)
        for _, entries in client.calls:
            assert 1 <= len(entries) <= MAX_ENTRIES
            assert sum(map(_bytes, entries)) <= MAX_BYTES
            assert len({entry["Id"] for entry in entries}) == len(entries)
        for queue in Queue:
            wanted = [one.body for one in sends if one.queue is queue and not one.message_ids & failed]
            sent = [e["MessageBody"] for url, entries in client.calls if url == URLS[queue] for e in entries]
            assert sent == wanted
        assert failed == {
            message_id
            for one in sends
            for message_id in one.message_ids
            if len(one.body.encode()) + sum(6 + len(k) + len(v.encode()) for k, v in one.attributes.items())
            > MAX_BYTES
        }

    @pytest.mark.parametrize(("count", "entries"), [(10, [10]), (11, [10, 1]), (25, [10, 10, 5])])
    def test_ten_entries_fill_a_batch(self, count: int, entries: list[int]) -> None:
        """A batch is filled before the next begins."""
        client = RecordingClient()
        _queues(client).send(_numbered(count))
        assert [len(batch) for _, batch in client.calls] == entries

    def test_bytes_fill_a_batch_exactly(self) -> None:
        """Messages that are 1 MiB together share a batch, and one byte more makes it two."""
        client = RecordingClient()
        half = "x" * (MAX_BYTES // 2)
        _queues(client).send([send(half), send(half)])
        _queues(client).send([send(half), send(f"{half}x")])
        assert [len(batch) for _, batch in client.calls] == [2, 1, 1]

    def test_message_with_its_attributes_over_a_mebibyte_is_given_back(self) -> None:
        """What SQS cannot take is not sent, all its messages come back, and its neighbours go."""
        attributes = {"ERROR_CODE": "InvalidRequest"}
        body = "x" * (MAX_BYTES - len("ERROR_CODE") - len("String") - len("InvalidRequest"))
        largest = send(body, attributes=attributes)
        too_large = send(f"{body}x", attributes=attributes, message_ids=frozenset({"m-2", "m-3"}))
        client = RecordingClient()
        assert _queues(client).send([too_large, largest]) == {"m-2", "m-3"}
        assert [entry["MessageBody"] for _, batch in client.calls for entry in batch] == [body]


class TestFailures:
    """What did not get there."""

    def test_entries_that_fail_bring_back_their_messages(self, aws: FakeAws, aws_queues: Queues) -> None:
        """Exactly the messages behind the entries in Failed come back."""
        aws.faults.add(EntriesFailed(when=lambda entry: entry["MessageBody"].endswith("3")))
        sends = [*_numbered(25), *_numbered(5, Queue.CONFIRM)]
        assert aws_queues.send(sends) == {"STOP-3", "STOP-13", "STOP-23", "CONFIRM-3"}

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
    def test_call_that_fails_brings_back_its_messages(
        self, aws: FakeAws, aws_queues: Queues, fault: Fault
    ) -> None:
        """Whatever ends a call, the messages behind it come back, and other calls go on."""
        first = {"STOP 0", "CONFIRM 0"}
        aws.faults.add(fault, when=lambda call: call.parameters["Entries"][0]["MessageBody"] in first)
        sends = [*_numbered(11), *_numbered(2, Queue.CONFIRM), *_numbered(1, Queue.DEAD_LETTER)]
        expected = {f"STOP-{number}" for number in range(10)} | {"CONFIRM-0", "CONFIRM-1"}
        assert aws_queues.send(sends) == expected

    def test_queue_that_does_not_answer_brings_back_its_messages(self, aws: FakeAws) -> None:
        """A call that takes too long was perhaps not sent, so its messages come back."""
        options = {**aws.client_options, "config": Config(read_timeout=0.05, retries={"total_max_attempts": 1})}
        client = boto3.client("sqs", **options)
        urls = {queue: aws.sqs.add_queue(queue.name).url for queue in Queue}
        aws.faults.add(Latency(0.3))
        assert Queues(client, urls=urls, calls_at_once=1).send([send()]) == {"m-1"}
        with pytest.raises(ReadTimeoutError):
            client.send_message_batch(QueueUrl=urls[Queue.STOP], Entries=[{"Id": "0", "MessageBody": "x"}])

    @pytest.mark.parametrize("answer", [{}, {"Successful": []}, {"Failed": []}])
    def test_answer_without_an_entry_is_no_success(
        self, aws: FakeAws, aws_queues: Queues, answer: dict[str, Any]
    ) -> None:
        """A message that SQS's answer does not name was perhaps not sent."""
        aws.faults.add(lambda _call, _answer: Reply(payload=answer))
        assert aws_queues.send(_numbered(2)) == {"STOP-0", "STOP-1"}

    def test_entry_left_out_of_the_answer_comes_back(self, aws: FakeAws, aws_queues: Queues) -> None:
        """Silence about one entry brings back that one's messages only."""

        def forget_one(call: Call, answer: Answer) -> Reply:
            payload = answer(call).payload
            return Reply(payload={**payload, "Successful": payload["Successful"][1:]})

        aws.faults.add(forget_one)
        assert aws_queues.send(_numbered(3)) == {"STOP-0"}

    @pytest.mark.parametrize("payload", [{"Successful": [{}]}, {"Successful": 5}], ids=repr)
    def test_answer_that_makes_no_sense_touches_no_other_batch(
        self, aws: FakeAws, aws_queues: Queues, payload: dict[str, Any]
    ) -> None:
        """An exception that nobody foresaw, in one batch, brings back that one's messages only."""
        broken = Reply(payload=payload)
        aws.faults.add(lambda _call, _answer: broken, when=lambda call: "STOP" in call.parameters["QueueUrl"])
        assert aws_queues.send([*_numbered(2), *_numbered(1, Queue.CONFIRM)]) == {"STOP-0", "STOP-1"}

    def test_message_behind_two_sends_comes_back_when_one_fails(self) -> None:
        """A message is done only when everything it led to was sent."""
        sends = [send("a"), send("b"), send("c", message_ids=frozenset({"m-2"}))]
        client = RecordingClient(takes=lambda entry: entry["MessageBody"] != "b")
        assert _queues(client).send(sends) == {"m-1"}

    @pytest.mark.parametrize("queue", Queue)
    def test_body_that_sqs_cannot_take_is_given_back(self, queue: Queue) -> None:
        """A body with half of a surrogate pair brings back its own message, and no other."""
        bad = send("\ud800", queue=queue, message_ids=frozenset({"bad"}))
        client = RecordingClient()
        assert _queues(client).send([bad, send("good")]) == {"bad"}


class TestAttributes:
    """Values are cut and cleaned to what SQS allows."""

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
        """What SQS refuses in an attribute is replaced, and a long value is cut."""
        client = RecordingClient()
        _queues(client).send([send(attributes={SENDER: value})])
        ((_, (entry,)),) = client.calls
        assert entry["MessageAttributes"] == {SENDER: {"DataType": "String", "StringValue": cleaned}}

    def test_empty_value_is_left_out(self) -> None:
        """SQS refuses an attribute without a value."""
        client = RecordingClient()
        _queues(client).send([send(attributes={SENDER: "", ATTEMPT: "0"})])
        ((_, (entry,)),) = client.calls
        assert entry["MessageAttributes"].keys() == {ATTEMPT}

    def test_any_values_are_taken_by_sqs(self, aws: FakeAws, aws_queues: Queues) -> None:
        """Whatever an error's text holds, the message that carries it is sent."""
        values = [chr(code) * 3 for code in (0, 8, 31, 127, 0xD800, 0xDFFF, 0xFFFE, 0xFFFF, 0x10FFFF)]
        sends = [send(json.dumps(value), attributes={"ERROR_MESSAGE": value}) for value in values]
        assert aws_queues.send(sends) == frozenset()
        assert len(list(_records(aws))) == len(values)


class TestAcknowledging:
    """DeleteMessageBatch."""

    def test_messages_are_deleted_ten_at_a_time(self, aws: FakeAws, aws_queues: Queues) -> None:
        """Each receipt handle goes to its queue once, in as few calls as SQS allows."""
        handles = [f"handle {number}" for number in range(25)]
        aws_queues.acknowledge(Queue.CONFIRM, handles)
        requests = aws.requests("DeleteMessageBatch")
        assert sorted(len({entry["Id"] for entry in request["Entries"]}) for request in requests) == [5, 10, 10]
        assert {request["QueueUrl"] for request in requests} == {aws_queues.urls[Queue.CONFIRM]}
        assert aws.sqs.deleted == set(handles)

    def test_nothing_to_delete_is_no_call(self, aws: FakeAws, aws_queues: Queues) -> None:
        """Without handles nothing is called."""
        aws_queues.acknowledge(Queue.STOP, [])
        assert not aws.calls

    @pytest.mark.parametrize(
        "fault", [Refused("AccessDenied"), Throttle(), LostAnswer(), EmptyBody()], ids=repr
    )
    def test_message_that_cannot_be_deleted_stops_nothing(
        self, aws: FakeAws, aws_queues: Queues, fault: Fault
    ) -> None:
        """It is merely delivered again, and the next ones are deleted."""
        aws.faults.add(fault, times=1)
        aws_queues.acknowledge(Queue.STOP, [f"handle {number}" for number in range(11)])
        assert aws.sqs.deleted  # the other call, whichever came first
