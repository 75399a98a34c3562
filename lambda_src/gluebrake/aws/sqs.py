"""The only module that talks to SQS: sends in as few calls as fit, and says what did not get there."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from gluebrake.model import Queue, Send

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import (
        DeleteMessageBatchRequestEntryTypeDef,
        SendMessageBatchRequestEntryTypeDef,
    )

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
MAX_BYTES: Final = 1_048_576
MAX_ENTRIES: Final = 10

_LONGEST_ATTRIBUTE: Final = 1024
_UNSENDABLE: Final = re.compile(r"[\x00-\x08\x0B\x0C\x0E-\x1F\uD800-\uDFFF\uFFFE\uFFFF]")

T = TypeVar("T")
R = TypeVar("R")

Batch = tuple[Queue, Sequence[Send]]


@dataclass(frozen=True, slots=True)
class Queues:
    """The queues that messages are sent to."""

    client: SQSClient
    urls: Mapping[Queue, str]
    calls_at_once: int

    def send(self, sends: Iterable[Send]) -> frozenset[str]:
        """Send all, many at once; return the ids of the messages behind those that SQS did not take."""
        cleaned = [_cleaned(send) for send in sends]
        too_large = [send for send in cleaned if _size(send) > MAX_BYTES]
        batches = list(_batches(send for send in cleaned if _size(send) <= MAX_BYTES))
        failed = too_large + [send for refused in self._at_once(self._send_batch, batches) for send in refused]
        return frozenset(message_id for send in failed for message_id in send.message_ids)

    def acknowledge(self, queue: Queue, receipt_handles: Sequence[str]) -> None:
        """Delete messages that are done with; one that cannot be deleted is only delivered again."""
        starts = range(0, len(receipt_handles), MAX_ENTRIES)
        batches = [receipt_handles[start : start + MAX_ENTRIES] for start in starts]
        self._at_once(lambda handles: self._delete_batch(queue, handles), batches)

    def _at_once(self, call: Callable[[T], R], batches: Sequence[T]) -> list[R]:
        if not batches:
            return []
        with ThreadPoolExecutor(self.calls_at_once) as pool:
            return list(pool.map(call, batches))

    def _send_batch(self, batch: Batch) -> list[Send]:
        queue, sends = batch
        entries = [_entry(str(index), send) for index, send in enumerate(sends)]
        try:
            answer = self.client.send_message_batch(QueueUrl=self.urls[queue], Entries=entries)
            taken = {entry["Id"] for entry in answer.get("Successful", [])}
        except Exception:  # noqa: BLE001 - whatever it is, it concerns the messages of this batch alone
            return list(sends)
        return [send for index, send in enumerate(sends) if str(index) not in taken]

    def _delete_batch(self, queue: Queue, receipt_handles: Sequence[str]) -> None:
        entries: list[DeleteMessageBatchRequestEntryTypeDef] = [
            {"Id": str(index), "ReceiptHandle": handle} for index, handle in enumerate(receipt_handles)
        ]
        with contextlib.suppress(Exception):
            self.client.delete_message_batch(QueueUrl=self.urls[queue], Entries=entries)


def _batches(sends: Iterable[Send]) -> Iterator[Batch]:
    """Put the messages for each queue into batches, by count and by bytes."""
    by_queue: dict[Queue, list[Send]] = {}
    for send in sends:
        by_queue.setdefault(send.queue, []).append(send)
    for queue, of_queue in by_queue.items():
        batch: list[Send] = []
        room = MAX_BYTES
        for send in of_queue:
            if batch and (len(batch) == MAX_ENTRIES or _size(send) > room):
                yield queue, batch
                batch, room = [], MAX_BYTES
            batch.append(send)
            room -= _size(send)
        yield queue, batch


def _size(send: Send) -> int:
    """Return the bytes that SQS counts: the body, and each attribute's name, type and value."""
    attributes = (len(name) + len("String") + _bytes(value) for name, value in send.attributes.items())
    return _bytes(send.body) + sum(attributes)


def _bytes(text: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        return MAX_BYTES + 1  # SQS takes no half of a surrogate pair, whatever its size


def _cleaned(send: Send) -> Send:
    """Cut the attributes, and replace in them what SQS refuses: an empty one is left out."""
    attributes = {
        name: _UNSENDABLE.sub("\N{REPLACEMENT CHARACTER}", value)[:_LONGEST_ATTRIBUTE]
        for name, value in send.attributes.items()
        if value
    }
    return Send(send.queue, send.body, send.message_ids, attributes, send.delay_seconds)


def _entry(entry_id: str, send: Send) -> SendMessageBatchRequestEntryTypeDef:
    return {
        "Id": entry_id,
        "MessageBody": send.body,
        "DelaySeconds": send.delay_seconds,
        "MessageAttributes": {
            name: {"DataType": "String", "StringValue": value} for name, value in send.attributes.items()
        },
    }
