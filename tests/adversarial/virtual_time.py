"""Calls that take virtual time, and the deadline of an invocation in this time."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from tests.support.fakes.clock import VirtualClock
from tests.support.fakes.exchange import Answer, Call, Reply
from tests.support.simulated_aws import Context, SimulatedAws


@dataclass(frozen=True)
class Takes:
    """The call takes virtual seconds. What waits for it comes before or after the service performs it."""

    clock: VirtualClock
    seconds: float

    def __call__(self, call: Call, answer: Answer) -> Reply:
        """Let the time pass and perform the call."""
        self.clock.advance(self.seconds)
        return answer(call)


@dataclass
class Deadline:
    """The seconds that are left of each invocation, by the simulation's clock."""

    simulation: SimulatedAws
    seconds: float
    least: float = float("inf")
    """The fewest seconds that were left. Lambda kills the function when there are none."""
    _starts: dict[int, datetime] = field(default_factory=dict)

    def __call__(self) -> float:
        """Return how many seconds are left of the present invocation."""
        now = self.simulation.clock()
        start = self._starts.setdefault(len(self.simulation.invocations), now)
        left = self.seconds - (now - start).total_seconds()
        self.least = min(self.least, left)
        return left


def limit_time(simulation: SimulatedAws, seconds: float) -> Deadline:
    """Give each invocation so many virtual seconds."""
    deadline = Deadline(simulation, seconds)
    simulation.context = Context(deadline)
    return deadline


def take_time(simulation: SimulatedAws, seconds: float, operation: str) -> None:
    """Let each call of the operation take so many virtual seconds."""
    simulation.aws.faults.add(Takes(simulation.clock, seconds), operation=operation)
