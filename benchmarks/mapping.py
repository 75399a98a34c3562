"""A queue, and how Lambda's event source mapping makes a function's batches of its messages."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from typing import Final, NamedTuple

from benchmarks.assumptions import Setup

RECEIVED_AT_ONCE: Final = 10
"""https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html"""


class Letter(NamedTuple):
    """A message: runs of one job of which it says the same."""

    visible_at: float
    sent_at: float
    job: int
    runs: tuple[int, ...]
    attempt: int = 0
    submitted_at: float = 0.0


class Source:
    """A queue, and the mapping that makes a function's batches of it."""

    def __init__(self, setup: Setup) -> None:
        self._config, self._aws, self._sizes = setup.config, setup.aws, setup.sizes
        self._letters: deque[Letter] = deque()
        self._dealt: deque[list[Letter]] = deque()
        self._backlog_since = math.inf
        self.running = 0

    def __len__(self) -> int:
        return len(self._letters) + sum(map(len, self._dealt))

    def put(self, letter: Letter) -> None:
        """Show the pollers a message."""
        self._letters.append(letter)

    @property
    def is_empty(self) -> bool:
        """Whether no message waits."""
        return not self._letters and not self._dealt

    def batches(self, now: float) -> Iterator[list[Letter]]:
        """Yield the batches with which invocations start now."""
        while self.running < self._allowed(now) and (batch := self._next_batch(now)):
            self.running += 1
            yield batch
        self._backlog_since = min(self._backlog_since, now) if self._letters else math.inf

    def ready_at(self) -> float:
        """Return when the oldest message has waited long enough for others."""
        if not self._letters:
            return math.inf
        since, window = self._letters[0].visible_at, self._config.batch_window_seconds
        if not window or len(self._letters) >= self._config.batch_size:
            return since
        few = len(self._letters) < RECEIVED_AT_ONCE
        return since + (max(window, self._aws.long_poll_seconds) if few else window)

    def _allowed(self, now: float) -> int:
        grown = max(0.0, now - self._backlog_since) * self._aws.pollers_per_second
        return min(self._config.max_concurrency, self._aws.pollers + int(grown))

    def _next_batch(self, now: float) -> list[Letter]:
        if not self._dealt and self.ready_at() <= now:
            self._deal()
        return self._dealt.popleft() if self._dealt else []

    def _deal(self) -> None:
        """Share what waits out among the pollers that gather it."""
        waiting = len(self._letters)
        pollers = min(self._aws.pollers, self._config.max_concurrency, math.ceil(waiting / RECEIVED_AT_ONCE))
        each = min(self._config.batch_size, math.ceil(waiting / pollers))
        for _ in range(pollers if self._config.batch_window_seconds else 1):
            if self._letters:
                self._dealt.append(self._take(each))

    def _take(self, most: int) -> list[Letter]:
        batch: list[Letter] = []
        room = self._aws.payload_bytes
        while self._letters and len(batch) < most:
            room -= self._sizes.record + self._sizes.run_id * (len(self._letters[0].runs) - 1)
            if batch and room < 0:
                break
            batch.append(self._letters.popleft())
        return batch
