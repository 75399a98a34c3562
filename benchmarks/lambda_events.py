"""Build the events with which Lambda invokes the functions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from benchmarks.streams import Request, StreamShape, generate
from gluebrake.contract import ATTEMPT, SENDER, SUBMITTED_AT
from tests.support.fakes.exchange import Json
from tests.support.fakes.sqs import FUNCTION_ROLE_ID, Message

SEED: Final = 20_261_124
STOP: Final = "stop"
CONFIRM: Final = "confirm"

MAX_EVENT_BYTES: Final = 6 * 1024 * 1024
MAX_BATCH_SIZE: Final = 10_000
"""Lambda's limits for one invocation: the event's size, and the messages of a batch."""

_GUARDRAIL: Final = "AROAEXAMPLE:guardrail"


def one_run_requests(messages: int) -> list[Request]:
    """Generate requests for one run each, no run twice: the most work per message."""
    shape = StreamShape(name="one run each", messages=messages, jobs=200, skew=1.1, repeat_share=0.0)
    return generate(shape, SEED)


def records(service: str, requests: Iterable[Request]) -> Iterator[Json]:
    """Yield the requests as records from the service's queue."""
    now = datetime.now(UTC)
    texts = {ATTEMPT: "0", SENDER: _GUARDRAIL, SUBMITTED_AT: now.isoformat()}
    attributes = {name: {"DataType": "String", "StringValue": text} for name, text in texts.items()}
    notes = {"Reason": "over budget", "RequestedBy": "guardrail/nightly"}
    for number, (job_name, run_ids) in enumerate(requests):
        message = Message(
            message_id=str(UUID(int=number)),
            # The functions write JSON without spaces. Most producers use a library that writes spaces.
            body=json.dumps(
                {"JobName": job_name, "JobRunIds": run_ids, **notes},
                separators=(",", ":") if service == CONFIRM else None,
            ),
            attributes=attributes if service == CONFIRM else {},
            delay_seconds=0,
            sent_at=now,
            sender_id=f"{FUNCTION_ROLE_ID}:gluebrake" if service == CONFIRM else _GUARDRAIL,
            queue_arn=f"arn:aws:sqs:eu-west-1:123456789012:{service}",
        )
        yield message.record() | {"receiptHandle": "A" * 400}  # about the length of SQS's own


def batches(records: Iterable[Json], *, max_bytes: int = MAX_EVENT_BYTES) -> Iterator[list[Json]]:
    """Split the records into batches, each as large as Lambda's limits allow."""
    batch: list[Json] = []
    bytes_left = max_bytes
    for record in records:
        size = len(json.dumps(record)) + 2
        if batch and (size > bytes_left or len(batch) == MAX_BATCH_SIZE):
            yield batch
            batch, bytes_left = [], max_bytes
        batch.append(record)
        bytes_left -= size
    yield batch
