"""A hundred thousand requests through the functions' processes: all accounted for, at a cost that stays."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import mean
from typing import Any, Final

from gluebrake.model import MAX_RUNS_PER_CALL
from tests.support.fakes.clock import VirtualClock
from tests.support.fakes.exchange import Json
from tests.support.function_process import ROOT, environment_of
from tests.support.invariants import broken_promises, ended_too_often
from tests.support.properties import account_of
from tests.support.simulated_aws import CONFIRM, STOP, Invocation, World, stop_request

RUNS_OF_A_JOB: Final = 1000
_WATCHED_AT_ONCE: Final = 10
_STOPPING_SECONDS: Final = 60
_MICROSECONDS: Final = 1e6


@dataclass
class Function:
    """A function's process, and what each of its invocations took."""

    process: subprocess.Popen[str]
    cpu_seconds: list[float] = field(default_factory=list)
    peaks: list[int] = field(default_factory=list)

    def handle(self, records: Sequence[Json]) -> tuple[str, Json]:
        """Have an event handled; return what was logged, and the answer."""
        if not (self.process.stdin and self.process.stdout):
            raise RuntimeError("the process has no pipes")
        self.process.stdin.write(json.dumps({"Records": records}) + "\n")
        self.process.stdin.flush()
        logged: list[str] = []
        while not (line := self.process.stdout.readline()).startswith('{"answer"'):
            if not line:
                raise RuntimeError(f"the function ended with {self.process.wait()}")
            logged.append(line)
        told: dict[str, Any] = json.loads(line)
        self.cpu_seconds.append(told["cpu_seconds"])
        self.peaks.append(told["peak_rss"])
        return "".join(logged), told["answer"]


@dataclass(frozen=True, kw_only=True)
class Flood:
    """What a flood came to."""

    messages: int
    at_once: int
    stop_calls: int
    broken: Sequence[str]
    stop: Function
    confirm: Function

    @property
    def calls_expected(self) -> int:
        """The fewest BatchStopJobRun calls that can carry the runs."""
        return self.messages // MAX_RUNS_PER_CALL

    @property
    def microseconds(self) -> tuple[float, float]:
        """CPU of the stop function for a message, in the first and in the last third of the invocations."""
        # The first invocation of a process wires the function.
        steady = [seconds / self.at_once * _MICROSECONDS for seconds in self.stop.cpu_seconds[1:]]
        third = max(1, len(steady) // 3)
        return mean(steady[:third]), mean(steady[-third:])

    @property
    def growth(self) -> float:
        """By what factor the process's peak memory grew after its second invocation."""
        return self.stop.peaks[-1] / self.stop.peaks[1]


def flood(messages: int, at_once: int, tell: Callable[[str], None]) -> Flood:
    """Have so many messages, each naming a run of its own, handled in invocations of `at_once`."""
    with World(clock=VirtualClock(datetime.now(UTC))) as world, _running(world, STOP) as stop:
        bodies = list(_asked(world, messages))
        for start in range(0, messages, at_once):
            for body in bodies[start : start + at_once]:
                world.put(body)
            _deliver(world, STOP, stop)
            tell(f"{start + at_once:,} of {messages:,} messages")
        with _running(world, CONFIRM) as confirm:
            _confirm(world, confirm)
        account = account_of(world, bodies)
        return Flood(
            messages=messages,
            at_once=at_once,
            stop_calls=len(account.stop_calls),
            broken=broken_promises(account) + ended_too_often(account),
            stop=stop,
            confirm=confirm,
        )


def _asked(world: World, messages: int) -> Iterator[str]:
    for number in range(messages):
        job_name, run_id = f"job-{number // RUNS_OF_A_JOB}", f"jr_{number}"
        world.aws.glue.add_run(job_name, run_id)
        yield stop_request(job_name, run_id)


def _confirm(world: World, confirm: Function) -> None:
    world.clock.advance(_STOPPING_SECONDS)
    while len(world.confirm_queue):
        _deliver(world, CONFIRM, confirm, _WATCHED_AT_ONCE)


def _deliver(world: World, service: str, function: Function, most: int | None = None) -> None:
    queue = world.stop_queue if service == STOP else world.confirm_queue
    first_call = len(world.aws.calls)
    messages = queue.take()
    for later in messages[most:] if most else ():
        queue.put(later.body, attributes=later.attributes)
    output, answer = function.handle([message.record() for message in messages[:most]])
    world.invocations.append(Invocation(service, (), world.aws.calls[first_call:], output, answer))


@contextlib.contextmanager
def _running(world: World, service: str) -> Iterator[Function]:
    command = [sys.executable, "-m", "prove.flood_function", service]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, env=environment_of(world), cwd=ROOT, text=True, stdin=pipe, stdout=pipe
    ) as process:
        try:
            yield Function(process)
        finally:
            process.kill()
