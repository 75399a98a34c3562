"""Wait by polling, so that no test sleeps for a fixed time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
TIMEOUT_SECONDS = 180.0
SHORTEST_SECONDS = 0.05
LONGEST_SECONDS = 0.5


def eventually(poll: Callable[[], T | None]) -> T:
    """Call `poll` until its result is true, and return that result.

    Frequent polls would slow down the emulator that is waited for, so they become rarer.
    """
    began = time.monotonic()
    while not (result := poll()) and (waited := time.monotonic() - began) < TIMEOUT_SECONDS:
        time.sleep(min(max(waited / 8, SHORTEST_SECONDS), LONGEST_SECONDS))
    assert result, f"no result within {TIMEOUT_SECONDS} seconds"
    return result
