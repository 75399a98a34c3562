"""The attacks, in order, each with a report of its result."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from hypothesis import HealthCheck, given, seed, settings
from hypothesis.strategies import SearchStrategy

from tests.chaos import cases, flood, kills, matrix, pairs, storm
from tests.chaos.testbed import TestBed, deployed
from tests.support.properties import check_at_least_once, check_exactly_once, check_with_selections
from tests.support.scenarios import AT_LEAST_ONCE, EXACTLY_ONCE, WITH_SELECTIONS, Scenario

FUNCTION_SECONDS: Final = 6
"""The functions' timeout, and the time after which SQS redelivers, when deadlines are attacked."""

FLOODS: Final = ((100_000, 1000), (30_000, 10_000))
"""The messages of a flood, and the messages of an invocation."""

STACK_FLOOD: Final = 10_000
MAX_MEMORY_GROWTH: Final = 1.5


@dataclass(frozen=True)
class Options:
    """The options of a run."""

    seed: int
    minutes: float
    pairs: int
    examples: int


@dataclass(frozen=True)
class AttackReport:
    """The result of an attack: its number of cases, measured figures, and the violated invariants."""

    attack: str
    cases: int
    figures: str
    violations: Sequence[str]


ShowProgress: TypeAlias = Callable[[str], None]


def attack_stack(options: Options, show_progress: ShowProgress) -> Iterator[AttackReport]:
    """Attack a deployed stack: each fault on each call, a poison pill, a storm, a flood."""
    show_progress("deploying")
    with deployed() as test_bed:
        show_progress("each fault on each call of Glue and EventBridge")
        yield _run_cases(test_bed, "deployed stack: each fault on each call", list(cases.glue_faults()))
        test_bed.set_timeouts(FUNCTION_SECONDS)
        show_progress("each fault on each send, and slow answers")
        send_faults = list(cases.send_faults())
        yield _run_cases(
            test_bed, "deployed stack: each fault on each send; answers around the deadline", send_faults
        )
        show_progress("poison pill")
        yield _report(
            "deployed stack: one message that kills the function each time", storm.poison_pill(test_bed)
        )
        show_progress("storm")
        result = storm.storm(test_bed, seed=options.seed, seconds=options.minutes * 60)
        yield _report(f"deployed stack: random faults and kills for {options.minutes:g} min", result)
        show_progress("flood")
        yield _report("deployed stack: flood", storm.flood(test_bed, messages=STACK_FLOOD))


def attack_handlers(options: Options, show_progress: ShowProgress) -> Iterator[AttackReport]:
    """Attack the handlers over a socket: faults alone and in pairs, then generated scenarios."""
    plans = [(fault,) for fault in pairs.single_faults()]
    yield _run_plans("each fault on each call, simulated", plans, show_progress)
    yield _run_plans("pairs of faults, simulated", pairs.draw_pairs(options.seed, options.pairs), show_progress)
    show_progress(f"{options.examples} scenarios with reliable queues")
    yield _check_scenarios(
        "generated scenarios, reliable queues: one final outcome each",
        EXACTLY_ONCE,
        check_exactly_once,
        options,
    )
    show_progress(f"{options.examples} scenarios with all faults")
    yield _check_scenarios(
        "generated scenarios, all faults: crashes, duplicates, any order, clocks 2 h ahead",
        AT_LEAST_ONCE,
        check_at_least_once,
        options,
    )
    show_progress(f"{options.examples} scenarios with selections")
    yield _check_scenarios(
        "generated scenarios with selections, all faults: kills between calls, two functions with one message",
        WITH_SELECTIONS,
        check_with_selections,
        options,
    )


def kill_processes(options: Options, show_progress: ShowProgress) -> Iterator[AttackReport]:
    """Kill the functions' processes before and after each of their calls, and at random calls."""
    violations, count = kills.at_each_call(show_progress)
    yield AttackReport("process killed before and after each of its calls", count, f"{count} kills", violations)
    violations, count = kills.at_random(options.seed, show_progress)
    yield AttackReport("process killed at random calls", count, f"{count} kills", violations)


def flood_processes(_: Options, show_progress: ShowProgress) -> Iterator[AttackReport]:
    """Flood the functions' processes with messages."""
    for messages, batch_size in FLOODS:
        result = flood.flood(messages, batch_size, show_progress)
        first, last = result.cpu_microseconds
        violations = list(result.violations)
        if result.stop_calls != result.expected_calls:
            violations.append(f"{result.stop_calls} stop calls, not {result.expected_calls}")
        if result.memory_growth > MAX_MEMORY_GROWTH:
            violations.append(f"peak memory grew by a factor of {result.memory_growth:.2f}")
        figures = (
            f"{result.stop_calls:,} stop calls; CPU a message {first:.0f} µs in the first third, {last:.0f} µs "
            f"in the last; peak memory x{result.memory_growth:.2f} since the 2nd invocation"
        )
        yield AttackReport(f"flood in invocations of {batch_size:,}", messages, figures, violations)


ATTACKS: Final[Mapping[str, Callable[[Options, ShowProgress], Iterable[AttackReport]]]] = {
    "stack": attack_stack,
    "handlers": attack_handlers,
    "kills": kill_processes,
    "flood": flood_processes,
}


def _run_cases(test_bed: TestBed, attack: str, chosen: Sequence[matrix.Case]) -> AttackReport:
    calls, began = len(test_bed.proxy.calls), time.monotonic()
    violations = matrix.run_cases(test_bed, chosen)
    runs = sum(case.runs + case.names_unknown_run for case in chosen)
    calls, took = len(test_bed.proxy.calls) - calls, time.monotonic() - began
    return AttackReport(attack, len(chosen), f"{runs} runs, {calls:,} calls, {took:.0f} s", violations)


def _report(attack: str, result: storm.AttackResult) -> AttackReport:
    counts = {
        "faults": result.faults,
        "kills": result.kills,
        "stop calls": result.stop_calls,
        "moved by SQS": result.moved,
    }
    figures = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    figures = f"{figures}; queues empty after {result.seconds:.0f} s"
    return AttackReport(attack, result.messages, figures, result.violations)


def _run_plans(attack: str, plans: Sequence[pairs.FaultPlan], show_progress: ShowProgress) -> AttackReport:
    violations: list[str] = []
    for number, plan in enumerate(plans):
        show_progress(f"{attack}: {number:,} of {len(plans):,}")
        violations += pairs.run_plan(plan)
    return AttackReport(attack, len(plans), "", violations)


def _check_scenarios(
    attack: str, scenarios: SearchStrategy[Scenario], check: Callable[[Scenario], None], options: Options
) -> AttackReport:
    profile = settings(
        max_examples=options.examples,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    violations: list[str] = []
    try:
        seed(options.seed)(profile(given(scenarios)(check)))()
    except Exception as error:  # noqa: BLE001 - every exception is a violation, and the next attack still runs
        violations.append("\n".join([repr(error), *getattr(error, "__notes__", ())]))
    return AttackReport(attack, options.examples, "", violations)
