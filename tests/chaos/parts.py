"""The attacks in their order, each with what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from hypothesis import HealthCheck, given, seed, settings
from hypothesis.strategies import SearchStrategy

from tests.chaos import cases, flood, kills, matrix, pairs, storm
from tests.chaos.stand import TestBed, standing
from tests.support.properties import check_calm, check_stormy
from tests.support.scenarios import CALM, STORMY, Scenario

FUNCTION_SECONDS: Final = 6
"""Of the functions whose deadline is attacked: messages that are not acknowledged come back as soon."""

FLOODS: Final = ((100_000, 1000), (30_000, 10_000))
FLOOD_OF_THE_STACK: Final = 10_000
MOST_GROWTH: Final = 1.5


@dataclass(frozen=True)
class Settings:
    """What may be chosen of a run."""

    seed: int
    minutes: float
    pairs: int
    examples: int


@dataclass(frozen=True)
class AttackReport:
    """An attack, in how many cases it was made, what it showed, and which promises it broke."""

    attack: str
    cases: int
    figures: str
    broken: Sequence[str]


Tell: TypeAlias = Callable[[str], None]
"""Shows how far a part has come."""


def on_the_stack(chosen: Settings, tell: Tell) -> Iterator[AttackReport]:
    """Attack a deployed stack: the matrix of faults, poison, a storm, a flood."""
    tell("deploying")
    with standing() as stand:
        tell("each fault on each call of Glue and EventBridge")
        yield _matrix(stand, "deployed stack: each fault on each call", list(cases.glue_faults()))
        stand.give_functions(FUNCTION_SECONDS)
        tell("each fault on each send, and slow answers")
        sending = list(cases.faults_of_sending())
        yield _matrix(stand, "deployed stack: each fault on each send; answers around the deadline", sending)
        tell("poison")
        yield _attack("deployed stack: one message that kills the function each time", storm.poison(stand))
        tell("storm")
        stormed = storm.storm(stand, seed=chosen.seed, seconds=chosen.minutes * 60)
        yield _attack(f"deployed stack: random faults and kills for {chosen.minutes:g} min", stormed)
        tell("flood")
        yield _attack("deployed stack: flood", storm.flood(stand, messages=FLOOD_OF_THE_STACK))


def in_virtual_time(chosen: Settings, tell: Tell) -> Iterator[AttackReport]:
    """Attack the real handlers over a socket: faults singly and in pairs, then all that Hypothesis makes up."""
    alone = [(plight,) for plight in pairs.singles()]
    yield _plights("each fault on each call, in virtual time", alone, tell)
    yield _plights("pairs of faults, in virtual time", pairs.pairs(chosen.seed, chosen.pairs), tell)
    tell(f"{chosen.examples} scenarios with calm queues")
    yield _made_up("made-up scenarios, SQS calm: one end each", CALM, check_calm, chosen)
    tell(f"{chosen.examples} scenarios with everything")
    yield _made_up(
        "made-up scenarios, everything fails, twice, out of order, clocks 2 h off", STORMY, check_stormy, chosen
    )


def killed(chosen: Settings, tell: Tell) -> Iterator[AttackReport]:
    """Kill the functions' real processes around each of their calls, and at calls drawn by lot."""
    broken, count = kills.at_each_call(tell)
    yield AttackReport("process killed before and after each of its calls", count, f"{count} kills", broken)
    broken, count = kills.at_random(chosen.seed, tell)
    yield AttackReport("process killed at calls drawn by lot", count, f"{count} kills", broken)


def flooded(_: Settings, tell: Tell) -> Iterator[AttackReport]:
    """Flood the functions' real processes."""
    for messages, at_once in FLOODS:
        flow = flood.flood(messages, at_once, tell)
        first, last = flow.microseconds
        broken = list(flow.broken)
        if flow.stop_calls != flow.calls_expected:
            broken.append(f"{flow.stop_calls} stop calls, not {flow.calls_expected}")
        if flow.growth > MOST_GROWTH:
            broken.append(f"memory grew to {flow.growth:.2f} times what it was")
        figures = (
            f"{flow.stop_calls:,} stop calls; CPU a message {first:.0f} µs at first, {last:.0f} µs at last; "
            f"peak memory x{flow.growth:.2f} since the 2nd invocation"
        )
        yield AttackReport(f"flood in invocations of {at_once:,}", messages, figures, broken)


PARTS: Final[Mapping[str, Callable[[Settings, Tell], Iterable[AttackReport]]]] = {
    "stack": on_the_stack,
    "virtual": in_virtual_time,
    "kills": killed,
    "flood": flooded,
}


def _matrix(stand: TestBed, attack: str, some: Sequence[matrix.Case]) -> AttackReport:
    calls, began = len(stand.proxy.calls), time.monotonic()
    broken = matrix.attack(stand, some)
    runs = sum(case.runs + case.unknown for case in some)
    took = time.monotonic() - began
    figures = f"{runs} runs, {len(stand.proxy.calls) - calls:,} calls, all within their budgets; {took:.0f} s"
    return AttackReport(attack, len(some), figures, broken)


def _attack(attack: str, came: storm.Attack) -> AttackReport:
    figures = {
        "faults": came.faults,
        "kills": came.kills,
        "stop calls": came.stop_calls,
        "moved by SQS": came.moved,
    }
    told = ", ".join(f"{count:,} {name}" for name, count in figures.items() if count)
    return AttackReport(attack, came.messages, f"{told}; drained in {came.seconds:.0f} s", came.broken)


def _plights(attack: str, plights: Sequence[Sequence[pairs.FaultPlan]], tell: Tell) -> AttackReport:
    broken: list[str] = []
    for number, some in enumerate(plights):
        tell(f"{attack}: {number:,} of {len(plights):,}")
        broken += pairs.tried(some)
    return AttackReport(attack, len(plights), "", broken)


def _made_up(
    attack: str, scenarios: SearchStrategy[Scenario], check: Callable[[Scenario], None], chosen: Settings
) -> AttackReport:
    unhurried = settings(
        max_examples=chosen.examples,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    broken: list[str] = []
    try:
        seed(chosen.seed)(unhurried(given(scenarios)(check)))()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding, and the other parts go on
        broken.append("\n".join([repr(error), *getattr(error, "__notes__", ())]))
    return AttackReport(attack, chosen.examples, "", broken)
