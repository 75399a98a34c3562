"""Ctrl-C ends the threads of a command, as it ends the command's only thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event

import pytest

from gluebrake_cli import interrupts


def _end(work: Callable[[], None], started: Event, error: type[BaseException] = KeyboardInterrupt) -> None:
    """Start a worker, and end the command with an error as soon as the worker has started."""
    with interrupts.workers() as start:
        start(work)
        started.wait()
        raise error


def test_sleep_of_a_worker_ends_with_ctrl_c() -> None:
    """A thread that waits can clean up, for example stop a query that costs money."""
    started, cleaned_up = Event(), Event()

    def work() -> None:
        started.set()
        try:
            interrupts.sleep(60)
        except KeyboardInterrupt:
            cleaned_up.set()

    with pytest.raises(KeyboardInterrupt):
        _end(work, started)
    assert cleaned_up.is_set()


def test_work_ends_at_its_next_check() -> None:
    """A thread that sends one request after another checks before each."""
    started, ended = Event(), Event()

    def work() -> None:
        interrupts.check()
        started.set()
        try:
            while True:
                interrupts.check()
        except KeyboardInterrupt:
            ended.set()

    with pytest.raises(KeyboardInterrupt):
        _end(work, started)
    assert ended.is_set()


def test_thread_that_hangs_does_not_keep_the_command_from_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS may not answer. The operator has pressed Ctrl-C and gets the prompt back."""
    monkeypatch.setattr(interrupts, "_GRACE_SECONDS", 0.05)
    started, released = Event(), Event()

    def work() -> None:
        started.set()
        released.wait()

    with pytest.raises(KeyboardInterrupt):
        _end(work, started)
    released.set()


def test_without_workers_a_sleep_is_a_sleep() -> None:
    """In the main thread, Python itself raises KeyboardInterrupt."""
    begin = time.monotonic()
    interrupts.check()
    interrupts.sleep(0.01)
    assert time.monotonic() - begin >= 0.01


def test_other_errors_do_not_interrupt_the_threads() -> None:
    """Only Ctrl-C does."""
    started, ended = Event(), Event()

    def work() -> None:
        started.set()
        interrupts.sleep(0.05)
        ended.set()

    with pytest.raises(ZeroDivisionError):
        _end(work, started, ZeroDivisionError)
    assert ended.wait(5)
