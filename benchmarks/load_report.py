"""The loads that are played, and what is shown of their results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, inf
from typing import Final, NamedTuple

from benchmarks.report import Plot, Report, Table, Target
from benchmarks.streams import RUNS_PER_CALL
from infra import costs
from infra.config import Config

LOW_LATENCY: Final = "low-latency"
HIGH_VOLUME: Final = "high-volume"
PROFILES: Final[Mapping[str, Config]] = {
    LOW_LATENCY: Config(),
    HIGH_VOLUME: Config(batch_size=1000, batch_window_seconds=5),
}

_THROTTLING: Final = "https://repost.aws/knowledge-center/glue-throttling-rate-exceeded"
_MILLION: Final = 1_000_000
_HOUR: Final = 3600.0
_POINTS: Final = 20


@dataclass(frozen=True)
class Load:
    """Requests for one run each, at a steady rate or all at once."""

    requests: int
    per_minute: float = inf
    calls_per_second: float = inf
    """The calls of each operation that Glue accepts per second."""

    @property
    def is_steady(self) -> bool:
        """Whether the requests have a rate."""
        return self.per_minute < inf

    @property
    def billed_seconds(self) -> float:
        """The time in which custom metrics have data. CloudWatch bills by the hour, so a storm takes one."""
        return self.requests / self.per_minute * 60 if self.is_steady else _HOUR

    def __str__(self) -> str:
        limit = f", {self.calls_per_second:g} calls/s" if self.calls_per_second < inf else ""
        return f"{self.per_minute:,.0f} a minute" if self.is_steady else f"{self.requests:,} at once{limit}"


@dataclass(frozen=True)
class Case:
    """A load, the profile that takes it, and whether CONFIRM has a batch of its own or that of STOP."""

    load: Load
    profile: str
    own_batch: bool = True

    @property
    def config(self) -> Config:
        """The configuration of the profile."""
        return PROFILES[self.profile]


class Result(NamedTuple):
    """What became of the requests of a case."""

    usage: costs.Usage
    accepted: Sequence[float]
    """The seconds from each request until Glue accepted the stop, in order."""
    confirmed: Sequence[float]
    """The seconds from each request until its final outcome, in order."""
    outcomes: Mapping[str, int]
    settled_once: int
    """The requests that have exactly one final outcome."""
    calls: Counter[str]
    invocations: Mapping[str, int]
    cpu_seconds: float
    """The CPU time that it took to play the case."""

    def per_request(self, *operations: str) -> float:
        """Return the calls of the operations per request."""
        return sum(self.calls[operation] for operation in operations) / self.usage.requests

    @property
    def reads(self) -> float:
        """The calls per request that read runs' states."""
        return self.per_request("GetJobRun", "GetJobRuns")

    @property
    def usd(self) -> float:
        """The cost of a million such requests, by the one cost model."""
        return costs.total(self.usage.bill()) / self.usage.requests * _MILLION


Results = Mapping[Case, Result]

QUIET: Final = Load(300, per_minute=10)
BUSY: Final = Load(2_000, per_minute=1_000)
BUSIEST: Final = Load(5_000, per_minute=10_000)
STORM: Final = Load(10_000)
LIMITED_STORM: Final = Load(4_000, calls_per_second=20)
LOADS: Final = (QUIET, BUSY, BUSIEST, STORM, LIMITED_STORM)
COMPARED: Final = ((QUIET, LOW_LATENCY), (BUSY, HIGH_VOLUME))
"""The loads that are also played while CONFIRM has the batch and window of STOP."""

CASES: Final = (
    *(Case(load, profile) for load in LOADS for profile in PROFILES),
    *(Case(load, profile, own_batch=False) for load, profile in COMPARED),
)

TEXT: Final = """\
The real functions play each load in virtual time, behind a model of Lambda's event source mappings. Each
request names a run of one of 200 jobs. [benchmarks/load.py](../benchmarks/load.py) has the assumptions, and
[What it costs](operations.md#what-it-costs) the prices.

Keep the low-latency profile while Glue does not throttle. Use the high-volume profile where thousands of
requests arrive at once. It makes fewer calls, but each stop waits for its window."""


def share(values: Sequence[float], part: float) -> float:
    """Return the smallest value that this part of the values does not exceed. They are in order."""
    return values[ceil(part * len(values)) - 1]


def report(results: Results) -> Report:
    """Return the section of the page."""
    return Report(
        title="Load and profiles",
        text=TEXT,
        tables=[_profiles(results), _own_batch(results)],
        details=[_details(results)],
        plots=[_storm(results)],
        targets=[_settled_once(results)],
    )


def _profiles(results: Results) -> Table:
    figures = ("stopped", "confirmed", "calls", "USD")
    return Table(
        title="Each load in both profiles",
        columns=("requests", *(f"{profile}: {figure}" for profile in PROFILES for figure in figures)),
        rows=[
            (load, *(cell for profile in PROFILES for cell in _row(results[Case(load, profile)])))
            for load in LOADS
        ],
        note=_wall(results),
    )


def _row(result: Result) -> Iterator[str]:
    yield _seconds(share(result.accepted, 0.95))
    yield _seconds(share(result.confirmed, 0.95))
    yield f"{result.per_request('BatchStopJobRun'):.2f}"
    yield f"{result.usd:.2f}"


def _wall(results: Results) -> str:
    """Return at which rate of requests Glue throttles stop calls."""
    a_minute = LIMITED_STORM.calls_per_second * 60
    most = {p: a_minute / results[Case(STORM, p)].per_request("BatchStopJobRun") for p in PROFILES}
    return (
        "Stopped and confirmed: seconds until Glue accepts the stop, and until CONFIRM reports the run as"
        " stopped, for 95 of 100 requests. Calls: BatchStopJobRun calls per request. USD: per million requests."
        f"\n\nGlue throttles calls by account and Region, and AWS [publishes no rate]({_THROTTLING}). At"
        f" {LIMITED_STORM.calls_per_second:g} calls a second, the limit in requests a minute is"
        f" {a_minute:,.0f} divided by the calls per request: {most[LOW_LATENCY]:,.0f} or"
        f" {most[HIGH_VOLUME]:,.0f} at once, and {a_minute * RUNS_PER_CALL:,.0f} if each call stops"
        f" {RUNS_PER_CALL} runs."
    )


def _own_batch(results: Results) -> Table:
    rows = [
        (f"{load}, {profile}", batch, *_confirm_row(results[Case(load, profile, own_batch=own_batch)]))
        for load, profile in COMPARED
        for batch, own_batch in (("as STOP", False), ("own", True))
    ]
    figures = ("reads/request", "invocations/request", "USD/million", "confirmed, median", "95 of 100")
    return Table(
        title="CONFIRM with the batch of STOP, and with its own",
        columns=("requests", "batch", *figures),
        rows=rows,
        note="Its own batch takes fewer calls. Few messages may wait for 20 seconds, so it confirms later.",
    )


def _confirm_row(result: Result) -> Iterator[str]:
    yield f"{result.reads:.2f}"
    yield f"{result.invocations['confirm'] / result.usage.requests:.2f}"
    yield f"{result.usd:.2f}"
    yield _seconds(share(result.confirmed, 0.5))
    yield _seconds(share(result.confirmed, 0.95))


def _seconds(seconds: float) -> str:
    return f"{seconds:,.0f}" if seconds >= 10 else f"{seconds:.1f}"  # noqa: PLR2004 - two digits suffice


def _details(results: Results) -> Table:
    rows = [
        (
            case.load,
            case.profile,
            "own" if case.own_batch else "as STOP",
            _seconds(result.accepted[-1]),
            _seconds(result.confirmed[-1]),
            ", ".join(f"{count:,} {outcome}" for outcome, count in result.outcomes.items()),
            f"{result.cpu_seconds:.1f}",
        )
        for case, result in results.items()
    ]
    return Table(
        title="Each case",
        columns=("requests", "profile", "batch", "last stopped, s", "last confirmed, s", "outcomes", "CPU, s"),
        rows=rows,
        note=f"{sum(result.cpu_seconds for result in results.values()):.0f} s of CPU time in all.",
    )


def _settled_once(results: Results) -> Target:
    requests = sum(case.load.requests for case in results)
    settled = sum(result.settled_once for result in results.values())
    return Target(
        figure="requests with exactly one final outcome",
        limit="all",
        measured=f"{settled:,} of {requests:,}",
        met=settled == requests,
    )


def _storm(results: Results) -> Plot:
    series = {
        f"{profile}: {step}": _drained(times)
        for profile in PROFILES
        for step, times in (
            ("stopped", results[Case(STORM, profile)].accepted),
            ("confirmed", results[Case(STORM, profile)].confirmed),
        )
    }
    return Plot(
        name="load",
        title=f"How {STORM.requests:,} stop requests that arrive at once drain",
        x_label="seconds after the requests",
        y_label="requests",
        series=series,
        log_x=True,
    )


def _drained(times: Sequence[float]) -> list[tuple[float, float]]:
    """Return how many requests are done, at a few times."""
    parts = [point / _POINTS for point in range(1, _POINTS + 1)]
    return [(share(times, part), ceil(part * len(times))) for part in parts]
