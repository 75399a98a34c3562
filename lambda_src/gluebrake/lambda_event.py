"""Whatever the function is invoked with, taken apart into messages."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any

from msgspec import Struct

from gluebrake import sqs_record
from gluebrake.model import Message


class Arrival(Struct, frozen=True):
    """The messages of an invocation, and whether a queue waits to hear which of them failed."""

    messages: tuple[Message, ...]
    from_queue: bool


def arrival(
    event: Any, *, request_id: str, now: datetime, max_attempts: int, trusted_sender_ids: AbstractSet[str]
) -> Arrival:
    """Take apart what a mapping, a pipe, an SNS topic, an alarm or anybody else invokes the function with."""
    records = event.get("Records") if isinstance(event, Mapping) else event
    if from_sqs := _all_from(records, "eventSource", "aws:sqs"):
        messages = (
            sqs_record.message(one, max_attempts=max_attempts, trusted_sender_ids=trusted_sender_ids)
            for one in from_sqs
        )
        return Arrival(tuple(messages), from_queue=True)
    from_sns = _all_from(records, "EventSource", "aws:sns")
    bodies = [record.get("Sns") for record in from_sns] or [event]
    messages = (
        Message(message_id=f"{request_id}/{index}", body=json.dumps(body), sent_at=now, sender="invocation")
        for index, body in enumerate(bodies)
    )
    return Arrival(tuple(messages), from_queue=False)


def _all_from(records: Any, member: str, source: str) -> Sequence[Mapping[str, Any]]:
    """Return the records if each is of `source`, else none."""
    if not isinstance(records, Sequence) or isinstance(records, str):
        return ()
    ours = [record for record in records if isinstance(record, Mapping) and record.get(member) == source]
    return ours if len(ours) == len(records) else ()
