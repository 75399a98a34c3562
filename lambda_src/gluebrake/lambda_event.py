"""The events that invoke a function, as messages: SQS batches, SNS notifications, direct invocations.

Shape of an SQS batch: https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from msgspec import Struct

from gluebrake.contract import ATTEMPT, SENDER, STAGE, SUBMITTED_AT, VIA
from gluebrake.model import Message

# SQS's maximum message size, minus room for the attributes of a dead letter.
_LARGEST_DIRECT: Final = 1_000_000
_KEPT_OF_LARGER: Final = 65_536
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class LambdaEvent(Struct, frozen=True):
    """The messages of an invocation, and whether SQS expects `batchItemFailures` as the answer."""

    messages: tuple[Message, ...]
    from_queue: bool


class Bookkeeping(Struct, frozen=True):
    """The rules by which a stage believes a message's attributes.

    An attempt that is not below `max_attempts`, or that counts for another stage, becomes 0. The first sender
    and `via` are believed only if the message's SenderId is in `trusted_sender_ids`, and `via` also from SWEEP.

    Attempt and submission time are believed in every message, because a false value shortens only the retries
    of its own message. Ignoring the functions' own values could make retries endless.
    """

    stage: str
    max_attempts: int
    trusted_sender_ids: frozenset[str]
    sweep_sender_ids: frozenset[str] = frozenset()


def parse(event: Any, *, request_id: str, now: datetime, bookkeeping: Bookkeeping) -> LambdaEvent:
    """Split an event of an event source mapping, a pipe, a topic, an alarm or a caller into messages."""
    records = event.get("Records") if isinstance(event, Mapping) else event
    if sqs_records := _all_from(records, "eventSource", "aws:sqs"):
        messages = (
            _sqs_or_rejected(record, f"{request_id}/{index}", now, bookkeeping)
            for index, record in enumerate(sqs_records)
        )
        return LambdaEvent(tuple(messages), from_queue=True)
    sns_records = _all_from(records, "EventSource", "aws:sns")
    bodies = [record.get("Sns") for record in sns_records] or [event]
    messages = (_direct(body, f"{request_id}/{index}", now) for index, body in enumerate(bodies))
    return LambdaEvent(tuple(messages), from_queue=False)


def _direct(body: Any, message_id: str, now: datetime) -> Message:
    text = json.dumps(body)
    message = Message(message_id=message_id, body=text, sent_at=now, sender="invocation", is_direct=True)
    if len(text) <= _LARGEST_DIRECT:
        return message
    return msgspec.structs.replace(
        message,
        body=text[:_KEPT_OF_LARGER],
        rejection=f"the payload: has {len(text):,} bytes; at most {_LARGEST_DIRECT:,} are allowed, so split it",
    )


def _sqs_or_rejected(
    record: Mapping[str, Any], message_id: str, now: datetime, bookkeeping: Bookkeeping
) -> Message:
    """Return a record as a message. SQS sends no malformed record, but a direct caller may."""
    try:
        return sqs_message(record, bookkeeping)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        return Message(
            message_id=str(record.get("messageId") or message_id),
            body=json.dumps(record),
            sent_at=now,
            sender="invocation",
            rejection=f"the record: is not one of SQS ({error!r:.200})",
        )


def sqs_message(record: Mapping[str, Any], bookkeeping: Bookkeeping) -> Message:
    """Return a record of SQS as a message. Raise an exception if the record is malformed."""
    system, attributes = record["attributes"], _strings(record.get("messageAttributes") or {})
    sent_at, sender = _time(system["SentTimestamp"]), _text(system.get("SenderId", ""))
    sender_id = _sender_id(sender)
    is_trusted = sender_id in bookkeeping.trusted_sender_ids
    has_via = is_trusted or sender_id in bookkeeping.sweep_sender_ids
    counts_here = attributes.get(STAGE, bookkeeping.stage) == bookkeeping.stage
    attempt = _attempt(attributes.get(ATTEMPT, ""), bookkeeping.max_attempts)
    return Message(
        message_id=_text(record["messageId"]),
        body=_text(record["body"]),
        sent_at=sent_at,
        sender=(attributes.get(SENDER) if is_trusted else "") or sender,
        via=attributes.get(VIA, "") if has_via else "",
        receive_count=int(system.get("ApproximateReceiveCount", 1)),
        receipt_handle=_text(record.get("receiptHandle", "")),
        is_retry=is_trusted and ATTEMPT in attributes,
        attempt=attempt if counts_here else 0,
        submitted_at=_submitted_at(attributes.get(SUBMITTED_AT, ""), sent_at),
    )


def _all_from(records: Any, member: str, source: str) -> Sequence[Mapping[str, Any]]:
    """Return the records if all of them are from `source`, else an empty sequence."""
    if not isinstance(records, Sequence) or isinstance(records, str):
        return ()
    matching = [record for record in records if isinstance(record, dict) and record.get(member) == source]
    return matching if len(matching) == len(records) else ()


def _sender_id(sender: str) -> str:
    """Return the id that IAM gave the sender, without the session name, which the sender chooses freely.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html
    """
    sender_id, _, _ = sender.partition(":")
    return sender_id


def _strings(attributes: Mapping[str, Any]) -> dict[str, str]:
    return {name: _text(attribute.get("stringValue") or "") for name, attribute in attributes.items()}


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.64} is not text")
    return value


def _time(milliseconds: str) -> datetime:
    return _EPOCH + timedelta(milliseconds=int(milliseconds))


def _attempt(text: str, max_attempts: int) -> int:
    attempt = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(max_attempts)) else 0
    return attempt if attempt < max_attempts else 0


def _submitted_at(text: str, sent_at: datetime) -> datetime | None:
    """Return the time in the text, or the time at which the message was sent if that is earlier."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return min(time, sent_at) if time.tzinfo else None
