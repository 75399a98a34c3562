"""Kill the functions' processes before and after each call, and at random calls: no request is lost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count, product
from random import Random
from typing import Final

from tests.chaos import pairs
from tests.support.fakes.clock import VirtualClock
from tests.support.invariants import violations
from tests.support.process_kill import run_in_process
from tests.support.properties import evidence_of
from tests.support.scenarios import SELECTION, WITH_ATTEMPTS, set_up_all_kinds
from tests.support.selections import SentSelection
from tests.support.simulated_aws import CONFIRM, STOP, SimulatedAws

RANDOM_ROUNDS: Final = 8
KILLS_OF_A_ROUND: Final = 3
_MAX_CALLS: Final = 12
_BODIES: Final = (*pairs.BODIES, SELECTION, WITH_ATTEMPTS)


def at_each_call(show_progress: Callable[[str], None]) -> tuple[list[str], int]:
    """Kill each function before and after each of its calls. Return the violations and the number of kills."""
    found: list[str] = []
    kills = 0
    for service, after in product((STOP, CONFIRM), (False, True)):
        for number in count():
            show_progress(f"{service}, {'after' if after else 'before'} call {number + 1}")
            violations_of_round, kills_of_round = _kill(service, after=after, at={number})
            found += violations_of_round
            if not kills_of_round:
                break
            kills += kills_of_round
    return found, kills


def at_random(seed: int, show_progress: Callable[[str], None]) -> tuple[list[str], int]:
    """Kill both functions at random calls. Return the violations and the number of kills."""
    random = Random(seed)  # noqa: S311 - a seed repeats a run
    found: list[str] = []
    kills = 0
    for number in range(RANDOM_ROUNDS):
        show_progress(f"random round {number + 1} of {RANDOM_ROUNDS}")
        at = set(random.sample(range(_MAX_CALLS), KILLS_OF_A_ROUND))
        service = random.choice((STOP, CONFIRM))
        violations_of_round, kills_of_round = _kill(service, after=random.random() < 0.5, at=at)
        found += violations_of_round
        kills += kills_of_round
    return found, kills


def _kill(service: str, *, after: bool, at: set[int]) -> tuple[list[str], int]:
    with SimulatedAws(clock=VirtualClock(datetime.now(UTC))) as simulation:
        set_up_all_kinds(simulation)
        handler = simulation.functions[service]
        killer = run_in_process(simulation, service, after=after)
        numbers = count()
        simulation.aws.faults.add(killer, when=lambda _: killer.is_running and next(numbers) in at)
        selections = [SentSelection.parse(body, simulation.clock()) for body in (SELECTION, WITH_ATTEMPTS)]
        for body in _BODIES:
            simulation.put(body)
        while killer.kills < len(at) and simulation.step():
            pass
        simulation.functions[service] = handler
        simulation.run()
        description = f"{service} killed {'after' if after else 'before'} {sorted(at)}"
        found = violations(evidence_of(simulation, _BODIES, 1000, list(filter(None, selections))))
        return [f"{description}: {violation}" for violation in found], killer.kills
