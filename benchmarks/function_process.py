"""What runs in the process that is measured: the deployed function, and what it is held against."""

from __future__ import annotations

import gc
import json
import os
import re
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache, lru_cache, wraps
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, NamedTuple
from unittest.mock import patch
from uuid import UUID

from botocore import xform_name

from benchmarks.streams import Kind, Request, stream
from gluebrake import lambda_event
from gluebrake.aws.event_bus import Events
from gluebrake.aws.glue import PAGE, Glue
from gluebrake.aws.sqs import Queues
from gluebrake.contract import ATTEMPT, SENDER, SUBMITTED_AT
from gluebrake.decisions import outcome_events, planning, routing, stop_outcomes
from gluebrake.handlers import confirm, stop
from gluebrake.model import Queue
from gluebrake.runtime import Dependencies, build_dependencies
from gluebrake.telemetry import Telemetry
from tests.support.fakes.exchange import Call, Json
from tests.support.fakes.sqs import OUR_ROLE, Message

SEED: Final = 20_261_124
STOP: Final = "stop"
CONFIRM: Final = "confirm"

LARGEST_EVENT: Final = 6 * 1024 * 1024
MOST_MESSAGES: Final = 10_000
"""Lambda's limits on what an invocation is given: bytes, and messages."""

_GUARDRAIL: Final = "AROAEXAMPLE:guardrail"
_CONTEXT: Final = SimpleNamespace(aws_request_id="benchmark", get_remaining_time_in_millis=lambda: 30_000)
_HANDLERS: Final[Mapping[str, Callable[..., Json]]] = {STOP: stop.handler, CONFIRM: confirm.handler}


class Timing(NamedTuple):
    """Seconds on the clock, and of this process on all processors."""

    wall: float
    cpu: float


@contextmanager
def function_process(environ: Mapping[str, str]) -> Iterator[ProcessPoolExecutor]:
    """Run a process in a function's environment, as long as the context lasts."""
    spawn = get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, initializer=_settle_in, initargs=(environ,)) as pool:
        yield pool


def _settle_in(environ: Mapping[str, str]) -> None:
    """Take the environment over, and print to nobody."""
    os.environ.update(environ)
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@cache
def parts(service: str) -> Dependencies:
    """Wire the function as its environment says."""
    if service == CONFIRM:
        return replace(build_dependencies(CONFIRM, Queue.CONFIRM), max_attempts=confirm.MAX_LOOKS)
    return build_dependencies(STOP, Queue.STOP)


def requests(messages: int) -> list[Request]:
    """Make up requests for one run each, no run twice: those that cost the most for a message."""
    return stream(Kind(name="one run each", messages=messages, jobs=200, skew=1.1, repeated=0.0), SEED)


def records(service: str, asked: Iterable[Request]) -> Iterator[Json]:
    """Yield the requests as an event source mapping delivers them from the service's queue."""
    now = datetime.now(UTC)
    ours = {ATTEMPT: "0", SENDER: _GUARDRAIL, SUBMITTED_AT: now.isoformat()}
    attributes = {name: {"DataType": "String", "StringValue": value} for name, value in ours.items()}
    notes = {"Reason": "over budget", "RequestedBy": "guardrail/nightly"}
    for number, (job_name, run_ids) in enumerate(asked):
        message = Message(
            message_id=str(UUID(int=number)),
            body=json.dumps({"JobName": job_name, "JobRunIds": run_ids, **notes}),
            attributes=attributes if service == CONFIRM else {},
            delay_seconds=0,
            sent_at=now,
            sender_id=f"{OUR_ROLE}:gluebrake" if service == CONFIRM else _GUARDRAIL,
            queue_arn=f"arn:aws:sqs:eu-west-1:123456789012:{service}",
        )
        yield message.record() | {"receiptHandle": "A" * 400}  # about as long as SQS's own


def deliveries(records: Iterable[Json], *, most_bytes: int = LARGEST_EVENT) -> Iterator[list[Json]]:
    """Yield as many of the records as an invocation is given, until all are delivered."""
    some: list[Json] = []
    room = most_bytes
    for record in records:
        size = len(json.dumps(record)) + 2
        if some and (size > room or len(some) == MOST_MESSAGES):
            yield some
            some, room = [], most_bytes
        some.append(record)
        room -= size
    yield some


@lru_cache(maxsize=1)
def _event(service: str, messages: int) -> Json:
    return {"Records": list(records(service, requests(messages)))}


def invoke(messages: int) -> Timing:
    """Have the stop function handle an invocation, wired as it is when deployed."""
    return _timed(stop.handler, _event(STOP, messages), _CONTEXT, parts(STOP))


def invoke_between_stubs(messages: int) -> Timing:
    """Have it do so when all calls are answered at once: what is left is our own work."""
    return _timed(stop.handler, _event(STOP, messages), _CONTEXT, with_stubs(parts(STOP), ()))


def replay(calls: Sequence[Call]) -> Timing:
    """Have bare boto3 make the calls, with the clients of the deployed function."""
    return _timed(make, calls, parts(STOP))


def make(calls: Iterable[Call], wiring: Dependencies) -> None:
    """Make the calls with nothing but boto3, as many at once as the function makes."""
    clients: Mapping[str, Any] = {"SendMessageBatch": wiring.queues.client}

    def make_one(call: Call) -> None:
        client = clients.get(call.operation, wiring.glue.client)
        getattr(client, xform_name(call.operation))(**call.parameters)

    for phase in phases(calls):
        with ThreadPoolExecutor(wiring.glue.calls_at_once) as pool:
            for future in [pool.submit(make_one, call) for call in phase]:
                future.exception()  # a throttled call is no less made


def phases(calls: Iterable[Call]) -> list[list[Call]]:
    """Return the calls by operation, since a send waits for the stops; what botocore repeats is given once."""
    by_operation: dict[str, dict[str, Call]] = {}
    for call in calls:
        by_operation.setdefault(call.operation, {})[json.dumps(call.parameters)] = call
    return [list(distinct.values()) for distinct in by_operation.values()]


def _timed(work: Callable[..., object], *arguments: object) -> Timing:
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    work(*arguments)
    return Timing(time.perf_counter() - wall, time.process_time() - cpu)


class Stopwatch:
    """Charges time to what is at work: the innermost part that was begun."""

    def __init__(self, clock: Callable[[], float] = time.process_time) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        self._clock = clock
        self._at_work = ["the rest"]
        self._since = clock()

    def charged(self, part: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """Return the work, charged to the part."""

        @wraps(work)
        def charged(*arguments: Any, **named: Any) -> Any:
            self.charge()
            self._at_work.append(part)
            try:
                return work(*arguments, **named)
            finally:
                self.charge()
                self._at_work.pop()

        return charged

    def charge(self) -> None:
        """Charge the time since the last charge."""
        now = self._clock()
        self.spent[self._at_work[-1]] += now - self._since
        self._since = now


# What is done in an invocation, and the functions that do it, by the names under which they are looked up.
_PARTS_OF_THE_WORK: Final[Sequence[tuple[str, Any, str]]] = (
    ("read", lambda_event, "arrival"),
    ("read", stop, "read"),
    ("read", confirm, "read"),
    ("plan", planning, "plan"),
    ("plan", planning, "merge"),
    ("stop or look", Glue, "stop"),
    ("stop or look", Glue, "look"),
    ("settle", stop_outcomes, "settle_stops"),
    ("settle", stop_outcomes, "settle_looks"),
    ("send", routing, "sends"),
    ("send", Queues, "send"),
    ("log", Telemetry, "account"),
    ("count", Telemetry, "_count"),
    ("count", Telemetry, "events_lost"),
    ("count", Telemetry, "end"),
    ("publish", outcome_events, "outcomes"),
    ("publish", Events, "publish"),
)
PARTS_OF_THE_WORK: Final = (*dict.fromkeys(part for part, _, _ in _PARTS_OF_THE_WORK), "the rest")


def own_cpu(service: str, messages: int) -> dict[str, float]:
    """Return our own CPU seconds for an invocation, by part: stubs of Glue and SQS answer at once."""
    event, wiring = _event(service, messages), with_stubs(parts(service), requests(messages))
    with ExitStack() as stack:
        stopwatch = Stopwatch()
        for part, owner, name in _PARTS_OF_THE_WORK:
            stack.enter_context(patch.object(owner, name, stopwatch.charged(part, getattr(owner, name))))
        gc.collect()
        stopwatch.charge()
        stopwatch.spent.clear()
        _HANDLERS[service](event, _CONTEXT, wiring)
        stopwatch.charge()
    return dict(stopwatch.spent)


def own_cpu_in_series(messages: int) -> float:
    """Return our own CPU seconds for so many messages in a row of invocations, as full as they may be."""
    wiring = with_stubs(parts(STOP), ())
    events = ({"Records": some} for some in deliveries(records(STOP, requests(messages))))
    return sum(_timed(stop.handler, event, _CONTEXT, wiring).cpu for event in events)


def with_stubs(wiring: Dependencies, asked: Iterable[Request]) -> Dependencies:
    """Wire in stubs that answer at once; by the time that they are asked, all runs have stopped."""
    glue: Any = _Glue(asked)
    queues: Any = _Sqs()
    events: Any = _EventBridge()
    return replace(
        wiring,
        glue=replace(wiring.glue, client=glue),
        queues=replace(wiring.queues, client=queues),
        events=replace(wiring.events, make_client=lambda: events),
    )


class _Glue:
    """Takes every stop, and says of each run that it has stopped."""

    def __init__(self, asked: Iterable[Request]) -> None:
        self._runs: dict[str, list[Json]] = defaultdict(list)
        now = datetime.now(UTC)
        for job_name, run_ids in asked:
            details = {"WorkerType": "G.1X", "NumberOfWorkers": 10, "MaxCapacity": 10.0, "ExecutionTime": 60}
            states = {"JobRunState": "STOPPED", "StartedOn": now, "CompletedOn": now}
            self._runs[job_name] += [{"Id": run_id, **states, **details} for run_id in run_ids]

    def batch_stop_job_run(self, *, JobName: str, JobRunIds: Sequence[str]) -> Json:  # noqa: N803 - Glue's names
        return {"SuccessfulSubmissions": [{"JobName": JobName, "JobRunId": run_id} for run_id in JobRunIds]}

    def get_job_runs(self, *, JobName: str, NextToken: str = "0", **_: object) -> Json:  # noqa: N803 - the same
        start, runs = int(NextToken), self._runs[JobName]
        further = {"NextToken": str(start + PAGE)} if start + PAGE < len(runs) else {}
        return {"JobRuns": runs[start : start + PAGE], **further}

    def get_job_run(self, *, JobName: str, RunId: str) -> Json:  # noqa: N803 - the same
        return {"JobRun": next(run for run in self._runs[JobName] if run["Id"] == RunId)}


class _Sqs:
    """Takes whatever is sent."""

    def send_message_batch(self, *, Entries: Sequence[Json], **_: object) -> Json:  # noqa: N803 - SQS's names
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}


class _EventBridge:
    """Takes whatever is published."""

    def put_events(self, *, Entries: Sequence[Json]) -> Json:  # noqa: N803 - EventBridge's name
        return {"Entries": [{"EventId": "1"} for _ in Entries]}


def memory(event: str) -> tuple[int, int]:
    """Return the most bytes that this process has held before it handles the event, and after it."""
    wiring = parts(STOP)
    before = _most_bytes_held()
    stop.handler(json.loads(event), _CONTEXT, wiring)
    return before, _most_bytes_held()


def _most_bytes_held() -> int:
    """Return it as Linux tells for the process itself: `getrusage` begins with what its parent held."""
    status = Path("/proc/self/status")
    if status.exists() and (found := re.search(r"VmHWM:\s*(\d+) kB", status.read_text())):
        return int(found[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
