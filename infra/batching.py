"""The batch settings with which Lambda receives the messages of each work queue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from gluebrake.stages import STAGES, Queue
from infra.config import Config

# An invocation publishes at most one notice, so larger batches mean fewer notices. By default, CONFIRM first
# reads a run's state 15 seconds after the stop, so the window adds little delay.
_LEAST_OF_CONFIRM: Final = 1000
_LEAST_WINDOW_OF_CONFIRM: Final = 10


@dataclass(frozen=True, kw_only=True)
class Batching:
    """The most messages of an invocation, the time to gather them, and the most invocations at once.

    A batch of more than 10 messages needs a window. With a window and few messages, Lambda may wait for up to
    20 seconds: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
    """

    size: int
    window_seconds: int
    max_concurrency: int


def batchings(config: Config) -> Mapping[Queue, Batching]:
    """Return the batch settings by work queue."""
    configured = Batching(
        size=config.batch_size,
        window_seconds=config.batch_window_seconds,
        max_concurrency=config.max_concurrency,
    )
    return {
        **{stage.queue: configured for stage in STAGES.values()},
        Queue.CONFIRM: replace(
            configured,
            size=max(configured.size, _LEAST_OF_CONFIRM),
            window_seconds=max(configured.window_seconds, _LEAST_WINDOW_OF_CONFIRM),
        ),
        # The messages of schedules that are due at the same minute become one batch, and so one sweep.
        Queue.SWEEP: Batching(size=10, window_seconds=20, max_concurrency=2),
    }
