"""A fake of SQS: queues that store messages, and deliver them as Lambda records or by ReceiveMessage."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import md5
from itertools import count
from typing import Final
from uuid import UUID

from tests.support.fakes.exchange import Json, ServiceError

FUNCTION_ROLE_ID: Final = "AROAGLUEBRAKE"
"""The id that IAM gave the functions' role, which sends by SendMessageBatch."""

_MOST_ENTRIES: Final = 10
_MOST_BYTES: Final = 1_048_576
_MOST_ATTRIBUTES: Final = 10
_LONGEST_DELAY: Final = 900
_ENTRY_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,80}")
_ATTRIBUTE_NAME: Final = re.compile(r"(?!(?i:aws|amazon)?\.)(?!.*\.\.)[\w.-]{1,256}(?<!\.)", re.ASCII)
_DATA_TYPE: Final = re.compile(r"(String|Number|Binary)(\..+)?")
_REFUSED: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, kw_only=True)
class Message:
    """A stored message; `attributes` are in SQS's own format."""

    message_id: str
    body: str
    attributes: Mapping[str, Json]
    delay_seconds: int
    sent_at: datetime
    sender_id: str
    queue_arn: str
    source_arn: str = ""
    """The queue from which SQS moved the message to this dead-letter queue, if it did."""

    @property
    def due_at(self) -> datetime:
        """When the delay is over, so that a consumer can receive the message."""
        return self.sent_at + timedelta(seconds=self.delay_seconds)

    def record(self, *, receive_count: int = 1) -> Json:
        """Return the message as one of the Records of a Lambda event."""
        return {
            "messageId": self.message_id,
            "receiptHandle": f"{self.message_id}/{receive_count}",
            "body": self.body,
            "attributes": {
                "ApproximateReceiveCount": str(receive_count),
                "SentTimestamp": _milliseconds(self.sent_at),
                "SenderId": self.sender_id,
                "ApproximateFirstReceiveTimestamp": _milliseconds(self.due_at),
            },
            "messageAttributes": {name: _for_lambda(value) for name, value in self.attributes.items()},
            "md5OfBody": _md5(self.body),
            "eventSource": "aws:sqs",
            "eventSourceARN": self.queue_arn,
            "awsRegion": self.queue_arn.split(":")[3],
        }


@dataclass(kw_only=True)
class _Receipt:
    """How often a message was received, and when it is visible again."""

    count: int = 0
    visible_at: datetime


class Queue:
    """A queue. It stores messages in order of sending until a test takes them or a consumer deletes them."""

    def __init__(self, *, url: str, arn: str, clock: Callable[[], datetime], ids: Iterator[int]) -> None:
        self.url = url
        self.arn = arn
        self._clock = clock
        self._ids = ids
        self._messages: list[Message] = []
        self._receipts: dict[str, _Receipt] = {}

    def __len__(self) -> int:
        return len(self._messages)

    def __iter__(self) -> Iterator[Message]:
        return iter(tuple(self._messages))

    def put(
        self,
        body: str,
        *,
        attributes: Mapping[str, Json] | None = None,
        delay_seconds: int = 0,
        sender_id: str = "AROAEXAMPLE:producer",
        source_arn: str = "",
    ) -> Message:
        """Store a message that is sent now, without validation."""
        message = Message(
            message_id=str(UUID(int=next(self._ids))),
            body=body,
            attributes=attributes or {},
            delay_seconds=delay_seconds,
            sent_at=self._clock(),
            sender_id=sender_id,
            queue_arn=self.arn,
            source_arn=source_arn,
        )
        self._messages.append(message)
        return message

    def take(self) -> list[Message]:
        """Remove the messages whose delay is over, and return them."""
        now = self._clock()
        due = [message for message in self._messages if message.due_at <= now]
        self._messages = [message for message in self._messages if message.due_at > now]
        return due

    def records(self, *, receive_count: int = 1) -> list[Json]:
        """Return each stored message as Lambda delivers it. The messages stay in the queue."""
        return [message.record(receive_count=receive_count) for message in self]

    def visible(self) -> list[Message]:
        """Return the messages that can be received now."""
        now = self._clock()
        return [m for m in self._messages if m.due_at <= now and self._receipt(m).visible_at <= now]

    def receive(self, count: int, visibility_seconds: int) -> list[Json]:
        """Return visible messages, as ReceiveMessage does, and hide them for `visibility_seconds`."""
        received = []
        for message in self.visible()[:count]:
            receipt = self._receipt(message)
            self._receipts[message.message_id] = receipt
            receipt.count += 1
            receipt.visible_at = self._clock() + timedelta(seconds=visibility_seconds)
            received.append(_received(message, receipt.count))
        return received

    def hide(self, receipt_handle: str, seconds: int) -> bool:
        """Hide the message of its latest receipt for so many seconds. Return whether there is one."""
        if message := self._message_of(receipt_handle):
            self._receipts[message.message_id].visible_at = self._clock() + timedelta(seconds=seconds)
        return message is not None

    def delete(self, receipt_handle: str) -> None:
        """Remove the message of its latest receipt, if there is one."""
        if message := self._message_of(receipt_handle):
            self._messages.remove(message)

    def _receipt(self, message: Message) -> _Receipt:
        return self._receipts.get(message.message_id) or _Receipt(visible_at=message.due_at)

    def _message_of(self, receipt_handle: str) -> Message | None:
        return next((m for m in self._messages if receipt_handle == _handle(m, self._receipt(m).count)), None)


class Sqs:
    """The queues of one account, their operations, and the receipt handles that were deleted."""

    def __init__(self, *, clock: Callable[[], datetime], region: str, account: str) -> None:
        self._clock = clock
        self._region = region
        self._account = account
        self._ids = count(1)
        self._queues: dict[str, Queue] = {}
        self.deleted: set[str] = set()

    def add_queue(self, name: str) -> Queue:
        """Create an empty queue."""
        url = f"https://sqs.{self._region}.amazonaws.com/{self._account}/{name}"
        arn = f"arn:aws:sqs:{self._region}:{self._account}:{name}"
        self._queues[url] = Queue(url=url, arn=arn, clock=self._clock, ids=self._ids)
        return self._queues[url]

    def send_message_batch(self, request: Json) -> Json:
        """Store each entry, or return its error."""
        queue = self._queues.get(request["QueueUrl"])
        if queue is None:
            raise _refusal("QueueDoesNotExist", "The specified queue does not exist.", query="NonExistentQueue")
        _check_batch(request["Entries"])
        successful, failed = [], []
        for entry in request["Entries"]:
            if error := _entry_error(entry):
                failed.append(failed_entry(entry["Id"], *error, sender_fault=True))
                continue
            message = queue.put(
                entry["MessageBody"],
                attributes=entry.get("MessageAttributes"),
                delay_seconds=entry.get("DelaySeconds", 0),
                sender_id=f"{FUNCTION_ROLE_ID}:gluebrake",
            )
            stored = {"Id": entry["Id"], "MessageId": message.message_id}
            successful.append({**stored, "MD5OfMessageBody": _md5(message.body)})
        return {"Successful": successful, "Failed": failed}

    def delete_message_batch(self, request: Json) -> Json:
        """Delete received messages, and record the handles: messages that a test took have no receipt here."""
        self.deleted |= {entry["ReceiptHandle"] for entry in request["Entries"]}
        for entry in request["Entries"]:
            self._queues[request["QueueUrl"]].delete(entry["ReceiptHandle"])
        return {"Successful": [{"Id": entry["Id"]} for entry in request["Entries"]], "Failed": []}

    def receive_message(self, request: Json) -> Json:
        """Return visible messages. An empty response is immediate, also with long polling."""
        queue = self._queues[request["QueueUrl"]]
        received = queue.receive(request.get("MaxNumberOfMessages", 1), request["VisibilityTimeout"])
        return {"Messages": received} if received else {}

    def change_message_visibility_batch(self, request: Json) -> Json:
        """Hide messages for longer, or make them visible."""
        queue, successful, failed = self._queues[request["QueueUrl"]], [], []
        _check_batch(request["Entries"], sized=False)
        for entry in request["Entries"]:
            if queue.hide(entry["ReceiptHandle"], entry["VisibilityTimeout"]):
                successful.append({"Id": entry["Id"]})
            else:
                failed.append(failed_entry(entry["Id"], "ReceiptHandleIsInvalid", "", sender_fault=True))
        return {"Successful": successful, "Failed": failed}

    def get_queue_attributes(self, request: Json) -> Json:
        """Return exact counts, where AWS returns approximate ones."""
        queue = self._queues[request["QueueUrl"]]
        visible = len(queue.visible())
        attributes = {
            "QueueArn": queue.arn,
            "ApproximateNumberOfMessages": str(visible),
            "ApproximateNumberOfMessagesNotVisible": str(len(queue) - visible),
            "ApproximateNumberOfMessagesDelayed": "0",
        }
        names = request.get("AttributeNames", [])
        return {"Attributes": {k: v for k, v in attributes.items() if k in names or "All" in names}}


def failed_entry(entry_id: str, code: str, message: str, *, sender_fault: bool) -> Json:
    """Return an entry of the response's Failed."""
    return {"Id": entry_id, "Code": code, "Message": message, "SenderFault": sender_fault}


def _check_batch(entries: list[Json], *, sized: bool = True) -> None:
    if not entries:
        raise _refusal("EmptyBatchRequest", "There are no entries.")
    if len(entries) > _MOST_ENTRIES:
        raise _refusal("TooManyEntriesInBatchRequest", f"{len(entries)} entries are too many.")
    entry_ids = [entry["Id"] for entry in entries]
    if len(set(entry_ids)) < len(entry_ids):
        raise _refusal("BatchEntryIdsNotDistinct", "An entry's id is repeated.")
    if not all(_ENTRY_ID.fullmatch(entry_id) for entry_id in entry_ids):
        raise _refusal("InvalidBatchEntryId", "1 to 80 letters, digits, hyphens and underscores are allowed.")
    # SQS has one limit for a message and for a batch, so a message that is too large makes its batch too large.
    if sized and (size := sum(map(_size, entries))) > _MOST_BYTES:
        raise _refusal("BatchRequestTooLong", f"{size} bytes, at most {_MOST_BYTES} are allowed.")


def _refusal(code: str, message: str, *, query: str = "") -> ServiceError:
    query_error = f"AWS.SimpleQueueService.{query or code};Sender"
    return ServiceError(f"com.amazonaws.sqs#{code}", message, query_error=query_error)


def _entry_error(entry: Json) -> tuple[str, str] | None:
    if not entry["MessageBody"]:
        return "MissingParameter", "The request must contain the parameter MessageBody."
    if found := _REFUSED.search(entry["MessageBody"]):
        return "InvalidMessageContents", f"The body has the character #x{ord(found[0]):X}."
    if not 0 <= (delay := entry.get("DelaySeconds", 0)) <= _LONGEST_DELAY:
        return "InvalidParameterValue", f"DelaySeconds must be 0 to {_LONGEST_DELAY}, not {delay}."
    attributes = entry.get("MessageAttributes") or {}
    if len(attributes) > _MOST_ATTRIBUTES:
        return "InvalidParameterValue", f"{len(attributes)} attributes, at most {_MOST_ATTRIBUTES} are allowed."
    wrong = [name for name, value in attributes.items() if not _is_attribute(name, value)]
    return ("InvalidParameterValue", f"Message attribute {wrong[0]!r} is invalid.") if wrong else None


def _is_attribute(name: str, value: Json) -> bool:
    data_type = _DATA_TYPE.fullmatch(value["DataType"])
    if not data_type or not _ATTRIBUTE_NAME.fullmatch(name):
        return False
    if data_type[1] == "Binary":
        return bool(value.get("BinaryValue"))
    text = value.get("StringValue", "")
    return bool(text) and not _REFUSED.search(text)


def _size(entry: Json) -> int:
    attributes = entry.get("MessageAttributes") or {}
    texts = [entry["MessageBody"], *attributes]
    for value in attributes.values():
        texts += value["DataType"], value.get("StringValue", "")
    binaries = [b64decode(value.get("BinaryValue", "")) for value in attributes.values()]
    return sum(map(len, binaries)) + sum(len(text.encode(errors="surrogatepass")) for text in texts)


def _for_lambda(value: Json) -> Json:
    lists: Json = {"stringListValues": [], "binaryListValues": []}
    return {key[0].lower() + key[1:]: member for key, member in value.items()} | lists


def _received(message: Message, receive_count: int) -> Json:
    system = message.record(receive_count=receive_count)["attributes"]
    moved = {"DeadLetterQueueSourceArn": message.source_arn} if message.source_arn else {}
    return {
        "MessageId": message.message_id,
        "ReceiptHandle": _handle(message, receive_count),
        "Body": message.body,
        "MD5OfBody": _md5(message.body),
        "Attributes": {**system, **moved},
        **({"MessageAttributes": message.attributes} if message.attributes else {}),
    }


def _handle(message: Message, receive_count: int) -> str:
    return f"{message.message_id}#{receive_count}"


def _milliseconds(time: datetime) -> str:
    return str(int(time.timestamp() * 1000))


def _md5(body: str) -> str:
    return md5(body.encode(errors="surrogatepass"), usedforsecurity=False).hexdigest()
