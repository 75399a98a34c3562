"""Run a function in its own process, as deployed, with stubs, or as bare boto3 calls."""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cache, lru_cache
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, NamedTuple
from unittest.mock import patch

from aws_lambda_powertools import Logger
from botocore import xform_name

from benchmarks.lambda_events import CONFIRM, STOP, batches, one_run_requests, records
from benchmarks.memory import peak_bytes
from benchmarks.stopwatch import OTHER, Stopwatch
from benchmarks.stubs import with_stubs
from gluebrake import dispatch, lambda_event, runtime
from gluebrake.aws.event_bus import EventBus
from gluebrake.aws.glue import Glue
from gluebrake.aws.sqs import Queues
from gluebrake.decisions import planning
from gluebrake.handlers import confirm, stop
from gluebrake.handlers.confirm import ConfirmDependencies
from gluebrake.handlers.stop import StopDependencies
from gluebrake.telemetry import Telemetry
from tests.support.fakes.exchange import Call, Json

_CONTEXT: Final = SimpleNamespace(aws_request_id="benchmark", get_remaining_time_in_millis=lambda: 30_000)
_STAGES: Final[Mapping[str, Any]] = {STOP: stop, CONFIRM: confirm}
_FIELDS_OF_LOGGER: Final = frozenset({"level", "message", "timestamp", "service", "function_request_id"})


class Timing(NamedTuple):
    """Seconds that some work took: elapsed time, and the process's CPU time."""

    elapsed: float
    cpu: float


@contextmanager
def function_process(environ: Mapping[str, str]) -> Iterator[ProcessPoolExecutor]:
    """Run a process with a function's environment until the context exits."""
    spawn = get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, initializer=_initialise, initargs=(environ,)) as pool:
        yield pool


def _initialise(environ: Mapping[str, str]) -> None:
    """Set the environment, and discard standard output."""
    os.environ.update(environ)
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@cache
def dependencies(service: str) -> Any:
    """Build the function's dependencies from the environment, once in a process."""
    return _STAGES[service].build_dependencies(os.environ)


@lru_cache(maxsize=1)
def _event(service: str, messages: int) -> Json:
    return {"Records": list(records(service, one_run_requests(messages)))}


def invoke(messages: int) -> Timing:
    """Invoke the STOP function with its deployed clients."""
    return _timed(stop.handler, _event(STOP, messages), _CONTEXT, dependencies(STOP))


def invoke_with_stubs(messages: int) -> Timing:
    """Invoke the STOP function with stubs that answer immediately."""
    return _timed(stop.handler, _event(STOP, messages), _CONTEXT, with_stubs(dependencies(STOP), ()))


def replay(calls: Sequence[Call]) -> Timing:
    """Make the calls with the deployed clients, and without Gluebrake."""
    return _timed(make_calls, calls, dependencies(STOP))


def make_calls(calls: Iterable[Call], deployed: StopDependencies | ConfirmDependencies) -> None:
    """Make the calls with boto3 alone, with as many threads as the function uses."""
    clients: Mapping[str, Any] = {"SendMessageBatch": deployed.queues.client}

    def make(call: Call) -> None:
        client = clients.get(call.operation, deployed.glue.client)
        getattr(client, xform_name(call.operation))(**call.parameters)

    for phase in phases(calls):
        with ThreadPoolExecutor(deployed.glue.calls_at_once) as pool:
            for future in [pool.submit(make, call) for call in phase]:
                future.exception()  # waits; a throttled call counts as well


def phases(calls: Iterable[Call]) -> list[list[Call]]:
    """Group the calls by operation, because sends follow all stops, and leave out botocore's retries."""
    by_operation: dict[str, dict[str, Call]] = {}
    for call in calls:
        by_operation.setdefault(call.operation, {})[json.dumps(call.parameters)] = call
    return [list(distinct.values()) for distinct in by_operation.values()]


def _timed(function: Callable[..., object], *arguments: object) -> Timing:
    gc.collect()
    elapsed, cpu = time.perf_counter(), time.process_time()
    function(*arguments)
    return Timing(time.perf_counter() - elapsed, time.process_time() - cpu)


# The steps of an invocation, and where each step's functions are looked up.
_STEPS: Final[Sequence[tuple[str, Any, str]]] = (
    ("parse", lambda_event, "parse"),
    ("parse", runtime, "parse_messages"),
    ("plan", planning, "plan"),
    ("plan", planning, "merge"),
    ("call Glue", Glue, "stop"),
    ("call Glue", Glue, "read_states"),
    ("decide", stop, "decide_stops"),
    ("decide", confirm, "decide_confirmations"),
    ("send", dispatch, "outgoing_messages"),
    ("send", Queues, "send"),
    ("log", Telemetry, "record_results"),
    ("count", Telemetry, "_count"),
    ("count", Telemetry, "record_lost_events"),
    ("count", Telemetry, "flush"),
    ("publish", dispatch, "outcome_events"),
    ("publish", EventBus, "publish"),
)
STEPS: Final = (*dict.fromkeys(step for step, _, _ in _STEPS), OTHER)


def own_cpu(service: str, messages: int) -> dict[str, float]:
    """Return the CPU seconds of an invocation with stubs, by step."""
    stage, event = _STAGES[service], _event(service, messages)
    stubbed = with_stubs(dependencies(service), one_run_requests(messages))
    with ExitStack() as stack:
        stopwatch = Stopwatch()
        for step, owner, name in _STEPS:
            stack.enter_context(patch.object(owner, name, stopwatch.timed(step, getattr(owner, name))))
        gc.collect()
        stopwatch.lap()
        stopwatch.seconds.clear()
        stage.handler(event, _CONTEXT, stubbed)
        stopwatch.lap()
    return dict(stopwatch.seconds)


def cpu_of_logger(service: str, lines: int) -> float:
    """Return the CPU seconds in which Powertools' Logger writes so many lines like those of the function."""
    fields, logger = fields_of_a_line(service), _logger(service)
    gc.collect()
    began = time.process_time()
    for _ in range(lines):
        logger.info(fields["outcome"], extra=fields)
    return time.process_time() - began


@cache
def _logger(service: str) -> Logger:
    """Return a Logger whose lines are discarded. Powertools keeps one stream for each name."""
    return Logger(service=f"{service}-by-logger", stream=Path(os.devnull).open("w"))


@cache
def fields_of_a_line(service: str) -> Mapping[str, Any]:
    """Return the fields of a line about a run, without those that Logger adds."""
    texts: list[str] = []
    stubbed = with_stubs(dependencies(service), one_run_requests(1))
    with patch.object(Telemetry, "_write", lambda _, text: texts.append(text)):
        _STAGES[service].handler(_event(service, 1), _CONTEXT, stubbed)
    line = json.loads(texts[0])
    return {name: value for name, value in line.items() if name not in _FIELDS_OF_LOGGER}


def own_cpu_of_series(messages: int) -> float:
    """Return the CPU seconds of consecutive STOP invocations with stubs, each as full as Lambda allows."""
    stubbed = with_stubs(dependencies(STOP), ())
    events = ({"Records": batch} for batch in batches(records(STOP, one_run_requests(messages))))
    return sum(_timed(stop.handler, event, _CONTEXT, stubbed).cpu for event in events)


def peak_memory(event: str) -> tuple[int, int]:
    """Return the process's peak memory in bytes, before and after it handles the event."""
    deployed = dependencies(STOP)
    before = peak_bytes()
    stop.handler(json.loads(event), _CONTEXT, deployed)
    return before, peak_bytes()
