"""Report the measurements of throughput and latency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median, quantiles
from typing import Final

from benchmarks.function_process import STEPS
from benchmarks.lambda_events import CONFIRM, STOP
from benchmarks.measurements import (
    GLUE_SECONDS,
    ROUNDS,
    ROUNDS_OF_SERIES,
    SIZES,
    Comparison,
    Measurements,
    Seconds,
    slope,
)
from benchmarks.report import Plot, Report, Table, Target

MAX_RATIO: Final = 1.15
MAX_LINES: Final[Mapping[str, float]] = {STOP: 0.75, CONFIRM: 0.60}
"""Own CPU per message, in lines of Powertools' Logger."""
MAX_GROWTH: Final = 1.25
MAX_MEGABYTES: Final = 160

_GLUE_MS: Final = GLUE_SECONDS * 1000

TEXT: Final = f"""\
A fake Glue takes {_GLUE_MS:.0f} ms for each call. Bare boto3 makes the same calls with the same clients and
threads. Own CPU is the CPU time with stubs that answer every call immediately."""


def report(measured: Measurements) -> Report:
    """Return the section of the page, with the targets."""
    return Report(
        title="Throughput and latency",
        text=TEXT,
        tables=[_summary(measured)],
        details=[
            _durations(measured.comparisons),
            _throttling(measured.throttled),
            _own_cpu_by_step(measured),
            _growth(measured.series),
            _memory(measured.memory),
        ],
        plots=[_plot_of_durations(measured.comparisons), _plot_of_growth(measured.series)],
        targets=targets(measured),
    )


def targets(measured: Measurements) -> list[Target]:
    """Compare the figures with their limits."""
    growth = measured.own_microseconds(STOP, 10_000) / measured.own_microseconds(STOP, 1_000)
    ratio = max(comparison.ratio_without_own_cpu() for comparison in measured.comparisons)
    megabytes = median(after for _, after in measured.memory) / 1e6
    return [
        *(_own_cpu_target(service, measured.lines_of_logger(service, 1_000)) for service in MAX_LINES),
        Target(
            figure="own CPU per message of 10,000, relative to 1,000",
            limit=f"≤ {MAX_GROWTH}",
            measured=f"{growth:.2f}",
            met=growth <= MAX_GROWTH,
        ),
        Target(
            figure="duration without own CPU, relative to bare boto3",
            limit=f"≤ {MAX_RATIO}",
            measured=f"{ratio:.2f}",
            met=ratio <= MAX_RATIO,
        ),
        Target(
            figure="peak memory with 10,000 messages",
            limit=f"≤ {MAX_MEGABYTES} MB",
            measured=f"{megabytes:.0f} MB",
            met=megabytes <= MAX_MEGABYTES,
        ),
    ]


def _own_cpu_target(service: str, lines: float) -> Target:
    return Target(
        figure=f"own CPU of {service.upper()}, relative to Powertools' Logger",
        limit=f"≤ {MAX_LINES[service]:.2f}",
        measured=f"{lines:.2f}",
        met=lines <= MAX_LINES[service],
    )


def _summary(measured: Measurements) -> Table:
    rows = [
        (
            f"{comparison.messages:,}",
            *(f"{median(seconds) * 1000:,.0f}" for seconds in (comparison.gluebrake, comparison.bare)),
            f"{comparison.ratio():.2f}",
            *(f"{measured.own_microseconds(service, comparison.messages):,.0f}" for service in (STOP, CONFIRM)),
        )
        for comparison in measured.comparisons
    ]
    own = [f"{service.upper()}: own CPU/message, µs" for service in (STOP, CONFIRM)]
    return Table(
        title="An invocation by its messages",
        columns=["messages", "STOP, ms", "bare boto3, ms", "ratio", *own],
        rows=rows,
        note=f"Medians of {ROUNDS} rounds.",
    )


def _durations(comparisons: Sequence[Comparison]) -> Table:
    rows = [
        (
            f"{comparison.messages:,}",
            f"{len(comparison.calls):,}",
            *map(_quartiles, (comparison.gluebrake, comparison.own_cpu, comparison.bare)),
            f"{comparison.ratio():.2f}",
            f"{comparison.ratio_without_own_cpu():.2f}",
        )
        for comparison in comparisons
    ]
    ratios = ["Gluebrake / bare boto3", "(Gluebrake - own CPU) / bare boto3"]
    return Table(
        title="Duration of a STOP invocation, in milliseconds",
        columns=["messages", "calls", "Gluebrake", "own CPU", "bare boto3", *ratios],
        rows=rows,
        note="Median (quartiles). A ratio is the median of the rounds' ratios.",
    )


def _throttling(comparison: Comparison) -> Table:
    row = (
        f"{comparison.messages:,}",
        f"{comparison.calls_per_second:g}",
        f"{len(comparison.calls):,}",
        f"{median(comparison.stopped):,.0f}",
        _quartiles(comparison.gluebrake),
        _quartiles(comparison.bare),
    )
    return Table(
        title="Duration of a STOP invocation that Glue throttles, in milliseconds",
        columns=["messages", "allowed calls per second", "calls", "runs stopped", "Gluebrake", "bare boto3"],
        rows=[row],
        note="After three throttled calls the function makes no more and sends the other runs back to the stop "
        "queue. Both durations include botocore's one retry of a throttled call, after up to a second.",
    )


def _quartiles(seconds: Seconds) -> str:
    low, middle, high = (f"{second * 1000:,.1f}" for second in quantiles(seconds, method="inclusive"))
    return f"{middle} ({low} to {high})"


def _own_cpu_by_step(measured: Measurements) -> Table:
    rows = []
    for (service, messages), rounds in measured.own_cpu.items():
        by_step = [median(steps.get(step, 0.0) for steps in rounds) for step in STEPS]
        figures = (*by_step, measured.own_seconds(service, messages))
        per_message = (f"{figure / messages * 1e6:.1f}" for figure in figures)
        rows.append((service.upper(), f"{messages:,}", *per_message))
    return Table(
        title="Own CPU, in microseconds per message",
        columns=["function", "messages", *STEPS, "total"],
        rows=rows,
        note="Some of this CPU time, such as that for starting threads, does not depend on the messages.",
    )


def _growth(series: Mapping[int, Seconds]) -> Table:
    medians = {messages: median(seconds) for messages, seconds in series.items()}
    return Table(
        title="Own CPU of consecutive STOP invocations, each as full as Lambda allows",
        columns=["messages", "seconds", "microseconds per message"],
        rows=[(f"{n:,}", f"{seconds:.3f}", f"{seconds / n * 1e6:.1f}") for n, seconds in medians.items()],
        note=f"Own CPU grows with the messages to the power of {slope(series):.2f}. "
        f"Medians of {ROUNDS_OF_SERIES} rounds.",
    )


def _memory(memory: Sequence[tuple[int, int]]) -> Table:
    before, after = (median(peaks) / 1e6 for peaks in zip(*memory, strict=True))
    return Table(
        title="Peak memory of the function's process, in megabytes",
        columns=["before the first invocation", f"after {max(SIZES):,} messages"],
        rows=[(f"{before:.0f}", f"{after:.0f}")],
        note="The figures include the event's text, which is larger than Lambda allows. "
        f"Medians of {len(memory)} new processes.",
    )


def _plot_of_durations(comparisons: Sequence[Comparison]) -> Plot:
    timings = {
        "Gluebrake": {comparison.messages: comparison.gluebrake for comparison in comparisons},
        "bare boto3": {comparison.messages: comparison.bare for comparison in comparisons},
    }
    return Plot(
        name="throughput",
        title=f"Duration of a STOP invocation, if each call of Glue takes {_GLUE_MS:.0f} ms",
        x_label="messages per invocation",
        y_label="seconds",
        series={label: _medians(by_messages) for label, by_messages in timings.items()},
        spread={label: [*map(_range, by_messages.values())] for label, by_messages in timings.items()},
        log_x=True,
        log_y=True,
    )


def _plot_of_growth(series: Mapping[int, Seconds]) -> Plot:
    first, *_ = _medians(series)
    proportional = [(messages, first[1] * messages / first[0]) for messages in series]
    return Plot(
        name="growth",
        title="CPU time of STOP without its calls, up to 100,000 messages",
        x_label="messages",
        y_label="CPU seconds",
        series={"own CPU": _medians(series), "proportional to the messages": proportional},
        spread={"own CPU": [*map(_range, series.values())]},
        log_x=True,
        log_y=True,
    )


def _medians(timings: Mapping[int, Seconds]) -> list[tuple[float, float]]:
    return [(messages, median(seconds)) for messages, seconds in timings.items()]


def _range(seconds: Seconds) -> tuple[float, float]:
    return min(seconds), max(seconds)
