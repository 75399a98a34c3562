"""Batches as from Lambda's SQS poller, by size, window and payload. ministack takes at most 10 messages."""

# ruff: noqa: SLF001 - ministack has no public hooks; the shim pins its version and tests/local covers each patch

from __future__ import annotations

import os
import threading
import time
from typing import Any, Final

from ministack.core.concurrency import esm_wake
from ministack.services import lambda_svc, sqs

SIZE_WITHOUT_WINDOW: Final = 10
"""Lambda's largest batch for a mapping without a batching window."""

PAYLOAD_BYTES: Final = 6 * 2**20
RECORD_BYTES: Final = 1000
"""The bytes that a record adds to its message's body. A request with one run id makes a record of 1.2 kB."""

POLL_SECONDS: Final = 0.1
"""The seconds between polls. Lambda's long polling is faster than ministack's default of one second."""

LONGEST_WINDOW_SECONDS: Final = float(os.environ.get("GLUEBRAKE_LOCAL_WINDOW_SECONDS", "300"))
"""The longest batching window on this machine. The default is Lambda's maximum."""

Message = dict[str, Any]


def install() -> None:
    """Replace ministack's receive function with `receive`, and wake its poller often."""
    sqs._receive_messages_for_esm = receive
    threading.Thread(target=_wake_poller, daemon=True).start()


def receive(queue_url: str, batch_size: int) -> list[Message]:
    """Return a batch if it is full or its window has passed, else an empty list."""
    with sqs._queues_lock:
        queue = sqs._get_q(queue_url)
        sqs._expire_retained(queue)
        sqs._dlq_sweep(queue)
        window = _window(queue["attributes"]["QueueArn"])
        limit = int(batch_size) if window else min(int(batch_size), SIZE_WITHOUT_WINDOW)
        visible = [message for message in queue["messages"] if message["visible_at"] <= time.time()][:limit]
        batch = _limit_payload(visible)
        if len(batch) == len(visible) < limit and not _window_has_passed(window, batch):
            return []
        received: list[Message] = sqs._collect_msgs(
            queue, len(batch), int(queue["attributes"]["VisibilityTimeout"])
        )
        return received


def _window_has_passed(window: float, batch: list[Message]) -> bool:
    oldest = min((message["visible_at"] for message in batch), default=time.time())
    return bool(time.time() - oldest >= window)


def _window(queue_arn: str) -> float:
    windows = [
        mapping.get("MaximumBatchingWindowInSeconds", 0)
        for mapping in lambda_svc._esms.values()
        if mapping["EventSourceArn"] == queue_arn
    ]
    return min(max(windows, default=0), LONGEST_WINDOW_SECONDS)


def _limit_payload(messages: list[Message]) -> list[Message]:
    size = 0
    for count, message in enumerate(messages):
        size += len(message["body"].encode()) + RECORD_BYTES
        if size > PAYLOAD_BYTES:
            return messages[: max(count, 1)]
    return messages


def _wake_poller() -> None:
    while True:
        time.sleep(POLL_SECONDS)
        esm_wake.set()
