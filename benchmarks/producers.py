"""Who asks for runs to be stopped, how often, and how evenly: requests at random times, the same for a seed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from random import Random
from typing import NamedTuple


class Request(NamedTuple):
    """A producer's message. It names one run, perhaps one that was named before; runs are numbers."""

    at: float
    job: int
    run: int


class Phase(NamedTuple):
    """A stretch of time with so many requests a second on average."""

    seconds: float
    per_second: float


@dataclass(frozen=True, kw_only=True)
class Producers:
    """How requests are spread over jobs: the n-th busiest gets a share by n to the power of -skew."""

    jobs: int = 50
    skew: float = 1.0
    duplicates: float = 0.0
    """The share of requests that name a run again."""
    remembered: int = 1000
    """Among the runs of how many earlier requests a duplicate chooses."""

    def requests(self, phases: Iterable[Phase], seed: int) -> list[Request]:
        """Draw the requests of phases that follow one another."""
        random = Random(seed)  # noqa: S311 - nothing here is secret
        times = list(_times(phases, random))
        weights = [(rank + 1) ** -self.skew for rank in range(self.jobs)]
        jobs = random.choices(range(self.jobs), weights, k=len(times))
        requests: list[Request] = []
        for number, (at, job) in enumerate(zip(times, jobs, strict=True)):
            if requests and random.random() < self.duplicates:
                again = requests[-random.randint(1, min(number, self.remembered))]
                requests.append(Request(at, again.job, again.run))
            else:
                requests.append(Request(at, job, number))
        return requests


def _times(phases: Iterable[Phase], random: Random) -> Iterator[float]:
    began = 0.0
    for phase in phases:
        at, began = began, began + phase.seconds
        while phase.per_second and (at := at + random.expovariate(phase.per_second)) < began:
            yield at
