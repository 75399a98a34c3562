"""Run the tests' fake Glue and SQS in a separate process, so that their CPU time is not the function's."""

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
    """A fake AWS in another process. Arguments and return values are pickled."""

    pool: ProcessPoolExecutor

    def call(self, function: Callable[..., R], *arguments: Any) -> R:
        """Call the function in that process, with its FakeAws as the first argument."""
        return self.pool.submit(_call, function, *arguments).result()


@contextmanager
def aws_process() -> Iterator[AwsProcess]:
    """Run a fake AWS until the context exits."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield AwsProcess(pool)


def _call(function: Callable[..., R], *arguments: Any) -> R:
    return function(_aws(), *arguments)


@cache
def _aws() -> FakeAws:
    """Start the fake AWS of this process. It ends with the process."""
    return ExitStack().enter_context(FakeAws())
