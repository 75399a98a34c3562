"""Waiting by looking: no test sleeps for a fixed time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
PATIENCE_SECONDS = 60.0


def eventually(look: Callable[[], T | None]) -> T:
    """Call until the answer is true, and return that answer."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (answer := look()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert answer, f"nothing came of it within {PATIENCE_SECONDS} seconds"
    return answer
