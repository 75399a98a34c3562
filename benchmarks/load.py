"""Play loads of stop requests through the real functions in virtual time, and count delays, calls and cost."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass, field, replace
from functools import partial
from heapq import heappop, heappush
from io import TextIOBase
from itertools import count
from math import ceil, isfinite, log
from multiprocessing import get_context
from random import Random
from typing import Final
from unittest.mock import patch

from benchmarks.lambda_events import CONFIRM, SEED, STOP, one_run_requests
from benchmarks.lanes import GLUE_OPERATIONS, START, Client, LaneClock
from benchmarks.load_report import CASES, Case, Result, report
from benchmarks.report import Report
from benchmarks.streams import Request
from benchmarks.stubs import with_client
from gluebrake.aws import event_bus, glue, notice_topic, sqs
from gluebrake.handlers import confirm, stop
from gluebrake.stages import Queue
from gluebrake.telemetry import Telemetry
from infra import costs
from infra.batching import Batching, batchings
from tests.support.fakes.exchange import Call, Json
from tests.support.fakes.faults import Decide, Fault, Throttle
from tests.support.simulated_aws import VISIBILITY_SECONDS, Context, Delivery, SimulatedAws, stop_request

LONGEST_POLL_SECONDS: Final = 20.0
MESSAGES_OF_A_CALL: Final = 10
"""The most messages that SQS delivers, or deletes, in one call."""

_TIMEOUT_SECONDS: Final = 30.0
_LONGEST_DELAY_SECONDS: Final = 900.0
_MONTH_SECONDS: Final = 30 * 24 * 3600.0
_HANDLERS: Final[Mapping[str, Callable[..., Json]]] = {STOP: stop.handler, CONFIRM: confirm.handler}

# AWS documents neither. With these, one run in a hundred stops after 44 seconds or more.
_STOPPING_SECONDS: Final = 11.0
"""The assumed median of the time from STOPPING to STOPPED."""
_STOPPING_SPREAD: Final = 0.6
"""The assumed standard deviation of its logarithm."""


@dataclass(eq=False)
class _Batch:
    """The messages that a poller has gathered, and whether their window has ended."""

    deliveries: list[Delivery] = field(default_factory=list)
    is_due: bool = False


@dataclass
class EventSourceMapping:
    """Five pollers, each of which gathers a batch, and a limit of invocations at once.

    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html. How messages are shared out is not
    documented. The assumption gives the smallest batches: an idle poller first, else the pollers in turn.
    """

    batching: Batching
    after: Callable[[float, Callable[[], None]], None]
    invoke: Callable[[Sequence[Delivery]], float]
    """Invokes the function and returns how many seconds that takes."""
    receives: int = 0
    _visible: deque[Delivery] = field(default_factory=deque)
    _batches: deque[_Batch] = field(default_factory=deque)
    _running: int = 0

    def arrive(self, delivery: Delivery) -> None:
        """Make a message visible to the pollers."""
        self._visible.append(delivery)
        self._poll()

    def _poll(self) -> None:
        """Gather what is visible, and invoke the function while a batch is ready and the limit allows it."""
        self._gather()
        while self._running < self.batching.max_concurrency and (batch := next(self._ready(), None)):
            self._batches.remove(batch)
            self._running += 1
            self.after(self.invoke(batch.deliveries), self._end_invocation)
            self._gather()

    def _gather(self) -> None:
        while self._visible and (batch := self._next_batch()):
            room = self.batching.size - len(batch.deliveries)
            received = [self._visible.popleft() for _ in range(min(room, len(self._visible)))]
            self.receives += ceil(len(received) / MESSAGES_OF_A_CALL)
            batch.deliveries += received

    def _next_batch(self) -> _Batch | None:
        if len(self._batches) < costs.POLLERS:
            self._batches.append(batch := _Batch())
            window = self.batching.window_seconds
            self.after(window, partial(self._end_window, batch, window))
            return batch
        self._batches.rotate(-1)
        return next((batch for batch in self._batches if len(batch.deliveries) < self.batching.size), None)

    def _end_window(self, batch: _Batch, seconds: float) -> None:
        """End the window. With a window and few messages, Lambda may wait for 20 seconds: assume so."""
        few = len(batch.deliveries) < MESSAGES_OF_A_CALL
        if few and 0 < seconds < LONGEST_POLL_SECONDS:
            rest = LONGEST_POLL_SECONDS - seconds
            self.after(rest, partial(self._end_window, batch, LONGEST_POLL_SECONDS))
        else:
            batch.is_due = True
            self._poll()

    def _ready(self) -> Iterator[_Batch]:
        return (b for b in self._batches if b.is_due or len(b.deliveries) == self.batching.size)

    def _end_invocation(self) -> None:
        self._running -= 1
        self._poll()


class Log(TextIOBase):
    """Counts the bytes that the functions write."""

    size = 0

    def write(self, text: str) -> int:
        """Count the text."""
        self.size += len(text.encode())
        return len(text)


class Player:
    """Plays a case: delivers each message when it is due, and invokes the functions."""

    def __init__(self, simulation: SimulatedAws, clock: LaneClock, case: Case) -> None:
        self._simulation, self._clock, self._case = simulation, clock, case
        self._random = Random(SEED)  # noqa: S311 - not used for security
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._deletes = 0
        self.requested_at: dict[str, float] = {}
        self.log = Log()
        self.seconds: dict[str, list[float]] = {service: [] for service in _HANDLERS}
        """The duration of each invocation."""
        self.client = Client(simulation.aws, clock, self._random)
        self.mappings = {
            service: EventSourceMapping(batching, self._after, partial(self._invoke, service))
            for service, batching in _batchings(case).items()
        }
        self._queues = {STOP: simulation.stop_queue, CONFIRM: simulation.confirm_queue}
        self._dependencies = {
            service: replace(
                with_client(simulation.dependencies[service], self.client),
                telemetry=Telemetry(service, detailed=False),
                jitter=self._random.random,
            )
            for service in _HANDLERS
        }

    def play(self, requests: Sequence[Request]) -> None:
        """Send the requests, and play all that follows until no message is left."""
        at, load = 0.0, self._case.load
        for request in requests:
            self._at(at, partial(self._request, request))
            at += self._random.expovariate(load.per_minute / 60) if load.is_steady else 0.0
        while self._due:
            self._clock.seconds, _, action = heappop(self._due)
            action()

    def queue_requests(self) -> int:
        """Return the number of SQS requests besides those of the producers."""
        receives = sum(mapping.receives for mapping in self.mappings.values())
        return receives + self._deletes + self.client.calls["SendMessageBatch"]

    def _request(self, request: Request) -> None:
        for run_id in request.run_ids:
            self.requested_at[run_id] = self._clock.seconds
            stopping = self._random.lognormvariate(log(_STOPPING_SECONDS), _STOPPING_SPREAD)
            self._simulation.aws.glue.add_run(request.job_name, run_id, stopping_seconds=stopping)
        notes = {"Reason": "over budget", "RequestedBy": "guardrail/nightly"}
        self._simulation.put(stop_request(request.job_name, *request.run_ids, **notes))
        self._deliver_sent()

    def _at(self, seconds: float, action: Callable[[], None]) -> None:
        heappush(self._due, (seconds, next(self._order), action))

    def _after(self, seconds: float, action: Callable[[], None]) -> None:
        self._at(self._clock.seconds + seconds, action)

    def _deliver_sent(self) -> None:
        """Let each message that was sent arrive when its delay ends."""
        now, self._clock.seconds = self._clock.seconds, self._clock.seconds + _LONGEST_DELAY_SECONDS
        for service, queue in self._queues.items():
            for message in queue.take():
                due = (message.due_at - START).total_seconds()
                self._at(due, partial(self.mappings[service].arrive, Delivery(message)))
        self._clock.seconds = now

    def _invoke(self, service: str, deliveries: Sequence[Delivery]) -> float:
        """Invoke the function now, and return how many seconds that takes."""
        began = self._clock.seconds
        self._clock.seconds += costs.own_seconds(_runs(deliveries), self._case.config.memory_mb)
        event = {"Records": [each.message.record(receive_count=each.receive_count) for each in deliveries]}
        context = Context(lambda: began + _TIMEOUT_SECONDS - self._clock.seconds)
        answer = _HANDLERS[service](event, context, self._dependencies[service])
        seconds = self._clock.seconds - began
        self._deliver_sent()
        self._clock.seconds = began
        self._redeliver(service, deliveries, {each["itemIdentifier"] for each in answer["batchItemFailures"]})
        self.seconds[service].append(seconds)
        return seconds

    def _redeliver(self, service: str, deliveries: Sequence[Delivery], failed: set[str]) -> None:
        """Delete the messages of an invocation. Those that failed are visible again after a time."""
        self._deletes += ceil((len(deliveries) - len(failed)) / MESSAGES_OF_A_CALL)
        for delivery in (each for each in deliveries if each.message_id in failed):
            again = replace(delivery, receive_count=delivery.receive_count + 1)
            self._after(VISIBILITY_SECONDS, partial(self.mappings[service].arrive, again))


def _batchings(case: Case) -> dict[str, Batching]:
    by_queue = batchings(case.config)
    return {STOP: by_queue[Queue.STOP], CONFIRM: by_queue[Queue.CONFIRM if case.own_batch else Queue.STOP]}


def _runs(deliveries: Sequence[Delivery]) -> int:
    return sum(delivery.message.body.count('"jr_') for delivery in deliveries)


def _limit(clock: LaneClock, calls_per_second: float) -> Callable[[Call], Fault | None]:
    """Throttle the calls of an operation that exceed so many in a second."""
    calls: Counter[tuple[str, int]] = Counter()

    def decide(call: Call) -> Fault | None:
        calls[key := (call.operation, int(clock.seconds))] += 1
        return Throttle() if calls[key] > calls_per_second else None

    return decide


def play(case: Case) -> Result:
    """Play a case."""
    began, clock = time.process_time(), LaneClock()
    requests = one_run_requests(case.load.requests)
    with SimulatedAws(clock=clock) as simulation, ExitStack() as stack:
        player = Player(simulation, clock, case)
        for module in (glue, sqs, event_bus, notice_topic):
            stack.enter_context(patch.object(module, "fan_out", clock.fan_out))
        stack.enter_context(patch.object(Telemetry, "_write", lambda _, text: player.log.write(text)))
        stack.enter_context(redirect_stdout(player.log))
        if isfinite(case.load.calls_per_second):
            for operation in GLUE_OPERATIONS:
                simulation.aws.faults.add(
                    Decide(_limit(clock, case.load.calls_per_second)), operation=operation
                )
        player.play(requests)
    return _result(case, player, time.process_time() - began)


def _result(case: Case, player: Player, cpu_seconds: float) -> Result:
    client, requested = player.client, player.requested_at
    invocations = {service: len(seconds) for service, seconds in player.seconds.items()}
    usage = costs.Usage(
        requests=case.load.requests,
        queue_requests=player.queue_requests(),
        invocations=sum(invocations.values()),
        gigabyte_seconds=sum(map(sum, player.seconds.values())) * case.config.memory_mb / 1024,
        log_gigabytes=(player.log.size + sum(invocations.values()) * costs.LAMBDA_LOG_BYTES) / 1e9,
        events=len(client.final),
        publications=client.calls["Publish"],
        metric_months=costs.OUTCOME_METRICS * case.load.billed_seconds / _MONTH_SECONDS,
    )
    return Result(
        usage=usage,
        accepted=sorted(at - requested[run_id] for run_id, at in client.accepted_at.items()),
        confirmed=sorted(at - requested[run_id] for run_id, _, at in client.final),
        outcomes=Counter(outcome for _, outcome, _ in client.final),
        settled_once=list(Counter(run_id for run_id, _, _ in client.final).values()).count(1),
        calls=client.calls,
        invocations=invocations,
        cpu_seconds=cpu_seconds,
    )


def run(progress: Callable[[str], None]) -> Report:
    """Play all cases."""
    results: dict[Case, Result] = {}
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(play, case): case for case in CASES}
        for future in as_completed(futures):
            results[futures[future]] = future.result()
            progress(f"{len(results)} of {len(CASES)} loads played")
    return report({case: results[case] for case in CASES})
