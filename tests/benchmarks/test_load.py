"""Tests of the loads that are played: every request ends once, lanes have their own time, one cost model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Any

import pytest
from botocore.exceptions import ClientError

from benchmarks.lanes import Client, LaneClock
from benchmarks.load import EventSourceMapping, play
from benchmarks.load_report import BUSY, HIGH_VOLUME, LOW_LATENCY, PROFILES, Case, Load, share
from gluebrake.outcomes import Outcome
from gluebrake.stages import Queue
from infra.batching import Batching, batchings
from infra.costs import total
from tests.support.fakes.aws_server import FakeAws
from tests.support.fakes.faults import Throttle
from tests.support.fakes.sqs import Message
from tests.support.simulated_aws import Delivery

SMALL = Load(60, per_minute=600)


class Timeline:
    """Actions in order of time, for a mapping without functions."""

    def __init__(self) -> None:
        self.now = 0.0
        self.batches: list[tuple[float, int]] = []
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Add an action."""
        heappush(self._due, (self.now + seconds, next(self._order), action))

    def invoke(self, deliveries: Sequence[Delivery]) -> float:
        """Record when a batch of which size invokes the function, which takes a second."""
        self.batches.append((self.now, len(deliveries)))
        return 1.0

    def play(self, batching: Batching, *arrivals: float) -> list[tuple[float, int]]:
        """Let messages arrive. Return the time and the size of each batch."""
        mapping = EventSourceMapping(batching, self.after, self.invoke)
        delivery: Any = Delivery(message=Message.__new__(Message))
        for arrival in arrivals:
            self.after(arrival, partial(mapping.arrive, delivery))
        while self._due:
            self.now, _, action = heappop(self._due)
            action()
        return self.batches


def _batching(size: int, window_seconds: int) -> Batching:
    return Batching(size=size, window_seconds=window_seconds, max_concurrency=2)


class TestLanes:
    """A serial fan-out takes as long as threads would."""

    def test_call_starts_on_the_lane_that_is_free_first(self) -> None:
        """With two workers, the third call starts when the shorter of the first two has ended."""
        clock, starts = LaneClock(), []

        def call(seconds: float) -> None:
            starts.append(clock.seconds)
            clock.seconds += seconds

        clock.fan_out(call, [3.0, 1.0, 1.0], workers=2, seconds=None)
        assert (starts, clock.seconds) == ([0.0, 0.0, 1.0], 3.0)

    def test_late_call_is_cancelled(self) -> None:
        """A call does not start after the time, and an exception stays in its future."""
        clock = LaneClock()

        def call(seconds: float) -> None:
            clock.seconds += seconds
            raise ValueError

        (_, first), (_, second) = clock.fan_out(call, [2.0, 2.0], workers=1, seconds=1.5)
        assert isinstance(first.exception(), ValueError)
        assert second.cancelled()
        assert isinstance(second, Future)

    def test_throttled_call_is_repeated_once(self) -> None:
        """The client takes the time of both calls, and raises the service's error code."""
        aws, clock = FakeAws(), LaneClock()
        aws.faults.add(Throttle())
        client = Client(aws, clock, Random(1))  # noqa: S311 - not used for security
        with pytest.raises(ClientError, match="ThrottlingException"):
            client.get_job_run(JobName="etl", RunId="jr_1")
        assert client.calls == {"GetJobRun": 2}
        assert clock.seconds > 2 * 0.05


class TestEventSourceMapping:
    """The model of Lambda's pollers."""

    def test_without_a_window_a_message_invokes_at_once(self) -> None:
        """A message by itself is a batch."""
        assert Timeline().play(_batching(10, 0), 0.0, 3.0) == [(0.0, 1), (3.0, 1)]

    def test_few_messages_wait_for_20_seconds(self) -> None:
        """With a window, a poller waits for the longest poll that Lambda documents."""
        assert Timeline().play(_batching(1000, 5), 0.0) == [(20.0, 1)]

    def test_many_messages_wait_for_the_window(self) -> None:
        """Five pollers share the messages, and the limit of two invocations holds the others back."""
        batches = Timeline().play(_batching(1000, 5), *[0.0] * 60)
        assert batches == [(5.0, 12), (5.0, 12), (6.0, 12), (6.0, 12), (7.0, 12)]

    def test_full_batch_invokes_at_once(self) -> None:
        """A batch that is full does not wait for its window."""
        assert Timeline().play(_batching(2, 5), *[0.0] * 10)[0] == (0.0, 2)


@pytest.mark.parametrize("profile", PROFILES)
def test_each_request_has_one_final_outcome(profile: str) -> None:
    """Every run is stopped and confirmed, and no outcome is published twice."""
    result = play(Case(SMALL, profile))
    assert result.outcomes == {Outcome.STOPPED: SMALL.requests}
    assert result.settled_once == len(result.accepted) == SMALL.requests
    assert all(a < c for a, c in zip(result.accepted, result.confirmed, strict=True))


def test_each_request_ends_once_when_glue_throttles() -> None:
    """With two calls a second, requests are retried and take longer, and each ends once."""
    result = play(Case(Load(60, calls_per_second=2), LOW_LATENCY))
    assert result.settled_once == 60
    assert result.accepted[-1] > play(Case(Load(60), LOW_LATENCY)).accepted[-1]


def test_case_is_reproducible() -> None:
    """The same seed gives the same figures."""
    case = Case(SMALL, HIGH_VOLUME)
    first, second = (play(case)._replace(cpu_seconds=0) for _ in range(2))
    assert first == second


def test_the_cost_is_that_of_the_usage() -> None:
    """The cost model prices what was counted: one event for each request, one invocation for each batch."""
    result = play(Case(SMALL, LOW_LATENCY))
    assert result.usage.events == result.usage.requests == SMALL.requests
    assert result.usage.invocations == sum(result.invocations.values())
    assert result.usd == pytest.approx(total(result.usage.bill()) / SMALL.requests * 1e6)


def test_own_batch_of_confirm_is_that_of_the_stack() -> None:
    """CONFIRM's own batch takes fewer invocations than the batch of STOP."""
    own, as_stop = (play(Case(SMALL, LOW_LATENCY, own_batch=own)) for own in (True, False))
    assert own.invocations["confirm"] < as_stop.invocations["confirm"]
    assert batchings(PROFILES[LOW_LATENCY])[Queue.CONFIRM].size == 1000


def test_share_is_the_smallest_value_that_suffices() -> None:
    """95 of 100 values do not exceed the 95th."""
    assert share([*map(float, range(1, 101))], 0.95) == 95
    assert share([1.0], 0.5) == 1
    assert BUSY.is_steady
