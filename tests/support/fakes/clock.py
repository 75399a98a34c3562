"""Time that a test moves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class VirtualClock:
    """Stands still until it is advanced; a call of it tells the time."""

    def __init__(self, start: datetime = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)) -> None:
        self._now = start

    def __call__(self) -> datetime:
        """Tell the time."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let that many seconds pass at once."""
        self._now += timedelta(seconds=seconds)
