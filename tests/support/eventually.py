"""Wait by polling, so that no test sleeps for a fixed time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
TIMEOUT_SECONDS = 180.0


def eventually(poll: Callable[[], T | None]) -> T:
    """Call `poll` until its result is true, and return that result."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not (result := poll()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert result, f"no result within {TIMEOUT_SECONDS} seconds"
    return result
