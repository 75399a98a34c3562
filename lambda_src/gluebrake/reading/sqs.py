"""The records that an SQS event source mapping delivers.

Shape: https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html, "Example Amazon SQS message event".
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from gluebrake.model import ATTEMPT, SENDER, SUBMITTED_AT, Message


def message(record: Mapping[str, Any], *, max_attempts: int) -> Message:
    """Take a record apart. An attempt that is no count below `max_attempts` reads as 0: it was brought back."""
    system, ours = record["attributes"], _strings(record.get("messageAttributes") or {})
    sent_at = _moment(system["SentTimestamp"])
    return Message(
        message_id=record["messageId"],
        body=record["body"],
        sent_at=sent_at,
        sender=ours.get(SENDER) or system.get("SenderId", ""),
        receive_count=int(system.get("ApproximateReceiveCount", 1)),
        receipt_handle=record.get("receiptHandle", ""),
        resent=ATTEMPT in ours,
        attempt=_attempt(ours.get(ATTEMPT, ""), max_attempts),
        submitted_at=_submitted_at(ours.get(SUBMITTED_AT, ""), sent_at),
    )


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
