"""Ctrl-C for threads, because Python raises KeyboardInterrupt in the main thread only."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from threading import Event, Thread
from typing import Final

_PRESSED: Final[ContextVar[Event | None]] = ContextVar("pressed", default=None)
"""The event that is set when the operator presses Ctrl-C. Only threads of `workers` have it."""

_GRACE_SECONDS: Final = 5.0
"""How long threads may take to end after Ctrl-C, for example to stop a query."""


def check() -> None:
    """Raise KeyboardInterrupt in a thread of `workers` if the operator has pressed Ctrl-C."""
    if (pressed := _PRESSED.get()) and pressed.is_set():
        raise KeyboardInterrupt


def sleep(seconds: float) -> None:
    """Sleep. Raise KeyboardInterrupt when the operator presses Ctrl-C, in any thread."""
    if pressed := _PRESSED.get():
        pressed.wait(seconds)
        check()
    else:
        time.sleep(seconds)


@contextmanager
def workers() -> Iterator[Callable[[Callable[[], None]], None]]:
    """Yield a function that starts a thread. After Ctrl-C, the threads get a few seconds to end.

    After that, the command ends even if a thread is still waiting for AWS.
    """
    pressed, threads = Event(), list[Thread]()

    def start(work: Callable[[], None]) -> None:
        context = copy_context()
        context.run(_PRESSED.set, pressed)
        threads.append(Thread(target=context.run, args=(work,), daemon=True))
        threads[-1].start()

    try:
        yield start
    except KeyboardInterrupt:
        pressed.set()
        deadline = time.monotonic() + _GRACE_SECONDS
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        raise
