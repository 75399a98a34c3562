"""An account as Glue sees it: its runs and how they stop, and the limits on its calls."""

from __future__ import annotations

import math
from collections import Counter
from random import Random

from benchmarks.assumptions import Aws, Limit
from gluebrake.glue import PAGE


class Account:
    """An account's runs, and Glue's limits for it."""

    def __init__(self, aws: Aws, random: Random) -> None:
        self._aws, self._random = aws, random
        self._buckets = {operation: _Bucket(limit) for operation, limit in aws.limits.items()}
        self._stopped_at: dict[int, float] = {}
        self._ranks: dict[int, int] = {}
        self._runs_of: Counter[int] = Counter()

    def add(self, job: int, run: int) -> bool:
        """Take note of a run, the newest of its job; False: it is known."""
        if run in self._ranks:
            return False
        self._runs_of[job] += 1
        self._ranks[run] = self._runs_of[job]
        return True

    def takes(self, operation: str, now: float) -> bool:
        """Return whether a call is within the limits."""
        bucket = self._buckets.get(operation)
        return bucket is None or bucket.take(now)

    def stop(self, run: int, now: float) -> bool:
        """Submit a run for stopping; False: it is stopping already, or has stopped."""
        if run in self._stopped_at:
            return False
        self._stopped_at[run] = now + self._stopping_seconds()
        return True

    def state(self, run: int, now: float) -> str:
        """Tell the state of a run that was submitted."""
        return "STOPPED" if self._stopped_at[run] <= now else "STOPPING"

    def page_of(self, job: int, run: int) -> int:
        """Return on which page of its job's runs, the newest first, a run stands; they count from 0."""
        return (self._runs_of[job] - self._ranks[run]) // PAGE

    def _stopping_seconds(self) -> float:
        if self._aws.hanging_share and self._random.random() < self._aws.hanging_share:
            return math.inf
        spread = self._aws.stopping_spread
        return self._aws.stopping_seconds * (self._random.lognormvariate(0, spread) if spread else 1)


class _Bucket:
    def __init__(self, limit: Limit) -> None:
        self._limit, self._tokens, self._filled_at = limit, limit.burst, 0.0

    def take(self, now: float) -> bool:
        filled = self._tokens + (now - self._filled_at) * self._limit.per_second
        self._tokens, self._filled_at = min(self._limit.burst, filled), now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
