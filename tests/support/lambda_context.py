"""The context that Lambda passes with an event."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Context:
    """The context that Lambda passes with the event."""

    seconds_left: Callable[[], float] = lambda: 30.0
    aws_request_id: str = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"

    def get_remaining_time_in_millis(self) -> int:
        """Return the time that is left before Lambda ends the function."""
        return int(self.seconds_left() * 1000)
