"""What the model is asked: whole days, storms, and the load at which a queue would grow for ever."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from statistics import fmean
from typing import Final, NamedTuple

from benchmarks.agreement import Written
from benchmarks.assumptions import Aws, Cpu, Limit, Setup
from benchmarks.mapping import RECEIVED_AT_ONCE
from benchmarks.prices import Usage
from benchmarks.producers import Phase, Producers
from benchmarks.simulation import (
    PAGE_READ,
    RUN_READ,
    STOP_CALL,
    Invoked,
    Played,
    Simulation,
    send_calls,
)
from gluebrake.model import Outcome, Queue
from infra.config import Config

AT_ONCE: Final = Config()
STORMS: Final = Config(batch_size=1000, batch_window_seconds=5)
PROFILES: Final[Mapping[str, Config]] = {"at once": AT_ONCE, "storms": STORMS}

PRODUCERS: Final = Producers(jobs=50, skew=1.0, duplicates=0.05)
STORM_PRODUCERS: Final = replace(PRODUCERS, duplicates=0.9, remembered=20_000)

_AWS: Final = Aws()
_CHUNK: Final = 65_536
_DAY: Final = 86_400
SHORTEST_STRETCH: Final = 200.0
_REQUESTS_IN_A_STRETCH: Final = 3000
# Lambda's START, END and REPORT lines; and what CloudWatch adds to each line.
_PLATFORM_BYTES: Final = 450
_LINE_OVERHEAD: Final = 26
# The share of runs that may still be watched as long again after the last was asked to be stopped.
_LATE: Final = 0.01
_TRACED_BEYOND_ONE_A_SECOND: Final = 0.05


class Wall(NamedTuple):
    """The requests a second up to which we keep up with Glue's limits, and what gives way beyond."""

    per_second: float
    reason: str


class Part(NamedTuple):
    """A part of the day: hours, and how its load stands to the mean."""

    name: str
    hours: float
    factor: float


DAY: Final = (Part("night", 8, 0.25), Part("morning", 8, 0.75), Part("peak", 8, 2.0))


@dataclass(frozen=True, kw_only=True)
class PartOfDay:
    """What a stretch of a part of the day showed."""

    part: Part
    per_second: float
    seconds: float
    """Of the stretch that was played; the rest of the part is like it."""
    played: Played
    growth: float
    """Runs that wait more with each second."""

    @property
    def weight(self) -> float:
        """How many such stretches the part of the day is."""
        return self.part.hours * 3600 / self.seconds

    @property
    def grows(self) -> bool:
        """Whether the queue would grow for ever at this load."""
        return grows(self.growth, self.per_second, self.seconds)


@dataclass(frozen=True, kw_only=True)
class PlayedDay:
    """A day of so many requests."""

    requests: float
    config: Config
    parts: Sequence[PartOfDay]
    usage: Usage

    @property
    def grows(self) -> bool:
        """Whether the queue would grow for ever at any time of the day."""
        return any(part.grows for part in self.parts)

    @property
    def peak(self) -> PartOfDay:
        """The busiest part."""
        return max(self.parts, key=lambda part: part.per_second)

    def count(self, what: str) -> float:
        """Return how many calls of an operation the day takes."""
        return sum(part.played.calls[what] * part.weight for part in self.parts)

    def invocations(self) -> float:
        """Return how often the functions are invoked."""
        return sum(len(part.played.invocations) * part.weight for part in self.parts)

    def ended(self, outcome: Outcome) -> float:
        """Return how many demands end so."""
        return sum(part.played.ended[outcome] * part.weight for part in self.parts)

    def percentiles(self, *shares: float) -> list[float]:
        """Return percentiles of the time to brake over the whole day."""
        weighted = [(wait, part.weight) for part in self.parts for wait in part.played.waits]
        return weighted_percentiles(weighted, shares)


def weighted_percentiles(weighted: Iterable[tuple[float, float]], shares: Sequence[float]) -> list[float]:
    """Return, for each share, the smallest value that is not below that share of the weight."""
    ordered = sorted(weighted)
    whole, found, reached = sum(weight for _, weight in ordered), [], 0.0
    wanted = iter([*sorted(shares), math.inf])
    share = next(wanted)
    for value, weight in ordered:
        reached += weight
        while reached >= share * whole - 1e-9 * whole:
            found.append(value)
            share = next(wanted)
    return found + [ordered[-1][0] if ordered else math.nan] * (len(shares) - len(found))


def in_lambda(config: Config, aws: Aws = _AWS, *, sample_seconds: float = 10.0) -> Setup:
    """Return a setup in which our code has the share of a processor that comes with its memory."""
    cpu = Cpu().in_lambda(config.memory_mb)
    return Setup(config=config, aws=aws, cpu=cpu, sample_seconds=sample_seconds)


def day(requests: float, config: Config, written: Written) -> PlayedDay:
    """Play a stretch of each part of a day."""
    setup = in_lambda(config)
    parts = [_part(part, requests * part.factor / _DAY, setup) for part in DAY]
    usages = [used(part.played, setup, written, part.seconds).times(part.weight) for part in parts]
    return PlayedDay(requests=requests, config=config, parts=parts, usage=reduce(add, usages))


def _part(part: Part, per_second: float, setup: Setup) -> PartOfDay:
    seconds = min(part.hours * 3600, max(SHORTEST_STRETCH, _REQUESTS_IN_A_STRETCH / per_second))
    played = Simulation(setup, PRODUCERS.requests([Phase(seconds, per_second)], setup.seed)).play()
    return PartOfDay(
        part=part, per_second=per_second, seconds=seconds, played=played, growth=growth(played, seconds)
    )


def growth(played: Played, seconds: float) -> float:
    """Return how many more runs wait with each second: the last third of the time against the one before."""
    thirds = [
        [depth.runs for depth in played.depths if third <= 3 * depth.at / seconds < third + 1]
        for third in (1, 2)
    ]
    before, last = (fmean(runs) if runs else 0.0 for runs in thirds)
    return 3 * (last - before) / seconds


def storm(config: Config, limits: Mapping[str, Limit], *, requests: int = 100_000) -> Played:
    """Play a storm: so many requests within a minute, most of them for runs that others name as well."""
    setup = in_lambda(config, Aws(limits=limits), sample_seconds=2.0)
    return Simulation(setup, STORM_PRODUCERS.requests([Phase(60, requests / 60)], setup.seed)).play()


def limits(per_second: float) -> dict[str, Limit]:
    """Return one limit for each operation, with a burst of two seconds."""
    return dict.fromkeys((STOP_CALL, PAGE_READ, RUN_READ), Limit(per_second, 2 * per_second))


def wall(config: Config, limit: float, *, seconds: float = 400.0, steps: int = 6) -> Wall:
    """Search for the load, from a quarter of the limit to 64 times it, up to which we keep up."""
    low, high, reason = limit / 4, limit * 64, ""
    for _ in range(steps):
        middle = math.sqrt(low * high)
        if why := falls_behind(config, limit, middle, seconds):
            high, reason = middle, why
        else:
            low = middle
    return Wall(low, reason)


def falls_behind(config: Config, limit: float, per_second: float, seconds: float) -> str:
    """Return what goes wrong at that load, where Glue takes so many calls of each kind a second."""
    setup = in_lambda(config, Aws(limits=limits(limit), hanging_share=0))
    requests = replace(PRODUCERS, duplicates=0).requests([Phase(seconds, per_second)], setup.seed)
    played = Simulation(setup, requests).play(until=2 * seconds)
    unconfirmed = len(played.waits) - played.ended[Outcome.STOPPED]
    if grows(growth(played, seconds), per_second, seconds):
        return "the stop queue grows"
    if played.ended[Outcome.FAILED]:
        return "stops are given up"
    return "confirmations fall behind" if unconfirmed > _LATE * len(played.waits) else ""


def grows(growth: float, per_second: float, seconds: float) -> bool:
    """Return whether growth is more than chance: a twentieth of the requests, and three standard deviations."""
    third = seconds / 3
    return growth * third > 0.05 * per_second * third + 3 * math.sqrt(per_second * third)


def used(played: Played, setup: Setup, written: Written, seconds: float) -> Usage:
    """Return what requests that came within so many seconds used, all that followed included."""
    memory_gb = setup.config.memory_mb / 1024
    return Usage(
        sqs_requests=played.requests + sum(map(_sqs_requests, played.invocations)),
        empty_receives=sum(_empty_receives(played, setup, queue, seconds) for queue in played.outcomes),
        invocations=len(played.invocations),
        gb_seconds=sum(
            memory_gb * (_billed_seconds(one.seconds) + one.cold * setup.aws.cold_seconds)
            for one in played.invocations
        ),
        log_bytes=_log_bytes(played, written),
        log_retention_days=setup.config.log_retention_days,
        events=played.ended.total() if setup.config.outcome_events else 0,
        traces=sum(1 + _TRACED_BEYOND_ONE_A_SECOND * (n - 1) for n in _by_second(played).values()),
    )


def _billed_seconds(seconds: float) -> float:
    """Round up to the millisecond, but not what is only a difference of floats."""
    return math.ceil(round(1000 * seconds, 6)) / 1000


def _sqs_requests(one: Invoked) -> int:
    """Count receives, deletes and sends: ten messages each at most, and each 64 kB for itself."""
    tens = math.ceil(one.letters / RECEIVED_AT_ONCE)
    received = max(tens, math.ceil(one.received_bytes / _CHUNK))
    return received + tens + max(send_calls(one.worked), math.ceil(one.sent_bytes / _CHUNK))


def _empty_receives(played: Played, setup: Setup, queue: Queue, seconds: float) -> float:
    """Return how many long polls end without a message, when these come at random to one of the pollers."""
    letters = sum(one.letters for one in played.invocations if one.queue is queue)
    pollers, wait = setup.aws.pollers, setup.aws.long_poll_seconds
    each = letters / seconds / pollers
    by_poller = each * math.exp(-each * wait) / -math.expm1(-each * wait) if each else 1 / wait
    return seconds * pollers * by_poller


def _log_bytes(played: Played, written: Written) -> float:
    usual = fmean(written.lines.values())
    lines = sum(
        number * (written.lines.get(outcome, usual) + _LINE_OVERHEAD)
        for counts in played.outcomes.values()
        for outcome, number in counts.items()
    )
    metrics = sum(written.metrics[one.queue] + _PLATFORM_BYTES for one in played.invocations)
    return lines + metrics + played.outcomes[Queue.CONFIRM][Outcome.STOPPED] * written.metrics_of_a_stop


def _by_second(played: Played) -> Counter[tuple[Queue, int]]:
    return Counter((one.queue, int(one.at)) for one in played.invocations)
