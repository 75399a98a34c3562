"""How long an invocation takes, what of that is our own work, and how both grow with the messages."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from statistics import linear_regression, median, quantiles
from typing import Final

from benchmarks.aws_process import AwsProcess, aws_process
from benchmarks.function_process import (
    CONFIRM,
    PARTS_OF_THE_WORK,
    STOP,
    function_process,
    invoke,
    invoke_between_stubs,
    memory,
    own_cpu,
    own_cpu_in_series,
    records,
    replay,
    requests,
)
from benchmarks.report import Plot, Report, Table, Target
from benchmarks.streams import distinct_runs
from gluebrake.settings import environment
from tests.support.builders import SETTINGS
from tests.support.fakes.aws_server import REGION, FakeAws
from tests.support.fakes.exchange import Call
from tests.support.fakes.faults import Latency, RateLimit

ROUNDS: Final = 5
ROUNDS_IN_SERIES: Final = 3
SIZES: Final = (1, 10, 100, 1_000, 10_000)
SERIES: Final = (100, 1_000, 10_000, 100_000)
"""Messages of one invocation, and of as many as it takes."""

GLUE_SECONDS: Final = 0.05
CALLS_PER_SECOND: Final = 20

MOST_OVER_BARE: Final = 1.15
MOST_MICROSECONDS: Final = 60
MOST_GROWTH: Final = 1.25
MOST_MEGABYTES: Final = 160

Seconds = list[float]
"""One for each round."""


@dataclass(frozen=True)
class Race:
    """Invocations of one size, the same between stubs, and bare boto3 making the same calls, in turn."""

    messages: int
    calls_per_second: float = math.inf
    """The BatchStopJobRun calls that Glue takes, as many of them at once."""
    calls: list[Call] = field(default_factory=list)
    """Those of ours, the last time."""
    ours: Seconds = field(default_factory=list)
    own: Seconds = field(default_factory=list)
    """Our own CPU: ours between stubs that answer at once."""
    bare: Seconds = field(default_factory=list)
    stopped: list[int] = field(default_factory=list)
    """The runs that ours stopped, each time."""

    def over_bare(self) -> float:
        """Return ours by bare boto3, each round by itself."""
        return median(ours / bare for ours, bare in zip(self.ours, self.bare, strict=True))

    def calling_over_bare(self) -> float:
        """Return ours less our own CPU by bare boto3, each round by itself."""
        rounds = zip(self.ours, self.own, self.bare, strict=True)
        return median((ours - own) / bare for ours, own, bare in rounds)


@dataclass(frozen=True)
class Measured:
    """All that was measured."""

    races: Sequence[Race]
    throttled: Race
    own: Mapping[tuple[str, int], Sequence[Mapping[str, float]]]
    """Our own CPU seconds by part, each time, by function and messages of an invocation."""
    series: Mapping[int, Seconds]
    """Our own CPU seconds by messages, in invocations as full as they may be."""
    memory: Sequence[tuple[int, int]]
    """The most bytes held before and after an invocation of the largest size, each in a new process."""

    def own_seconds(self, service: str, messages: int) -> float:
        """Return our own CPU seconds for an invocation."""
        return median(sum(parts.values()) for parts in self.own[service, messages])

    def microseconds(self, service: str, messages: int) -> float:
        """Return our own CPU for a message."""
        return self.own_seconds(service, messages) / messages * 1e6


def run(progress: Callable[[str], None]) -> Report:
    """Measure, and hold the figures against the targets."""
    with aws_process() as aws:
        environ = aws.do(_set_up)
        with function_process(environ) as function:
            *races, throttled = _races(aws, function, progress)
            own, series = _own_work(function, progress)
        progress("memory")
        held = [_memory(aws, environ) for _ in range(3)]
    measured = Measured(races, throttled, own, series, held)
    return Report(
        title="Throughput and latency",
        text=_TEXT,
        tables=[_walls(races), _throttling(throttled), _by_part(measured), _growth(series), _held(held)],
        plots=[_plot_of_walls(races), _plot_of_growth(series)],
        targets=targets(measured),
    )


def _races(aws: AwsProcess, function: ProcessPoolExecutor, progress: Callable[[str], None]) -> list[Race]:
    races = [*map(Race, SIZES), Race(1_000, CALLS_PER_SECOND)]
    for race in races:
        _ours(race, aws, function)  # shows what is to be called, and warms both up
        race.ours.clear()
        race.stopped.clear()
    for number in range(ROUNDS):
        for race in races:
            progress(f"{race.messages:,} messages, round {number + 1} of {ROUNDS}")
            for turn in (_ours, _own, _bare) if number % 2 else (_bare, _own, _ours):
                turn(race, aws, function)
    return races


def _ours(race: Race, aws: AwsProcess, function: ProcessPoolExecutor) -> None:
    aws.do(_rewind, race.calls_per_second)
    race.ours.append(function.submit(invoke, race.messages).result().wall)
    race.calls[:] = aws.do(_called)
    race.stopped.append(aws.do(_stopped))


def _own(race: Race, _: AwsProcess, function: ProcessPoolExecutor) -> None:
    race.own.append(function.submit(invoke_between_stubs, race.messages).result().cpu)


def _bare(race: Race, aws: AwsProcess, function: ProcessPoolExecutor) -> None:
    aws.do(_rewind, race.calls_per_second)
    race.bare.append(function.submit(replay, race.calls).result().wall)


def _own_work(
    function: ProcessPoolExecutor, progress: Callable[[str], None]
) -> tuple[dict[tuple[str, int], list[dict[str, float]]], dict[int, Seconds]]:
    own: dict[tuple[str, int], list[dict[str, float]]] = {}
    series: dict[int, Seconds] = {}
    for number in range(ROUNDS):
        progress(f"our own work, round {number + 1} of {ROUNDS}")
        for service, size in ((service, size) for service in (STOP, CONFIRM) for size in SIZES):
            own.setdefault((service, size), []).append(function.submit(own_cpu, service, size).result())
    for number in range(ROUNDS_IN_SERIES):
        progress(f"our own work in a row of invocations, round {number + 1} of {ROUNDS_IN_SERIES}")
        for size in SERIES:
            series.setdefault(size, []).append(function.submit(own_cpu_in_series, size).result())
    return own, series


def _memory(aws: AwsProcess, environ: Mapping[str, str]) -> tuple[int, int]:
    aws.do(_rewind, math.inf)
    event = json.dumps({"Records": list(records(STOP, requests(max(SIZES))))})
    with function_process(environ) as function:
        return function.submit(memory, event).result()


def _set_up(aws: FakeAws) -> dict[str, str]:
    """Start every run that will be named; return the functions' environment."""
    for job_name, run_id in sorted({run for size in SIZES for run in distinct_runs(requests(size))}):
        aws.glue.add_run(job_name, run_id)
    urls = {f"{name}_queue_url": url for name, url in _new_queues(aws).items()}
    return {
        "AWS_ENDPOINT_URL": aws.endpoint,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "fake",
        "AWS_SECRET_ACCESS_KEY": "fake",
        "NO_PROXY": "127.0.0.1",
        **environment({**SETTINGS, **urls}),
    }


def _new_queues(aws: FakeAws) -> dict[str, str]:
    return {name: aws.sqs.add_queue(name).url for name in ("stop", "confirm", "dead_letter")}


def _rewind(aws: FakeAws, calls_per_second: float) -> None:
    """Make everything as it was before the first call."""
    for run in aws.glue:
        run.become("RUNNING")
    _new_queues(aws)
    aws.calls.clear()
    aws.faults.clear()
    aws.faults.add(Latency(GLUE_SECONDS), operation="BatchStopJobRun")
    if math.isfinite(calls_per_second):
        limit = RateLimit(per_second=calls_per_second, burst=calls_per_second)
        aws.faults.add(limit, operation="BatchStopJobRun")


def _called(aws: FakeAws) -> list[Call]:
    return list(aws.calls)


def _stopped(aws: FakeAws) -> int:
    return sum(run.state != "RUNNING" for run in aws.glue)


def targets(measured: Measured) -> list[Target]:
    """Hold the figures against those to reach."""
    at_1000 = {service: measured.microseconds(service, 1_000) for service in (STOP, CONFIRM)}
    growth = measured.microseconds(STOP, 10_000) / at_1000[STOP]
    over = max(race.calling_over_bare() for race in measured.races)
    held = median(after for _, after in measured.memory) / 1e6
    return [
        *(_own_target(service, microseconds) for service, microseconds in at_1000.items()),
        Target(
            what="the same of the stop function at 10,000 messages, by that at 1,000",
            limit=f"≤ {MOST_GROWTH}",
            measured=f"{growth:.2f}",
            met=growth <= MOST_GROWTH,
        ),
        Target(
            what="an invocation's time less our own CPU, by bare boto3's time, the worst of all sizes",
            limit=f"≤ {MOST_OVER_BARE}",
            measured=f"{over:.2f}",
            met=over <= MOST_OVER_BARE,
        ),
        Target(
            what="the most memory held with 10,000 messages",
            limit=f"≤ {MOST_MEGABYTES} MB",
            measured=f"{held:.0f} MB",
            met=held <= MOST_MEGABYTES,
        ),
    ]


def _own_target(service: str, microseconds: float) -> Target:
    return Target(
        what=f"our own CPU for a message of one run, {service} function, at 1,000 messages",
        limit=f"≤ {MOST_MICROSECONDS} µs",
        measured=f"{microseconds:.0f} µs",
        met=microseconds <= MOST_MICROSECONDS,
    )


def slope(series: Mapping[int, Sequence[float]]) -> float:
    """Return the exponent with which the medians grow: 1 is in step with the messages."""
    logs = [(math.log(messages), math.log(median(seconds))) for messages, seconds in series.items()]
    return linear_regression(*zip(*logs, strict=True)).slope


_TEXT: Final = f"""\
The stop function is wired as it is when deployed and runs in a process of its own; the fake Glue, in
another, takes {GLUE_SECONDS * 1000:.0f} ms for a call. Each message names one run of one of 200 jobs (Zipf),
no run twice. "Bare" is boto3 alone: the calls that ours made, made again through the same clients, as many
at once. Our own CPU is what an invocation spends when stubs answer all calls at once. The three run in turn.
All figures, but where it is said, are medians of {ROUNDS}. Other work on the machine makes the ratios worse,
since our own CPU then takes longer than it is."""


def _walls(races: Sequence[Race]) -> Table:
    rows = [
        (
            f"{race.messages:,}",
            f"{len(race.calls):,}",
            *map(_spread, (race.ours, race.own, race.bare)),
            f"{race.over_bare():.2f}",
            f"{race.calling_over_bare():.2f}",
        )
        for race in races
    ]
    return Table(
        title="Time of an invocation of the stop function, in milliseconds",
        columns=["messages", "calls", "ours", "own CPU", "bare", "ours / bare", "(ours - own CPU) / bare"],
        rows=rows,
        note="In brackets the quartiles. The ratios are of each round, and their medians.",
    )


def _throttling(race: Race) -> Table:
    row = (
        f"{race.messages:,}",
        f"{race.calls_per_second:g}",
        f"{len(race.calls):,}",
        f"{median(race.stopped):,.0f}",
        _spread(race.ours),
        _spread(race.bare),
    )
    return Table(
        title="Time of an invocation that Glue throttles, in milliseconds",
        columns=["messages", "calls a second", "calls", "runs stopped", "ours", "bare"],
        rows=[row],
        note="After three throttled calls no further one starts, and the other runs go back to the queue. Both "
        "wait for botocore's one repeat of a throttled call, up to a second.",
    )


def _spread(seconds: Seconds) -> str:
    low, middle, high = (_milliseconds(second) for second in quantiles(seconds, method="inclusive"))
    return f"{middle} ({low} to {high})"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.1f}"


def _by_part(measured: Measured) -> Table:
    rows = []
    for (service, messages), rounds in measured.own.items():
        by_part = [median(parts.get(part, 0.0) for parts in rounds) for part in PARTS_OF_THE_WORK]
        figures = (*by_part, measured.own_seconds(service, messages))
        rows.append((service, f"{messages:,}", *(f"{figure / messages * 1e6:.1f}" for figure in figures)))
    return Table(
        title="Our own CPU, in microseconds a message",
        columns=["function", "messages", *PARTS_OF_THE_WORK, "all"],
        rows=rows,
        note="Some of it does not depend on the messages, as pools of threads: it weighs on few of them.",
    )


def _growth(series: Mapping[int, Seconds]) -> Table:
    middle = {messages: median(seconds) for messages, seconds in series.items()}
    return Table(
        title="Our own CPU in a row of invocations of the stop function, each as full as Lambda lets it be",
        columns=["messages", "seconds", "microseconds a message"],
        rows=[(f"{n:,}", f"{seconds:.3f}", f"{seconds / n * 1e6:.1f}") for n, seconds in middle.items()],
        note=f"It grows with the messages to the power of {slope(series):.2f}. Medians of {ROUNDS_IN_SERIES}.",
    )


def _held(memory: Sequence[tuple[int, int]]) -> Table:
    before, after = (median(held) / 1e6 for held in zip(*memory, strict=True))
    return Table(
        title="The most memory that the function's process has held, in megabytes",
        columns=["wired", f"with {max(SIZES):,} messages handled"],
        rows=[(f"{before:.0f}", f"{after:.0f}")],
        note="The event's text is part of it, and is larger than Lambda allows. "
        f"Each time a new process; medians of {len(memory)}.",
    )


def _plot_of_walls(races: Sequence[Race]) -> Plot:
    by_label = {"ours": {r.messages: r.ours for r in races}, "bare boto3": {r.messages: r.bare for r in races}}
    return Plot(
        name="throughput",
        caption=f"An invocation's time with a Glue of {GLUE_SECONDS * 1000:.0f} ms, and bare boto3's",
        x_label="messages in an invocation",
        y_label="seconds",
        series={label: _points(timings) for label, timings in by_label.items()},
        spread={label: [_ends(seconds) for seconds in timings.values()] for label, timings in by_label.items()},
        log_x=True,
        log_y=True,
    )


def _plot_of_growth(series: Mapping[int, Seconds]) -> Plot:
    first, *_ = _points(series)
    in_step = [(messages, first[1] * messages / first[0]) for messages in series]
    return Plot(
        name="growth",
        caption=f"Our own CPU grows with the messages to the power of {slope(series):.2f}",
        x_label="messages",
        y_label="CPU seconds",
        series={"our own CPU": _points(series), "in step with the messages": in_step},
        spread={"our own CPU": [_ends(seconds) for seconds in series.values()]},
        log_x=True,
        log_y=True,
    )


def _points(timings: Mapping[int, Seconds]) -> list[tuple[float, float]]:
    return [(messages, median(seconds)) for messages, seconds in timings.items()]


def _ends(seconds: Seconds) -> tuple[float, float]:
    return min(seconds), max(seconds)
