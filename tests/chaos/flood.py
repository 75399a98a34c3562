"""Send a hundred thousand requests to the functions' processes: every one has a result, at constant cost."""

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
from tests.support.function_environment import ROOT, environment_of
from tests.support.invariants import repeated_ends, violations
from tests.support.properties import evidence_of
from tests.support.simulated_aws import CONFIRM, STOP, Invocation, SimulatedAws, stop_request

RUNS_OF_A_JOB: Final = 1000
_CONFIRM_BATCH_SIZE: Final = 10
_STOPPING_SECONDS: Final = 60
_MICROSECONDS: Final = 1e6


@dataclass
class FunctionProcess:
    """A function's process, and the CPU time and peak memory of each invocation."""

    process: subprocess.Popen[str]
    cpu_seconds: list[float] = field(default_factory=list)
    peaks: list[int] = field(default_factory=list)

    def handle(self, records: Sequence[Json]) -> tuple[str, Json]:
        """Handle an event. Return the log and the answer."""
        if not (self.process.stdin and self.process.stdout):
            raise RuntimeError("the process has no pipes")
        self.process.stdin.write(json.dumps({"Records": records}) + "\n")
        self.process.stdin.flush()
        log: list[str] = []
        while not (line := self.process.stdout.readline()).startswith('{"answer"'):
            if not line:
                raise RuntimeError(f"the function ended with {self.process.wait()}")
            log.append(line)
        report: dict[str, Any] = json.loads(line)
        self.cpu_seconds.append(report["cpu_seconds"])
        self.peaks.append(report["peak_rss"])
        return "".join(log), report["answer"]


@dataclass(frozen=True, kw_only=True)
class FloodResult:
    """The result of a flood."""

    messages: int
    batch_size: int
    stop_calls: int
    violations: Sequence[str]
    stop: FunctionProcess
    confirm: FunctionProcess

    @property
    def expected_calls(self) -> int:
        """The fewest BatchStopJobRun calls that can stop the runs."""
        return self.messages // MAX_RUNS_PER_CALL

    @property
    def cpu_microseconds(self) -> tuple[float, float]:
        """STOP's CPU time for a message, in the first and in the last third of the invocations."""
        # A process's first invocation makes the function's dependencies.
        steady = [seconds / self.batch_size * _MICROSECONDS for seconds in self.stop.cpu_seconds[1:]]
        third = max(1, len(steady) // 3)
        return mean(steady[:third]), mean(steady[-third:])

    @property
    def memory_growth(self) -> float:
        """The factor by which STOP's peak memory grew after its second invocation."""
        return self.stop.peaks[-1] / self.stop.peaks[1]


def flood(messages: int, batch_size: int, show_progress: Callable[[str], None]) -> FloodResult:
    """Handle messages that each name their own run, in invocations of `batch_size` messages."""
    with (
        SimulatedAws(clock=VirtualClock(datetime.now(UTC))) as simulation,
        _process(simulation, STOP) as stop,
    ):
        bodies = list(_requests(simulation, messages))
        for start in range(0, messages, batch_size):
            for body in bodies[start : start + batch_size]:
                simulation.put(body)
            _deliver(simulation, STOP, stop)
            show_progress(f"{start + batch_size:,} of {messages:,} messages")
        with _process(simulation, CONFIRM) as confirm:
            _confirm(simulation, confirm)
        evidence = evidence_of(simulation, bodies)
        return FloodResult(
            messages=messages,
            batch_size=batch_size,
            stop_calls=len(evidence.stop_calls),
            violations=violations(evidence) + repeated_ends(evidence),
            stop=stop,
            confirm=confirm,
        )


def _requests(simulation: SimulatedAws, messages: int) -> Iterator[str]:
    for number in range(messages):
        job_name, run_id = f"job-{number // RUNS_OF_A_JOB}", f"jr_{number}"
        simulation.aws.glue.add_run(job_name, run_id)
        yield stop_request(job_name, run_id)


def _confirm(simulation: SimulatedAws, confirm: FunctionProcess) -> None:
    simulation.clock.advance(_STOPPING_SECONDS)
    while len(simulation.confirm_queue):
        _deliver(simulation, CONFIRM, confirm, _CONFIRM_BATCH_SIZE)


def _deliver(
    simulation: SimulatedAws, service: str, function: FunctionProcess, batch_size: int | None = None
) -> None:
    queue = simulation.stop_queue if service == STOP else simulation.confirm_queue
    first_call = len(simulation.aws.calls)
    messages = queue.take()
    for later in messages[batch_size:] if batch_size else ():
        queue.put(later.body, attributes=later.attributes)
    output, answer = function.handle([message.record() for message in messages[:batch_size]])
    calls = simulation.aws.calls[first_call:]
    simulation.invocations.append(Invocation(service, (), calls, output, answer))


@contextlib.contextmanager
def _process(simulation: SimulatedAws, service: str) -> Iterator[FunctionProcess]:
    command = [sys.executable, "-m", "tests.chaos.flood_function", service]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, env=environment_of(simulation), cwd=ROOT, text=True, stdin=pipe, stdout=pipe
    ) as process:
        try:
            yield FunctionProcess(process)
        finally:
            process.kill()
