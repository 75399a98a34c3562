"""The batches that Lambda's poller takes from a queue: by size, window and payload. ministack's end at 10."""

# ruff: noqa: SLF001 - ministack has no public way in; the shim pins its version and tests/local proves each patch

from __future__ import annotations

import threading
import time
from typing import Any, Final

from ministack.core.concurrency import esm_wake
from ministack.services import lambda_svc, sqs

WITHOUT_WINDOW: Final = 10
"""Lambda's limit of messages in a batch, for a mapping that does not wait for more."""

PAYLOAD_BYTES: Final = 6 * 2**20
RECORD_BYTES: Final = 1000
"""What a record adds to its message's body; a request that names one run makes one of about 1.2 kB."""

LOOK_SECONDS: Final = 0.1
"""Lambda polls long and sees a message at once; ministack looks once a second."""

Message = dict[str, Any]


def install() -> None:
    """Put `receive` in the place of ministack's, and have it called often."""
    sqs._receive_messages_for_esm = receive
    threading.Thread(target=_look_often, daemon=True).start()


def receive(queue_url: str, batch_size: int) -> list[Message]:
    """Return a batch when it is full or its window has passed, else nothing."""
    with sqs._queues_lock:
        queue = sqs._get_q(queue_url)
        sqs._expire_retained(queue)
        sqs._dlq_sweep(queue)
        window = _window(queue["attributes"]["QueueArn"])
        limit = int(batch_size) if window else min(int(batch_size), WITHOUT_WINDOW)
        visible = [message for message in queue["messages"] if message["visible_at"] <= time.time()][:limit]
        batch = _fitting(visible)
        if len(batch) == len(visible) < limit and not _passed(window, batch):
            return []
        taken: list[Message] = sqs._collect_msgs(
            queue, len(batch), int(queue["attributes"]["VisibilityTimeout"])
        )
        return taken


def _passed(window: int, batch: list[Message]) -> bool:
    oldest = min((message["visible_at"] for message in batch), default=time.time())
    return bool(time.time() - oldest >= window)


def _window(queue_arn: str) -> int:
    windows = [
        mapping.get("MaximumBatchingWindowInSeconds", 0)
        for mapping in lambda_svc._esms.values()
        if mapping["EventSourceArn"] == queue_arn
    ]
    return int(max(windows, default=0))


def _fitting(messages: list[Message]) -> list[Message]:
    size = 0
    for count, message in enumerate(messages):
        size += len(message["body"].encode()) + RECORD_BYTES
        if size > PAYLOAD_BYTES:
            return messages[: max(count, 1)]
    return messages


def _look_often() -> None:
    while True:
        time.sleep(LOOK_SECONDS)
        esm_wake.set()
