"""How far the stack carries, on paper: a model, held against the real functions, plays days and storms."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from statistics import median
from typing import Final

from msgspec.structs import replace

from benchmarks import agreement, scenarios
from benchmarks.agreement import Calibrated, Compared, Written
from benchmarks.assumptions import Aws, Cpu, Sizes, rows
from benchmarks.prices import LINES, LOOKED_UP, PRICES, REGION, Standing, Usage, bill, monthly
from benchmarks.report import Plot, Report, Table, Target
from benchmarks.scenarios import AT_ONCE, PROFILES, PlayedDay, Wall
from benchmarks.simulation import PAGE_READ, RUN_READ, STOP_CALL, Depth, Played, percentile
from gluebrake.model import Outcome
from infra.config import Config

LOADS: Final = (1e3, 1e4, 1e5, 1e6, 1e7)
"""Requests a day."""
CONFIGS: Final[Mapping[str, Config]] = {
    f"{name}, {concurrency}": replace(config, max_concurrency=concurrency)
    for name, config in PROFILES.items()
    for concurrency in (2, 10)
}
"""By profile and maxConcurrency."""
WALLS: Final = (2, 5, 20)
"""Calls of each kind that Glue takes in a second."""
STORM_LIMIT: Final = 20

_ERROR_ALLOWED: Final = 0.25
_SECONDS_ALLOWED: Final = 60
_POINTS_OF_A_DECADE: Final = 12
_SHARES: Final = (0.5, 0.95, 0.99, 1.0)
# What the stack's alarms look at, counted in its template.
_ALARM_METRICS: Final = 26
_WRITTEN_WHOLE: Final = 1000

_TEXT: Final = f"""\
A model plays what no test can: days of a thousand to ten million requests, storms, and the load at which Glue's
rate limit is the wall. It is a simulation of single invocations and calls in virtual time, the same for a seed.
What our code decides, our code decides here too: the pace, the backoff and the tables of outcomes are
imported. What AWS does around it is assumed; the table of assumptions says from where.

The model is first held against the real functions: how long invocations take, against the fake Glue of 50 ms,
and all that becomes of a stream that brings Glue to its limit, in virtual time.

A day has three parts of eight hours, with a quarter, three quarters and twice the mean load; of each a stretch
of {scenarios.SHORTEST_STRETCH:g} seconds or more is played. Requests come at random, name one run each, of
{scenarios.PRODUCERS.jobs} jobs (the busiest gets a fifth), and one in twenty names a run again. The time to
brake is from a run's first request until Glue took the BatchStopJobRun call. Days are played with a Glue that
takes every call: how many that are stands beside them."""


@dataclass(frozen=True, kw_only=True)
class Findings:
    """All that was measured and played."""

    known: Calibrated
    compared: Sequence[Compared]
    stream: Sequence[tuple[str, int, int]]
    written: Written
    days: Mapping[str, Sequence[PlayedDay]]
    """By configuration, in the order of LOADS."""
    storms: Mapping[str, Played]
    walls: Mapping[str, Mapping[int, Wall]]
    cpu_seconds: float


def run(progress: Callable[[str], None]) -> Report:
    """Hold the model against the functions, then play."""
    progress("the model against the real functions")
    known, compared = agreement.compare_invocations()
    stream, written = compare_stream(), agreement.written()
    began = time.process_time()
    days = {name: list(_days(name, config, written, progress)) for name, config in CONFIGS.items()}
    findings = Findings(
        known=known,
        compared=compared,
        stream=stream,
        written=written,
        days=days,
        storms=dict(_storms(progress)),
        walls={name: dict(_walls(name, config, progress)) for name, config in PROFILES.items()},
        cpu_seconds=time.process_time() - began,
    )
    return report(findings)


def report(findings: Findings) -> Report:
    """Tell it all."""
    return Report(
        title="Scale, on paper",
        text=_TEXT,
        tables=[
            _invocations(findings),
            _stream(findings),
            _day_table(findings),
            _choice(findings),
            _storm_table(findings),
            _wall_table(findings),
            cost_table(findings.days),
            _monthly_table(findings),
            _assumptions(),
            _prices(),
        ],
        plots=[_brake_plot(findings), _depth_plot(findings), _wall_plot(findings), _cost_plot(findings)],
        targets=list(_targets(findings)),
    )


def compare_stream() -> list[tuple[str, int, int]]:
    """Count calls and outcomes of a small stream: in the real functions, and in the model."""
    asked = agreement.stream()
    model = agreement.played_by_the_model(asked, agreement.STREAM_LIMIT)
    world = agreement.played_by_the_functions(asked, agreement.STREAM_LIMIT)
    real = Counter(call.operation for call in world.aws.calls) + Counter(
        outcome for *_, outcome in world.outcomes
    )
    calls = Counter({agreement.WIRE_NAMES[operation]: number for operation, number in model.calls.items()})
    foretold = calls + Counter({str(o): n for counts in model.outcomes.values() for o, n in counts.items()})
    return [(what, real[what], foretold[what]) for what in real | foretold if what not in _OTHER_CALLS]


_OTHER_CALLS: Final = frozenset({"SendMessageBatch", "PutEvents"})
"""Those that the model reckons by the number of messages and outcomes."""


def _days(name: str, config: Config, written: Written, progress: Callable[[str], None]) -> Iterator[PlayedDay]:
    for load in LOADS:
        progress(f"a day of {load:,.0f} requests, {name} at a time")
        yield scenarios.day(load, config, written)


def _storms(progress: Callable[[str], None]) -> Iterator[tuple[str, Played]]:
    for name, config in PROFILES.items():
        for told, limits in ((name, {}), (f"{name}, {STORM_LIMIT}/s", scenarios.limits(STORM_LIMIT))):
            progress(f"a storm, {told}")
            yield told, scenarios.storm(config, limits)


def _walls(name: str, config: Config, progress: Callable[[str], None]) -> Iterator[tuple[int, Wall]]:
    for limit in WALLS:
        progress(f"where Glue's limit is the wall, {name}, {limit} calls/s")
        yield limit, scenarios.wall(config, limit)


def _targets(findings: Findings) -> Iterator[Target]:
    different = sum(one.measured.glue_calls != one.foretold.glue_calls for one in findings.compared)
    different += sum(real != foretold for _, real, foretold in findings.stream)
    yield Target(
        what="model: counts of calls and outcomes that differ from the real functions'",
        limit="0",
        measured=str(different),
        met=different == 0,
    )
    error = median(abs(one.error) for one in findings.compared)
    yield Target(
        what="model: error of an invocation's time, median",
        limit=f"≤ {_ERROR_ALLOWED:.0%}",
        measured=f"{error:.0%}",
        met=error <= _ERROR_ALLOWED,
    )
    played = [*_played(findings), *findings.storms.values()]
    lost = sum(abs(one.requests - one.merged - one.ended.total()) for one in played)
    yield Target(
        what=f"model: requests unaccounted for, of {sum(one.requests for one in played):,} played",
        limit="0",
        measured=str(lost),
        met=lost == 0,
    )
    yield Target(
        what="model: processor time to play all scenarios",
        limit=f"≤ {_SECONDS_ALLOWED} s",
        measured=f"{findings.cpu_seconds:.0f} s",
        met=findings.cpu_seconds <= _SECONDS_ALLOWED,
    )


def _played(findings: Findings) -> Iterator[Played]:
    for days in findings.days.values():
        for one in days:
            yield from (part.played for part in one.parts)


def _invocations(findings: Findings) -> Table:
    known = findings.known
    return Table(
        title="The model against the real STOP function, one invocation",
        columns=("requests", "calls", "in the model", "ms", "in the model", "error"),
        rows=[
            (
                f"{one.shape.requests:,}",
                one.measured.glue_calls,
                one.foretold.glue_calls,
                f"{1000 * one.measured.seconds:,.0f}",
                f"{1000 * one.foretold.seconds:,.0f}",
                f"{one.error:+.0%}",
            )
            for one in findings.compared
        ],
        note=(
            "Medians of three. The model was told what other invocations and bare calls showed of this "
            f"machine: {1e6 * known.cpu.per_run:.0f} µs of CPU for a run, {1000 * known.cpu.per_call:.1f} ms "
            f"for a call, {known.share:.0%} of a processor to be had, an answer of the fake after "
            f"{1000 * known.answer_seconds:.0f} ms with eight calls at once."
        ),
    )


def _stream(findings: Findings) -> Table:
    return Table(
        title="The model against both real functions, a stream of 80 requests",
        columns=("what", "real", "in the model"),
        rows=findings.stream,
        note="Glue takes a call every 20 seconds, so most are throttled. Virtual time, one call at a time.",
    )


def _day_table(findings: Findings) -> Table:
    return Table(
        title="A day, if Glue takes every call",
        columns=(
            "requests/day",
            "profile, maxConcurrency",
            "p50 s",
            "p95 s",
            "p99 s",
            "max s",
            "stop calls per request",
            "reads per request",
            "stop calls/s at the peak",
            "invocations per request",
            "deepest queue",
            "hang",
        ),
        rows=[
            _day_row(load, name, findings.days[name][index])
            for index, load in enumerate(LOADS)
            for name in findings.days
        ],
        note=(
            "*: at the peak the queue grows for as long as that lasts, and so would the times. "
            "The last column counts runs that hang in STOPPING: the only dead letters."
        ),
    )


def _day_row(load: float, name: str, one: PlayedDay) -> tuple[object, ...]:
    mark = "*" if one.grows else ""
    reads = one.count(PAGE_READ) + one.count(RUN_READ)
    return (
        f"{load:,.0f}",
        name,
        *(_figure(seconds) + mark for seconds in one.percentiles(*_SHARES)),
        f"{one.count(STOP_CALL) / load:.2f}",
        f"{reads / load:.2f}",
        f"{_peak_calls(one):.3g}",
        f"{one.invocations() / load:.3g}",
        f"{max(depth.messages for depth in one.peak.played.depths):,}{mark}",
        f"{one.ended(Outcome.STOP_TIMED_OUT):,.0f}",
    )


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= _WRITTEN_WHOLE else f"{value:.3g}"


def _peak_calls(one: PlayedDay) -> float:
    return one.peak.played.calls[STOP_CALL] / one.peak.seconds


def _choice(findings: Findings) -> Table:
    at_once, storms = (findings.days[f"{name}, 2"] for name in PROFILES)
    return Table(
        title="Which profile",
        columns=(
            "requests/minute at the peak",
            "at once: p95 s, calls/s",
            "storms: p95 s, calls/s",
            "choose",
        ),
        rows=[
            (f"{60 * one.peak.per_second:,.0f}", _told(one), _told(other), choice(one, other))
            for one, other in zip(at_once, storms, strict=True)
        ],
        note=(
            "The rule: at once while it keeps up and asks at most 5 BatchStopJobRun calls a second of Glue at "
            "the peak; then storms. Who has storms, as below, takes storms whatever the day's load."
        ),
    )


def choice(at_once: PlayedDay, storms: PlayedDay) -> str:
    """Choose a profile for a load."""
    if not at_once.grows and _peak_calls(at_once) <= WALLS[1]:
        return "at once"
    return "neither" if storms.grows else "storms"


def _told(one: PlayedDay) -> str:
    if one.grows:
        return "falls behind"
    (p95,) = one.percentiles(0.95)
    return f"{_figure(p95)}, {_peak_calls(one):.2g}"


def _storm_table(findings: Findings) -> Table:
    return Table(
        title="A storm: 100,000 requests within a minute for 10,000 runs of 50 jobs",
        columns=(
            "profile",
            "p50 s",
            "p95 s",
            "max s",
            "stop calls",
            "reads",
            "queue empty after",
            "dead",
        ),
        rows=[_storm_row(name, played) for name, played in findings.storms.items()],
        note=(
            f"{STORM_LIMIT}/s: Glue takes so many calls of each kind; otherwise every call. "
            "A dead letter is for a request whose attempts ran out; another may have stopped the run."
        ),
    )


def _storm_row(name: str, played: Played) -> tuple[object, ...]:
    waits = sorted(played.waits)
    last = max(depth.at for depth in played.depths if depth.messages)
    dead = played.ended[Outcome.FAILED] + played.ended[Outcome.STOP_TIMED_OUT]
    return (
        name,
        *(_figure(percentile(waits, share)) for share in (0.5, 0.95, 1.0)),
        f"{played.calls[STOP_CALL]:,}",
        f"{played.calls[PAGE_READ] + played.calls[RUN_READ]:,}",
        f"{last / 60:,.0f} min",
        f"{dead:,}",
    )


def _wall_table(findings: Findings) -> Table:
    return Table(
        title="Where Glue's limit is the wall",
        columns=(
            "calls/s of each kind",
            *(f"{name}: {what}" for name in PROFILES for what in ("requests/min", "beyond")),
        ),
        rows=[
            (limit, *(cell for walls in findings.walls.values() for cell in _wall_cells(walls[limit])))
            for limit in WALLS
        ],
        note=(
            "Requests a minute, each for another run, beyond which more and more wait or some are lost, to "
            "a tenth. AWS publishes no limits and raises them on request. Buckets of two seconds are assumed."
        ),
    )


def _wall_cells(wall: Wall) -> tuple[str, str]:
    return f"{60 * wall.per_second:,.0f}", wall.reason


def cost_table(days: Mapping[str, Sequence[PlayedDay]]) -> Table:
    """Tell what a million requests cost, by line."""
    chosen = {f"{name}, {load:,.0f}/day": days[f"{name}, 2"][LOADS.index(load)] for name, load in _COSTED}
    bills = {name: bill(of_a_million(one)) for name, one in chosen.items()}
    rows = [(line, *(f"{one[line]:.2f}" for one in bills.values())) for line in LINES]
    return Table(
        title="What a million requests cost, in dollars",
        columns=("", *bills),
        rows=[*rows, ("all", *(f"{sum(one.values()):.2f}" for one in bills.values()))],
        note=(
            f"{REGION}, {LOOKED_UP}, maxConcurrency 2, without the free tier, with the producer's sends. "
            "Lambda's own log lines are taken to be 450 bytes an invocation, each line to be billed with 26 "
            "bytes more, and X-Ray to record one trace a second and one in twenty of the others."
        ),
    )


_COSTED: Final = tuple((name, load) for name in PROFILES for load in (1e3, 1e4, 1e5, 1e6))


def of_a_million(one: PlayedDay) -> Usage:
    """Return what a million requests use on days like this one."""
    return one.usage.times(1e6 / one.requests)


def _monthly_table(findings: Findings) -> Table:
    standing = Standing(metrics=findings.written.series, alarms=_ALARM_METRICS, dashboards=1)
    lines = monthly(standing)
    told = (standing.metrics, standing.alarms, standing.dashboards)
    return Table(
        title="What is due each month whatever comes, in dollars",
        columns=("", "number", "dollars"),
        rows=[
            *(
                (line, number, f"{dollars:.2f}")
                for (line, dollars), number in zip(lines.items(), told, strict=True)
            ),
            ("all", "", f"{sum(lines.values()):.2f}"),
        ],
        note="Metrics: those that have data while nothing fails. Alarms: by the metrics that they look at.",
    )


def _assumptions() -> Table:
    return Table(
        title="Assumptions",
        columns=("what", "value", "from"),
        rows=[(what, f"{value:,.8g}", source) for what, value, source in rows(Aws(), Cpu(), Sizes())],
        note=(
            f"The functions have {AT_ONCE.memory_mb} MB, so {AT_ONCE.memory_mb / 1769:.0%} of a processor. All "
            "messages about a job give the same reason and sender. Runs of a job were started in the order in "
            "which they are asked to be stopped, so a page of GetJobRuns shows the last 200. SQS delivers "
            "in order and once; nothing crashes; botocore's quota of retries is not used up."
        ),
    )


def _prices() -> Table:
    page = "https://aws.amazon.com/{}/pricing/"
    return Table(
        title="Prices",
        columns=("dollars", "for a", "AWS's page"),
        rows=[
            (f"{getattr(PRICES, f.name):g}", f.metadata["unit"], page.format(f.metadata["page"]))
            for f in fields(PRICES)
        ],
        note=f"{REGION}, as pages of February to June 2026 quote them; looked up {LOOKED_UP}.",
    )


def _brake_plot(findings: Findings) -> Plot:
    told = {name: [one.percentiles(0.5, 0.95, 0.99) for one in findings.days[name]] for name in _DRAWN}
    return Plot(
        name="scale-brake",
        caption="Time to brake of 95 of 100 runs, with a band from 50 to 99; by profile and maxConcurrency",
        x_label="requests a day",
        y_label="seconds",
        series={
            name: [(load, p95) for load, (_, p95, _) in zip(LOADS, of, strict=True)]
            for name, of in told.items()
        },
        spread={name: [(p50, p99) for p50, _, p99 in of] for name, of in told.items()},
        log_x=True,
        log_y=True,
    )


_DRAWN: Final = ("at once, 2", "at once, 10", "storms, 2")


def _depth_plot(findings: Findings) -> Plot:
    return Plot(
        name="scale-storm",
        caption="Messages on the stop queue in and after a minute of 100,000 requests",
        x_label="minutes",
        y_label="messages",
        series={name: _thinned(played.depths) for name, played in findings.storms.items()},
        log_x=True,
    )


def _thinned(depths: Sequence[Depth]) -> list[tuple[float, float]]:
    """Return the depths until nothing waits any more, few enough for a small picture on a logarithmic axis."""
    points = {round(_POINTS_OF_A_DECADE * math.log10(depth.at)): depth for depth in depths if depth.at}
    last = max(depth.at for depth in depths if depth.messages)
    return [(depth.at / 60, depth.messages) for depth in points.values() if depth.at <= 1.5 * last]


def _wall_plot(findings: Findings) -> Plot:
    return Plot(
        name="scale-wall",
        caption="The requests a minute that Glue's limit lets through, against one call for each",
        x_label="calls of each kind that Glue takes in a second",
        y_label="requests a minute",
        series={
            "a call a request": [(limit, 60 * limit) for limit in WALLS],
            **{
                name: [(limit, 60 * wall.per_second) for limit, wall in walls.items()]
                for name, walls in findings.walls.items()
            },
        },
    )


_SERVICES: Final[Mapping[str, Sequence[str]]] = {
    "SQS": ("SQS requests", "SQS empty receives"),
    "Lambda": ("Lambda requests", "Lambda GB-seconds"),
    "logs": ("Log ingestion", "Log storage"),
    "outcome events": ("Outcome events",),
    "X-Ray": ("X-Ray traces",),
}


def _cost_plot(findings: Findings) -> Plot:
    days = {
        config.batch_size: findings.days[f"{name}, 2"][LOADS.index(1e6)] for name, config in PROFILES.items()
    }
    bills = {batch_size: bill(of_a_million(one)) for batch_size, one in days.items()}
    return Plot(
        name="scale-cost",
        caption="What a million requests cost by service, at a million a day",
        x_label="batchSize",
        y_label="dollars",
        series={
            service: [(size, sum(one[line] for line in lines)) for size, one in bills.items()]
            for service, lines in _SERVICES.items()
        },
        kind="bar",
    )
