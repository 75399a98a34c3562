"""Tasks of several environments run side by side, and each has a result."""

from __future__ import annotations

import os
import signal
from threading import Barrier, Event

import pytest

from gluebrake.environments import Environment
from gluebrake_cli import fleet, interrupts
from gluebrake_cli.errors import OperatorError
from gluebrake_cli.fleet import Result, Task
from gluebrake_cli.progress import OnProgress

ONE, TWO, THREE = (
    Environment(name=name, account="123456789012", region="eu-west-1") for name in ("one", "two", "three")
)


def test_tasks_run_at_the_same_time() -> None:
    """Each waits for all, which only ends if all have started. The results are in the order of the tasks."""
    barrier = Barrier(3, timeout=10)

    def work(on_progress: OnProgress) -> str:
        on_progress(1, 3)
        barrier.wait()
        return "done"

    assert fleet.run([Task(each, work) for each in (ONE, TWO, THREE)]) == [
        Result(each, "done") for each in (ONE, TWO, THREE)
    ]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OperatorError("no stack"), "no stack"),
        (ZeroDivisionError("by zero"), "ZeroDivisionError('by zero')"),
        (SystemExit(3), "SystemExit(3)"),
    ],
)
def test_error_of_one_leaves_the_rest(error: BaseException, text: str) -> None:
    """Whatever is raised becomes the result of its environment."""

    def fail(_: OnProgress) -> int:
        raise error

    tasks = [Task(ONE, fail), Task(TWO, lambda _: 2)]
    assert fleet.run(tasks) == [Result(ONE, error=text), Result(TWO, 2)]


def test_no_task_has_no_result() -> None:
    """No environment has runs to stop: nothing is awaited."""
    assert fleet.run([]) == []


def test_ctrl_c_ends_all_tasks() -> None:
    """The main thread gets it, which waits for results. The tasks clean up before the command ends."""
    cleaned_up = Event()

    def work(_: OnProgress) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        try:
            interrupts.sleep(60)
        except KeyboardInterrupt:
            cleaned_up.set()
            raise

    with pytest.raises(KeyboardInterrupt):
        fleet.run([Task(ONE, work)])
    assert cleaned_up.is_set()
