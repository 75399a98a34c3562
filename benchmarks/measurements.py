"""The parameters and the results of the throughput benchmark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import linear_regression, median
from typing import Final

from tests.support.fakes.exchange import Call

ROUNDS: Final = 5
ROUNDS_OF_SERIES: Final = 3
SIZES: Final = (1, 10, 100, 1_000, 10_000)
"""Messages of one invocation."""
SERIES: Final = (100, 1_000, 10_000, 100_000)
"""Messages of consecutive invocations."""

GLUE_SECONDS: Final = 0.05
CALLS_PER_SECOND: Final = 20
LINES_OF_LOGGER: Final = 1_000

Seconds = list[float]
"""One value for each round."""


@dataclass(frozen=True)
class Comparison:
    """Invocations of one size: Gluebrake, Gluebrake with stubs, and bare boto3 with the same calls."""

    messages: int
    calls_per_second: float = math.inf
    """The BatchStopJobRun calls that Glue accepts per second, and in one burst."""
    calls: list[Call] = field(default_factory=list)
    """The calls of Gluebrake's latest invocation."""
    gluebrake: Seconds = field(default_factory=list)
    own_cpu: Seconds = field(default_factory=list)
    bare: Seconds = field(default_factory=list)
    stopped: list[int] = field(default_factory=list)
    """The runs that each invocation of Gluebrake stopped."""

    def ratio(self) -> float:
        """Return Gluebrake's time divided by bare boto3's, as the median of the rounds' ratios."""
        return median(total / bare for total, bare in zip(self.gluebrake, self.bare, strict=True))

    def ratio_without_own_cpu(self) -> float:
        """Return the same ratio after own CPU is subtracted from Gluebrake's time."""
        rounds = zip(self.gluebrake, self.own_cpu, self.bare, strict=True)
        return median((total - own) / bare for total, own, bare in rounds)


@dataclass(frozen=True)
class Measurements:
    """All measurements of this benchmark."""

    comparisons: Sequence[Comparison]
    throttled: Comparison
    own_cpu: Mapping[tuple[str, int], Sequence[Mapping[str, float]]]
    """Own CPU seconds by step, for each round, by function and messages."""
    logger: Mapping[str, Seconds]
    """CPU seconds in which Powertools' Logger writes a line, for each round, by function."""
    series: Mapping[int, Seconds]
    """Own CPU seconds of consecutive invocations, by messages."""
    memory: Sequence[tuple[int, int]]
    """Peak bytes before and after an invocation of the largest size, each in a new process."""

    def own_seconds(self, service: str, messages: int) -> float:
        """Return own CPU seconds of an invocation."""
        return median(sum(steps.values()) for steps in self.own_cpu[service, messages])

    def lines_of_logger(self, service: str, messages: int) -> float:
        """Return own CPU per message divided by Logger's for a line, as the median of the rounds' ratios."""
        rounds = zip(self.own_cpu[service, messages], self.logger[service], strict=True)
        return median(sum(steps.values()) / messages / of_line for steps, of_line in rounds)

    def own_microseconds(self, service: str, messages: int) -> float:
        """Return own CPU microseconds per message."""
        return self.own_seconds(service, messages) / messages * 1e6


def slope(series: Mapping[int, Sequence[float]]) -> float:
    """Return the exponent of growth of the medians; 1 is proportional."""
    logs = [(math.log(messages), math.log(median(seconds))) for messages, seconds in series.items()]
    return linear_regression(*zip(*logs, strict=True)).slope
