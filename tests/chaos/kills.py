"""The functions' real processes, killed around each call and at calls drawn by lot: nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count, product
from random import Random
from typing import Final

from tests.chaos import pairs
from tests.support.fakes.clock import VirtualClock
from tests.support.invariants import broken_promises
from tests.support.process_kill import in_a_process
from tests.support.properties import account_of
from tests.support.scenarios import set_up_all_kinds
from tests.support.simulated_aws import CONFIRM, STOP, World

RANDOM_ROUNDS: Final = 8
KILLS_OF_A_ROUND: Final = 3
_MOST_CALLS: Final = 12


def at_each_call(tell: Callable[[str], None]) -> tuple[list[str], int]:
    """Kill each function before and after each of its calls; return what broke, and the number of kills."""
    broken: list[str] = []
    kills = 0
    for service, after in product((STOP, CONFIRM), (False, True)):
        for number in count():
            tell(f"{service}, {'after' if after else 'before'} call {number + 1}")
            found, killed = _killed(service, after=after, at={number})
            broken += found
            if not killed:
                break
            kills += killed
    return broken, kills


def at_random(seed: int, tell: Callable[[str], None]) -> tuple[list[str], int]:
    """Kill both functions at calls drawn by lot; return what broke, and how many kills there were."""
    chance = Random(seed)  # noqa: S311 - a seed is to repeat
    broken: list[str] = []
    kills = 0
    for number in range(RANDOM_ROUNDS):
        tell(f"random round {number + 1} of {RANDOM_ROUNDS}")
        at = set(chance.sample(range(_MOST_CALLS), KILLS_OF_A_ROUND))
        found, killed = _killed(chance.choice((STOP, CONFIRM)), after=chance.random() < 0.5, at=at)
        broken += found
        kills += killed
    return broken, kills


def _killed(service: str, *, after: bool, at: set[int]) -> tuple[list[str], int]:
    with World(clock=VirtualClock(datetime.now(UTC))) as world:
        set_up_all_kinds(world)
        in_process = world.functions[service]
        killer = in_a_process(world, service, after=after)
        numbers = count()
        world.aws.faults.add(killer, when=lambda _: killer.at_work and next(numbers) in at)
        for body in pairs.BODIES:
            world.put(body)
        while killer.kills < len(at) and world.step():
            pass
        world.functions[service] = in_process
        world.run()
        words = f"{service} killed {'after' if after else 'before'} {sorted(at)}"
        return [
            f"{words}: {one}" for one in broken_promises(account_of(world, pairs.BODIES, 1000))
        ], killer.kills
