"""The only module that calls SQS: sends messages in the fewest calls, and reports what SQS did not accept."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Final, TypeVar

from gluebrake.aws.call_budget import fan_out
from gluebrake.characters import replaced
from gluebrake.grouping import chunked, grouped
from gluebrake.model import OutgoingMessage
from gluebrake.stages import Queue

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import (
        DeleteMessageBatchRequestEntryTypeDef,
        SendMessageBatchRequestEntryTypeDef,
    )

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
MAX_BYTES: Final = 1_048_576
MAX_ENTRIES: Final = 10

T = TypeVar("T")

_LONGEST_ATTRIBUTE: Final = 1024


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Queues:
    """The queues that messages are sent to, by their URLs."""

    client: SQSClient
    urls: Mapping[Queue, str]
    calls_at_once: int

    def send(self, messages: Iterable[OutgoingMessage]) -> frozenset[str]:
        """Send all messages. Return the source message ids of each message that SQS did not accept."""
        cleaned = [_cleaned(message) for message in messages]
        failed = [message for message in cleaned if _size(message) > MAX_BYTES]
        fitting = grouped((m for m in cleaned if _size(m) <= MAX_BYTES), attrgetter("queue"))
        calls = [batch for of_queue in fitting.values() for batch in batches(of_queue, _size)]
        for _, future in fan_out(self._send_batch, calls, workers=self.calls_at_once, seconds=None):
            failed += future.result()
        return frozenset(message_id for message in failed for message_id in message.message_ids)

    def delete(self, queue: Queue, receipt_handles: Sequence[str]) -> None:
        """Delete messages that are done. SQS redelivers a message that could not be deleted."""
        calls = list(chunked(receipt_handles, MAX_ENTRIES))
        fan_out(
            lambda handles: self._delete_batch(queue, handles), calls, workers=self.calls_at_once, seconds=None
        )

    def _send_batch(self, batch: Sequence[OutgoingMessage]) -> list[OutgoingMessage]:
        entries = [_entry(str(index), message) for index, message in enumerate(batch)]
        try:
            response = self.client.send_message_batch(QueueUrl=self.urls[batch[0].queue], Entries=entries)
            accepted = {entry["Id"] for entry in response.get("Successful", [])}
        except Exception as error:  # noqa: BLE001 - the exception concerns the messages of this batch only
            if _is_too_long(error) and len(batch) > 1:
                half = len(batch) // 2
                return [*self._send_batch(batch[:half]), *self._send_batch(batch[half:])]
            return list(batch)
        return [message for index, message in enumerate(batch) if str(index) not in accepted]

    def _delete_batch(self, queue: Queue, receipt_handles: Sequence[str]) -> None:
        entries: list[DeleteMessageBatchRequestEntryTypeDef] = [
            {"Id": str(index), "ReceiptHandle": handle} for index, handle in enumerate(receipt_handles)
        ]
        with contextlib.suppress(Exception):
            self.client.delete_message_batch(QueueUrl=self.urls[queue], Entries=entries)


def _is_too_long(error: Exception) -> bool:
    """Return whether SQS accepts fewer bytes in a batch than `MAX_BYTES`, as SQS did before 2025."""
    response = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", "")).endswith("BatchRequestTooLong")


def batches(items: Iterable[T], size: Callable[[T], int]) -> Iterator[list[T]]:
    """Yield batches for one call each, with at most ten entries and `MAX_BYTES` bytes."""
    batch: list[T] = []
    room = MAX_BYTES
    for item in items:
        if batch and (len(batch) == MAX_ENTRIES or size(item) > room):
            yield batch
            batch, room = [], MAX_BYTES
        batch.append(item)
        room -= size(item)
    if batch:
        yield batch


def _size(message: OutgoingMessage) -> int:
    """Return the bytes that SQS counts: the body, and each attribute's name, type and value."""
    attributes = (len(name) + len("String") + _bytes(value) for name, value in message.attributes.items())
    return _bytes(message.body) + sum(attributes)


def _bytes(text: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        return MAX_BYTES + 1  # SQS refuses an unpaired surrogate in a text of any size


def _cleaned(message: OutgoingMessage) -> OutgoingMessage:
    """Shorten the attributes, replace the characters that SQS refuses, and leave out empty ones."""
    attributes = {
        name: replaced(value)[:_LONGEST_ATTRIBUTE] for name, value in message.attributes.items() if value
    }
    return OutgoingMessage(message.queue, message.body, message.message_ids, attributes, message.delay_seconds)


def _entry(entry_id: str, message: OutgoingMessage) -> SendMessageBatchRequestEntryTypeDef:
    return {
        "Id": entry_id,
        "MessageBody": message.body,
        "DelaySeconds": message.delay_seconds,
        "MessageAttributes": {
            name: {"DataType": "String", "StringValue": value} for name, value in message.attributes.items()
        },
    }
