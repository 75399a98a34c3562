"""The call budget of an invocation, which decides whether a call to AWS may start, and parallel calls."""

from __future__ import annotations

import contextlib
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final, TypeVar

from gluebrake.error_codes import THROTTLED

T = TypeVar("T")
R = TypeVar("R")

_MAX_THROTTLED_CALLS: Final = 3
_SHORTEST_CALL_SECONDS: Final = 1.0
_CLOSING_SECONDS: Final = 1.0

_DISPATCH_SECONDS: Final = 2.0
_DISPATCH_SECONDS_PER_RESULT: Final = 0.001
"""The time to send one result. A batch of ten messages or events takes 80 ms, and eight are sent at once."""


class NotStartedError(Exception):
    """The call budget does not allow a call to start."""


@dataclass(slots=True, eq=False, repr=False)
class CallBudget:
    """The time and the throttled calls of an invocation, which decide whether another call may start.

    The first call may always start, so that every invocation makes progress. After it, no call starts when
    Glue has throttled three calls, or when only the time that is reserved for dispatch is left.
    """

    seconds_left: Callable[[], float]
    reserved: float = field(default=0.0, init=False)
    calls: Counter[str] = field(default_factory=Counter, init=False)
    throttled: int = field(default=0, init=False)
    unusable_messages: int = field(default=0, init=False)
    """Messages that cannot be used. Their results are dispatched together with the results of the stage."""
    _closed: bool = field(default=False, init=False)
    _lock: Lock = field(default_factory=Lock, init=False, repr=False)

    def reserve_for_dispatch(self, results: int) -> None:
        """Reserve the time to dispatch this number of results, but at most half of the time that is left."""
        seconds = _DISPATCH_SECONDS + _DISPATCH_SECONDS_PER_RESULT * (results + self.unusable_messages)
        self.reserved = min(seconds, self.seconds_left() / 2)

    def start(self, operation: str) -> None:
        """Count a call, or raise NotStartedError."""
        with self._lock:
            if self.is_exhausted():
                raise NotStartedError
            self.calls[operation] += 1

    def is_exhausted(self) -> bool:
        """Return whether no more calls may start. Once true, the result is true for the whole invocation."""
        out_of_budget = self.throttled >= _MAX_THROTTLED_CALLS or self._is_time_up()
        self._closed = self._closed or (out_of_budget and bool(self.calls))
        return self._closed

    def close_when_late(self) -> bool:
        """Return whether no more calls may start. When the time is up, even the first call may not start."""
        self._closed = self._closed or self._is_time_up()
        return self.is_exhausted()

    def _is_time_up(self) -> bool:
        return self.usable_seconds() < _SHORTEST_CALL_SECONDS

    def record_response(self, operation: str, response: Any, error_code: str = "") -> None:
        """Count the retries that botocore made before a response, and the response if it is throttling."""
        with self._lock:
            self.calls[operation] += botocore_retries(response)
            self.throttled += error_code in THROTTLED

    def usable_seconds(self) -> float:
        """Return how many more seconds the invocation may wait for responses."""
        return max(0.0, self.seconds_left() - self.reserved)

    def leftover_seconds(self) -> float:
        """Return how many seconds of the reserved time are left for optional calls."""
        return min(self.reserved, self.seconds_left() - _CLOSING_SECONDS)


def botocore_retries(response: Any) -> int:
    """Return how many times botocore repeated a call before it got this response."""
    return int(response.get("ResponseMetadata", {}).get("RetryAttempts", 0))


def fan_out(
    call: Callable[[T], R], items: Sequence[T], *, workers: int, seconds: float | None
) -> list[tuple[T, Future[R]]]:
    """Call with each item, `workers` at a time, and wait at most `seconds`. None waits for all calls.

    After that time, calls that have not started are cancelled. Calls that are still running continue in their
    threads, but nothing waits for them.
    """
    if not items:
        return []
    futures = [Future[R]() for _ in items]
    waiting = deque(zip(items, futures, strict=True))
    # Each worker is one task of the pool. A task for each item would take twice the CPU time.
    pool = ThreadPoolExecutor(workers)
    for _ in range(min(workers, len(items))):
        pool.submit(_call_each, call, waiting)
    wait(futures, timeout=seconds)
    for future in futures:
        future.cancel()
    pool.shutdown(wait=False)
    return list(zip(items, futures, strict=True))


def _call_each(call: Callable[[T], R], waiting: deque[tuple[T, Future[R]]]) -> None:
    """Take items and call until none is waiting. Other threads take from the same items."""
    with contextlib.suppress(IndexError):
        while True:
            item, future = waiting.popleft()
            if future.set_running_or_notify_cancel():
                _settle(future, call, item)


def _settle(future: Future[R], call: Callable[[T], R], item: T) -> None:
    try:
        response = call(item)
    except BaseException as error:  # noqa: BLE001 - the future of this item reports the error
        future.set_exception(error)
    else:
        future.set_result(response)
