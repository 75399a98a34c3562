"""The tests' fake Glue and SQS in a process of its own, so that its work is not taken for the function's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from typing import Any, TypeVar

from tests.support.fakes.aws_server import FakeAws

R = TypeVar("R")


@dataclass(frozen=True)
class AwsProcess:
    """A fake AWS that is told what to do; what it is given and what it returns is pickled."""

    pool: ProcessPoolExecutor

    def do(self, work: Callable[..., R], *arguments: Any) -> R:
        """Do something with the FakeAws, its first argument, between calls."""
        return self.pool.submit(_do, work, *arguments).result()


@contextmanager
def aws_process() -> Iterator[AwsProcess]:
    """Run a fake AWS as long as the context lasts."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield AwsProcess(pool)


def _do(work: Callable[..., R], *arguments: Any) -> R:
    return work(_aws(), *arguments)


@cache
def _aws() -> FakeAws:
    """Start this process's fake; it ends with the process."""
    return ExitStack().enter_context(FakeAws())
