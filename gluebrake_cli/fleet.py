"""Runs a function for several environments at once. An error of one environment does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from gluebrake.environments import Environment
from gluebrake_cli import interrupts, progress
from gluebrake_cli.environments import Site
from gluebrake_cli.errors import explain
from gluebrake_cli.progress import OnProgress

if TYPE_CHECKING:
    from gluebrake_cli.stack import Deployment

T = TypeVar("T")


class Task(NamedTuple, Generic[T]):
    """The work to do in an environment. `work` reports its progress."""

    environment: Environment
    work: Callable[[OnProgress], T]


@dataclass(frozen=True)
class Result(Generic[T]):
    """The value that a task returned, or the error if it failed."""

    environment: Environment
    value: T | None = None
    error: str = ""


class Found(NamedTuple, Generic[T]):
    """A deployment, and the value that a command read from it."""

    deployment: Deployment
    value: T


def read(sites: Iterable[Site], work: Callable[[Deployment, OnProgress], T]) -> list[Result[Found[T]]]:
    """Find the stack of each environment, and apply `work` to it."""
    return run([Task(site.environment, partial(_found, site, work)) for site in sites])


def _found(site: Site, work: Callable[[Deployment, OnProgress], T], on_progress: OnProgress) -> Found[T]:
    deployment = site.deployment()
    return Found(deployment, work(deployment, on_progress))


def run(tasks: Sequence[Task[T]]) -> list[Result[T]]:
    """Run each task in a thread. Show the unfinished tasks on standard error. Ctrl-C ends all tasks."""
    results: dict[int, Result[T]] = {}
    ended: SimpleQueue[tuple[int, Result[T]]] = SimpleQueue()
    names = [task.environment.name for task in tasks]
    with progress.side_by_side(names) as bars, interrupts.workers() as start:
        for number, (task, bar) in enumerate(zip(tasks, bars, strict=True)):
            start(partial(_put, ended, number, task, bar.update))
        while len(results) < len(tasks):
            number, result = ended.get()
            bars[number].remove()
            results[number] = result
    return [results[number] for number in range(len(tasks))]


def _put(
    ended: SimpleQueue[tuple[int, Result[T]]], number: int, task: Task[T], on_progress: OnProgress
) -> None:
    """Put the result of a task into a queue, even after an error: the main thread waits for every result."""
    try:
        result = Result(task.environment, task.work(on_progress))
    except BaseException as error:  # noqa: BLE001 - an error of one environment must not stop the others
        result = Result[T](task.environment, error=explain(error) or repr(error))
    ended.put((number, result))
