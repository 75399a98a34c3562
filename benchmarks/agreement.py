"""Whether the model agrees with the real functions, in time and in what becomes of streams; what they write."""

from __future__ import annotations

import io
import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from statistics import fmean, median
from typing import Final, NamedTuple

from benchmarks.assumptions import Aws, Cpu, Limit, Setup, Sizes
from benchmarks.producers import Phase, Producers, Request
from benchmarks.simulation import PAGE_READ, RUN_READ, STOP_CALL, Played, Simulation, send_calls
from gluebrake import settings, stop
from gluebrake.glue import Glue
from gluebrake.invocation import wired
from gluebrake.model import MAX_RUNS_PER_CALL, Queue
from infra.config import Config
from tests.builders import SETTINGS
from tests.fakes.aws_server import ACCOUNT, REGION, FakeAws
from tests.fakes.exchange import Json
from tests.fakes.faults import Latency, RateLimit, Throttle
from tests.integration.world import CONFIRM, STOP, Context, World, stop_request

WIRE_NAMES: Final = {STOP_CALL: "BatchStopJobRun", PAGE_READ: "GetJobRuns", RUN_READ: "GetJobRun"}
JOB_NAME: Final = "nightly-orders-etl"
GLUE_SECONDS: Final = 0.05
SQS_SECONDS: Final = 0.015
"""What the fake takes to answer, as it is assumed of AWS."""

_REPEATED: Final = 3
_WAVES: Final = 4
_SUMMANDS: Final = 3_000_000
NOTES: Final = {"Reason": "over the budget of 120 DPU-hours", "RequestedBy": "guardrail/nightly"}


class Shape(NamedTuple):
    """An invocation: requests, each for a run of its own, of so many jobs."""

    requests: int
    jobs: int
    skew: float = 1.0


CALIBRATION: Final = (Shape(1, 1), Shape(2000, 10, 0.0), Shape(100, 100, 0.0))
"""From these the processor's seconds of a run and of a call are worked out ..."""
SHAPES: Final = (Shape(1, 1), Shape(10, 10), Shape(100, 50), Shape(1000, 50), Shape(4000, 50))
"""... and from that how long these take."""


class Measured(NamedTuple):
    """The real stop function at work on an invocation: seconds, those of the processor, and calls."""

    seconds: float
    cpu_seconds: float
    glue_calls: int
    send_calls: int


class Calibrated(NamedTuple):
    """What the model has to know of this machine."""

    cpu: Cpu
    share: float
    """Of a processor, which a process gets that wants it whole."""
    answer_seconds: float
    """From a call to its answer, when as many are made at once as the function makes."""


class Compared(NamedTuple):
    """An invocation, measured and foretold."""

    shape: Shape
    measured: Measured
    foretold: Measured

    @property
    def error(self) -> float:
        """How much longer the model takes, as a share of the real time."""
        return self.foretold.seconds / self.measured.seconds - 1


@dataclass(frozen=True, kw_only=True)
class Written:
    """Bytes that the functions write: a line for each outcome, and the metrics of an invocation."""

    lines: Mapping[str, float]
    metrics: Mapping[str, float]
    """By service, of an invocation in which no run stopped."""
    metrics_of_a_stop: float
    """More, for each run that stopped."""
    series: int
    """Different metrics, each a name and a service."""


def run_id(number: int) -> str:
    """Return an id as long as Glue's."""
    return f"jr_{number:064x}"


def requests(shape: Shape, *, first_run: int = 0) -> list[Request]:
    """Draw the requests of an invocation; all are there at once."""
    drawn = Producers(jobs=shape.jobs, skew=shape.skew).requests([Phase(2.0 * shape.requests + 9, 1.0)], seed=7)
    if not shape.skew:
        drawn = [Request(0, number % shape.jobs, number) for number in range(shape.requests)]
    return [Request(0.0, one.job, first_run + one.run) for one in drawn[: shape.requests]]


def measure(shapes: Sequence[Shape]) -> tuple[list[Measured], float, float]:
    """Run the real stop function on each shape, in a process of its own; medians of several times.

    Return with them how long bare calls take, as many at once as the function makes, and the share of a
    processor that there was for it.
    """
    rounds = [
        (shape, requests(shape, first_run=10_000 * number))
        for number, shape in enumerate(shape for _ in range(_REPEATED) for shape in shapes)
    ]
    with _slow_aws() as aws, _function(aws.endpoint) as function:
        for one in (one for _, asked in rounds for one in asked):
            aws.glue.add_run(f"job-{one.job}", run_id(one.run))
        _invoked(aws, function, [Request(0.0, 0, 10**9)])  # the first is slower: it connects
        measured, waves, shares = [], [], []
        for shape, asked in rounds:
            measured.append((shape, _invoked(aws, function, asked)))
            waves.append(_taken(function, "calls")[0] / _WAVES)
            seconds, cpu_seconds = _taken(function, "sums")
            shares.append(cpu_seconds / seconds)
    middle = [_middle([one for of, one in measured if of == shape]) for shape in shapes]
    return middle, median(waves), min(1.0, fmean(shares))


def _taken(function: Connection, work: Json | str) -> tuple[float, float]:
    """Have the process do some work: the seconds that it took, and those of the processor."""
    function.send(work)
    seconds, cpu_seconds = function.recv()
    return seconds, cpu_seconds


def _middle(several: Sequence[Measured]) -> Measured:
    seconds, cpu_seconds, glue_calls, sends = (median(values) for values in zip(*several, strict=True))
    return Measured(seconds, cpu_seconds, int(glue_calls), int(sends))


def _invoked(aws: FakeAws, function: Connection, asked: Sequence[Request]) -> Measured:
    aws.calls.clear()
    seconds, cpu_seconds = _taken(function, _event(asked))
    calls = Counter(call.operation for call in aws.calls)
    sends = calls["SendMessageBatch"]
    return Measured(seconds, cpu_seconds, sum(calls[name] for name in WIRE_NAMES.values()), sends)


def _event(asked: Sequence[Request]) -> Json:
    queue = FakeAws().sqs.add_queue("stop")
    for one in asked:
        queue.put(stop_request(f"job-{one.job}", run_id(one.run), **NOTES))
    return {"Records": queue.records()}


@contextmanager
def _slow_aws() -> Iterator[FakeAws]:
    with FakeAws() as aws:
        for queue in ("stop", "confirm", "dead-letter"):
            aws.sqs.add_queue(queue)
        aws.faults.add(Latency(SQS_SECONDS), operation="SendMessageBatch")
        for operation in WIRE_NAMES.values():
            aws.faults.add(Latency(GLUE_SECONDS), operation=operation)
        yield aws


@contextmanager
def _function(endpoint: str) -> Iterator[Connection]:
    """Start the stop function in a process of its own: so its processor time is its own as well."""
    here, there = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=_serve, args=(there, endpoint), daemon=True)
    process.start()
    try:
        yield here
    finally:
        here.send(None)
        process.join()


def _serve(works: Connection, endpoint: str) -> None:
    """Do what comes: an event for the function or, to compare, bare calls or sums."""
    os.environ |= {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "fake",
        "AWS_SECRET_ACCESS_KEY": "fake",
        "NO_PROXY": "*",
    }
    urls = {
        f"{name.replace('-', '_')}_queue_url": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{name}"
        for name in ("stop", "confirm", "dead-letter")
    }
    with redirect_stdout(io.StringIO()) as output:
        parts = wired("stop", Queue.STOP, settings.environment({**SETTINGS, **urls}))
        while work := works.recv():
            began, cpu_began = time.perf_counter(), time.process_time()
            if work == "calls":
                _call_at_once(parts.glue)
            elif work == "sums":
                sum(range(_SUMMANDS))
            else:
                stop.handler(work, Context(), parts)
            works.send((time.perf_counter() - began, time.process_time() - cpu_began))
            output.truncate(output.seek(0))


def _call_at_once(glue: Glue) -> None:
    """Make bare calls of the usual size, as many at once as the function makes."""
    names = [run_id(number) for number in range(MAX_RUNS_PER_CALL)]
    with ThreadPoolExecutor(glue.calls_at_once) as pool:
        calls = range(_WAVES * glue.calls_at_once)
        list(pool.map(lambda _: glue.client.batch_stop_job_run(JobName="job-0", JobRunIds=names), calls))


def cpu(measured: Sequence[Measured]) -> Cpu:
    """Work out the processor's seconds of an invocation, a run and a call from those of the calibration."""
    (one, many_runs, many_calls), (_, *shapes) = measured, CALIBRATION
    (runs, calls, seconds), (runs_2, calls_2, seconds_2) = (
        (shape.requests - 1, _calls(m) - _calls(one), m.cpu_seconds - one.cpu_seconds)
        for shape, m in zip(shapes, (many_runs, many_calls), strict=True)
    )
    determinant = runs * calls_2 - runs_2 * calls
    per_run = (seconds * calls_2 - seconds_2 * calls) / determinant
    per_call = (runs * seconds_2 - runs_2 * seconds) / determinant
    return Cpu(
        per_invocation=max(0.0, one.cpu_seconds - per_run - per_call * _calls(one)),
        per_run=per_run,
        per_call=per_call,
    )


def _calls(measured: Measured) -> int:
    return measured.glue_calls + measured.send_calls


def foretell(shape: Shape, known: Calibrated) -> Measured:
    """Run the model on one invocation, with nothing around it that Lambda would do."""
    config = Config(batch_size=shape.requests, batch_window_seconds=1, max_concurrency=1)
    aws = Aws(
        dispatch_seconds=0,
        cold_seconds=0,
        payload_bytes=10**9,
        glue_seconds=known.answer_seconds,
        sqs_seconds=known.answer_seconds - GLUE_SECONDS + SQS_SECONDS,
    )
    setup = Setup(config=config, aws=aws, cpu=known.cpu.at_share(known.share))
    first, *_ = Simulation(setup, requests(shape)).play().invocations
    return Measured(first.seconds, 0.0, first.worked.glue_calls, send_calls(first.worked))


def compare_invocations() -> tuple[Calibrated, list[Compared]]:
    """Measure calibration and shapes by turns, and foretell the shapes."""
    measured, wave, share = measure([*CALIBRATION, *SHAPES])
    ours = cpu(measured[: len(CALIBRATION)])
    known = Calibrated(ours, share, wave - ours.per_call / share)
    pairs = zip(SHAPES, measured[len(CALIBRATION) :], strict=True)
    return known, [Compared(shape, one, foretell(shape, known)) for shape, one in pairs]


STREAM: Final = Producers(jobs=3, duplicates=0.2, remembered=20)
STREAM_LIMIT: Final = Limit(per_second=0.05, burst=4)


def stream(number: int = 80) -> list[Request]:
    """Draw a small stream that brings Glue to its limit; its times are whole seconds."""
    drawn = STREAM.requests([Phase(100.0 * number, 0.2)], seed=11)[:number]
    return [Request(float(round(one.at)), one.job, one.run) for one in drawn]


def played_by_the_model(asked: Sequence[Request], limit: Limit) -> Played:
    """Let the model work the stream off as `World` does: nothing takes time but what is waited for."""
    config = Config(batch_size=10_000, calls_at_once=1, max_concurrency=1)
    aws = Aws(
        dispatch_seconds=0,
        cold_seconds=0,
        glue_seconds=0,
        sqs_seconds=0,
        events_seconds=0,
        limits=dict.fromkeys(WIRE_NAMES, limit),
        tries=1,
        stopping_seconds=10,
        stopping_spread=0,
        hanging_share=0,
    )
    nothing = Cpu(per_invocation=0, per_run=0, per_call=0)
    return Simulation(Setup(config=config, aws=aws, cpu=nothing, jitter=0.5), asked).play()


def played_by_the_functions(asked: Sequence[Request], limit: Limit) -> World:
    """Let the real functions work the stream off, in time that stands still while they do."""
    with World(calls_at_once=1) as world:
        began = world.clock()
        for operation in WIRE_NAMES.values():
            rate = RateLimit(
                per_second=limit.per_second,
                burst=limit.burst,
                clock=partial(_seconds_since, began, world),
            )
            world.aws.faults.add(rate, operation=operation)
        for one in asked:
            _pass_until(world, began + timedelta(seconds=one.at))
            if run_id(one.run) not in {run.run_id for run in world.aws.glue}:
                world.aws.glue.add_run(f"job-{one.job}", run_id(one.run))
            world.ask(f"job-{one.job}", run_id(one.run))
        world.run()
    return world


def _seconds_since(moment: datetime, world: World) -> float:
    return (world.clock() - moment).total_seconds()


def _pass_until(world: World, moment: datetime) -> None:
    """Deliver what comes due before the moment, and let time pass until then."""
    while (due := _next_due(world)) is not None and due < moment:
        world.step()
    world.clock.advance((moment - world.clock()).total_seconds())


def _next_due(world: World) -> datetime | None:
    return min((m.due_at for queue in (world.stop_queue, world.confirm_queue) for m in queue), default=None)


def sizes() -> Sizes:
    """Measure the messages that the model counts: a request with one run, and what a further one adds."""
    one, two = (len(stop_request(JOB_NAME, *map(run_id, range(number)), **NOTES)) for number in (1, 2))
    return Sizes(message=one, run_id=two - one)


def written() -> Written:
    """Measure what the real functions write of runs that are throttled at first, and stop after a while."""
    alone, together = (_written_of(runs) for runs in (1, 11))
    lines = [line for invocation in together.invocations for line in invocation.output.split("\n") if line]
    texts = {line: json.loads(line) for line in lines}
    outcomes = {told["outcome"] for told in texts.values() if "outcome" in told}
    calm = {service: _metric_bytes(alone, service, stops=False) for service in (STOP, CONFIRM)}
    stops = [_metric_bytes(world, CONFIRM, stops=True) for world in (alone, together)]
    return Written(
        lines={
            o: fmean(len(line) for line, told in texts.items() if told.get("outcome") == o) for o in outcomes
        },
        metrics=calm,
        metrics_of_a_stop=(stops[1] - stops[0]) / 10,
        series=len({(i.service, name) for i in together.invocations for name in i.values}),
    )


def _written_of(runs: int) -> World:
    with World() as world:
        world.aws.faults.add(Throttle(), operation="BatchStopJobRun", times=1)
        for number in range(runs):
            world.aws.glue.add_run(JOB_NAME, run_id(number), stopping_seconds=20)
            world.ask(JOB_NAME, run_id(number), **NOTES)
        world.run()
    return world


def _metric_bytes(world: World, service: str, *, stops: bool) -> float:
    """Return the bytes of the metrics of an invocation, in the mean: of one in which runs stopped, or not."""
    invocations = [i for i in world.invocations if i.service == service and stops == ("Stopped" in i.counts)]
    return fmean(sum(len(json.dumps(m, separators=(",", ":"))) for m in i.metrics) for i in invocations)
