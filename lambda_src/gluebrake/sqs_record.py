"""The records that an SQS event source mapping delivers.

Shape: https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html, "Example Amazon SQS message event".
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import Any

from gluebrake.contract import ATTEMPT, SENDER, SUBMITTED_AT
from gluebrake.model import Message


def message(record: Mapping[str, Any], *, max_attempts: int, trusted_sender_ids: AbstractSet[str]) -> Message:
    """Take a record apart. An attempt that is no count below `max_attempts` reads as 0: it was brought back.

    Who asked first is believed only of a message that we sent ourselves. Attempt and time of submission are
    believed of any: such a claim shortens what its own message is given; to doubt ours would never end.
    """
    system, told = record["attributes"], _strings(record.get("messageAttributes") or {})
    sent_at, sender = _moment(system["SentTimestamp"]), system.get("SenderId", "")
    is_ours = _identity(sender) in trusted_sender_ids
    return Message(
        message_id=record["messageId"],
        body=record["body"],
        sent_at=sent_at,
        sender=(told.get(SENDER) if is_ours else "") or sender,
        receive_count=int(system.get("ApproximateReceiveCount", 1)),
        receipt_handle=record.get("receiptHandle", ""),
        is_retry=is_ours and ATTEMPT in told,
        attempt=_attempt(told.get(ATTEMPT, ""), max_attempts),
        submitted_at=_submitted_at(told.get(SUBMITTED_AT, ""), sent_at),
    )


def _identity(sender_id: str) -> str:
    """Return the id that IAM gave the sender; what follows it, a session's name, anybody may choose.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html
    """
    identity, _, _ = sender_id.partition(":")
    return identity


def _strings(attributes: Mapping[str, Any]) -> dict[str, str]:
    return {name: attribute.get("stringValue") or "" for name, attribute in attributes.items()}


def _moment(milliseconds: str) -> datetime:
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC)


def _attempt(text: str, max_attempts: int) -> int:
    attempt = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(max_attempts)) else 0
    return attempt if attempt < max_attempts else 0


def _submitted_at(text: str, sent_at: datetime) -> datetime | None:
    """Return the time that the text gives, but none later than the message itself."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return min(moment, sent_at) if moment.tzinfo else None
