"""Count the calls that stop all runs of a stream, and compare them with the fewest possible."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import get_context
from random import Random
from typing import Any, Final, NamedTuple

import boto3
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from benchmarks.report import Plot, Report, Table, Target
from benchmarks.streams import RUNS_PER_CALL, Request, StreamShape, distinct_runs, fewest_calls, generate
from tests.support.fakes.exchange import Call
from tests.support.fakes.faults import Decide, Fault, Throttle
from tests.support.simulated_aws import STOP, Function, Invocation, SimulatedAws

SEED: Final = 20_261_124

Variant = Callable[[SimulatedAws], Function]
"""Makes a function that consumes the stop queue."""


def gluebrake(simulation: SimulatedAws) -> Function:
    """Return Gluebrake's STOP function."""
    return simulation.functions[STOP]


def one_call_per_run(simulation: SimulatedAws) -> Function:
    """Return a function that makes a call for each run that is named, as orchestrators and scripts do."""
    return _record_by_record(simulation, lambda run_ids: [[run_id] for run_id in run_ids])


def one_call_per_record(simulation: SimulatedAws) -> Function:
    """Return a function that batches only the runs of one record, because it sees one record at a time."""
    return _record_by_record(simulation, _batches_of_25)


def _batches_of_25(run_ids: Sequence[str]) -> list[Sequence[str]]:
    distinct = list(dict.fromkeys(run_ids))
    return [distinct[start : start + RUNS_PER_CALL] for start in range(0, len(distinct), RUNS_PER_CALL)]


def _record_by_record(
    simulation: SimulatedAws, batches: Callable[[Sequence[str]], Sequence[Sequence[str]]]
) -> Function:
    """Return a function with Powertools' BatchProcessor, which reports each throttled record as failed."""
    glue = boto3.client("glue", **simulation.aws.client_options)
    processor = BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False)

    def stop(record: SQSRecord) -> None:
        request = json.loads(record.body)
        for run_ids in batches(request["JobRunIds"]):
            glue.batch_stop_job_run(JobName=request["JobName"], JobRunIds=run_ids)

    def function(event: dict[str, Any], _: object) -> dict[str, Any]:
        return dict(process_partial_response(event, stop, processor))

    return function


@dataclass(frozen=True)
class Workload:
    """The shape of a stream, and the share of its stop calls that Glue throttles."""

    shape: StreamShape
    throttled: float = 0.0


@dataclass(frozen=True)
class Case:
    """A workload, the function that consumes it, and the messages per invocation."""

    workload: Workload
    variant: Variant
    batch_size: int


class StopCalls(NamedTuple):
    """The stop calls of an invocation, and the fewest possible for its messages."""

    made: int
    fewest: int
    all_answered: bool
    """Whether no run has to be tried again."""


class CaseResult(NamedTuple):
    """The calls that a case made."""

    calls: Mapping[str, int]
    """The number of calls, by operation."""
    stop_calls: Sequence[StopCalls]
    """One for each invocation of the STOP function."""
    running: int
    """The runs that are still running when the queues are empty."""

    @property
    def reads(self) -> int:
        """The number of calls that read runs' states."""
        return self.calls["GetJobRuns"] + self.calls["GetJobRun"]


_ACCOUNT: Final = StreamShape(name="a busy account", messages=1500, jobs=200, skew=1.1)
_BUSY: Final = Workload(_ACCOUNT)

WORKLOADS: Final = (
    Workload(StreamShape(name="a few busy jobs", messages=1500, jobs=10, skew=1.0)),
    _BUSY,
    Workload(StreamShape(name="many jobs, evenly used", messages=1500, jobs=1000, skew=0.3)),
    Workload(StreamShape(name="requests of up to 60 runs", messages=200, jobs=40, skew=1.0, max_runs=60)),
    Workload(replace(_ACCOUNT, name="a busy account, one call in ten throttled"), throttled=0.1),
)
LOW_LATENCY: Final = 10
HIGH_VOLUME: Final = 1000
"""The `batchSize` of each profile."""

_BATCH_SIZES: Final = (LOW_LATENCY, 30, 100, 300, HIGH_VOLUME)

CASES: Final = (
    *(Case(workload, gluebrake, size) for workload in WORKLOADS for size in (LOW_LATENCY, HIGH_VOLUME)),
    *(
        Case(workload, variant, HIGH_VOLUME)
        for workload in WORKLOADS
        for variant in (one_call_per_run, one_call_per_record)
    ),
    *(Case(_BUSY, gluebrake, size) for size in _BATCH_SIZES[1:-1]),
)


def run(progress: Callable[[str], None]) -> Report:
    """Run all cases and count their calls."""
    results: dict[Case, CaseResult] = {}
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(run_case, case): case for case in CASES}
        for future in as_completed(futures):
            results[futures[future]] = future.result()
            progress(f"{len(results)} of {len(CASES)} streams consumed")
    return Report(
        title="Calls",
        text=TEXT,
        tables=[_stop_calls(results)],
        details=[_all_calls(results)],
        plots=[_by_batch_size(results)],
        targets=targets(results),
    )


def run_case(case: Case) -> CaseResult:
    """Put the stream on the stop queue, and advance time until both queues are empty."""
    requests = generate(case.workload.shape, SEED)
    # One call at a time, so that the same calls are throttled each time.
    with SimulatedAws(batch_size=case.batch_size, calls_at_once=1) as simulation:
        simulation.functions[STOP] = case.variant(simulation)
        simulation.aws.faults.add(Decide(_throttle_share(case.workload.throttled)), operation="BatchStopJobRun")
        for job_name, run_id in sorted(distinct_runs(requests)):
            simulation.aws.glue.add_run(job_name, run_id)
        for request in requests:
            simulation.request_stop(request.job_name, *request.run_ids)
        simulation.run()
        return CaseResult(
            calls=Counter(call.operation for call in simulation.aws.calls),
            stop_calls=[
                stop_calls(invocation) for invocation in simulation.invocations if invocation.service == STOP
            ],
            running=sum(run.state == "RUNNING" for run in simulation.aws.glue),
        )


def _throttle_share(share: float) -> Callable[[Call], Fault | None]:
    random = Random(SEED)  # noqa: S311 - not used for security
    return lambda _: Throttle() if random.random() < share else None


def stop_calls(invocation: Invocation) -> StopCalls:
    """Compare an invocation's stop calls with the fewest possible for its messages."""
    bodies = [json.loads(delivery.message.body) for delivery in invocation.deliveries]
    fewest = fewest_calls(Request(body["JobName"], tuple(body["JobRunIds"])) for body in bodies)
    again = invocation.counts["Retrying"] + invocation.counts["Deferred"]
    return StopCalls(len(invocation.called("BatchStopJobRun")), fewest, all_answered=not again)


def targets(results: Mapping[Case, CaseResult]) -> list[Target]:
    """Return whether Gluebrake made the fewest calls, and whether it stopped all runs."""
    own = [result for case, result in results.items() if case.variant is gluebrake]
    answered = [calls for result in own for calls in result.stop_calls if calls.all_answered]
    exact = sum(calls.made == calls.fewest for calls in answered)
    running = sum(result.running for result in own)
    return [
        Target(
            figure="invocations with the fewest possible stop calls",
            limit="all",
            measured=f"{exact:,} of {len(answered):,}",
            met=bool(answered) and exact == len(answered),
        ),
        Target(
            figure="runs still running at the end",
            limit="0",
            measured=f"{running:,}",
            met=running == 0,
        ),
    ]


TEXT: Final = """\
A stream of requests is on the stop queue at the start, and one message in five names runs again. The real
functions consume it until every run has stopped. Other functions make a call for each run, or for each record
with Powertools' BatchProcessor. The minimum, ⌈distinct runs / 25⌉ for each job, needs the whole stream in
advance."""


def _stop_calls(results: Mapping[Case, CaseResult]) -> Table:
    def calls(workload: Workload, variant: Variant, size: int = HIGH_VOLUME) -> int:
        return results[Case(workload, variant, size)].calls["BatchStopJobRun"]

    rows = []
    for workload in WORKLOADS:
        requests = generate(workload.shape, SEED)
        counts = (
            calls(workload, one_call_per_run),
            calls(workload, one_call_per_record),
            calls(workload, gluebrake, LOW_LATENCY),
            calls(workload, gluebrake),
            fewest_calls(requests),
        )
        rows.append((workload.shape.name, *map(_count, counts)))
    others = ["one call per run", "one call per record"]
    own = [f"Gluebrake, batches of {size:,}" for size in (LOW_LATENCY, HIGH_VOLUME)]
    return Table(
        title="BatchStopJobRun calls that stop all runs of a stream",
        columns=["stream", *others, *own, "minimum"],
        rows=rows,
        note="Throttled calls are counted.",
    )


def _all_calls(results: Mapping[Case, CaseResult]) -> Table:
    rows = []
    for workload in WORKLOADS:
        for size in (LOW_LATENCY, HIGH_VOLUME):
            result = results[Case(workload, gluebrake, size)]
            fewest = "-" if workload.throttled else _count(sum(calls.fewest for calls in result.stop_calls))
            stops = (len(result.stop_calls), result.calls["BatchStopJobRun"])
            others = (result.reads, result.calls["SendMessageBatch"], result.calls["PutEvents"])
            rows.append((workload.shape.name, _count(size), *map(_count, stops), fewest, *map(_count, others)))
    return Table(
        title="All calls of Gluebrake, by messages per invocation",
        columns=["stream", "messages", "invocations", "stop", "minimum", "read", "send", "event"],
        rows=rows,
        note="Invocations are those of the STOP function, and the minimum is summed over them. Read calls "
        "(GetJobRuns, GetJobRun) show whether the runs have stopped; the other functions make none. Send "
        "calls are SendMessageBatch. Event calls are PutEvents, with up to ten outcome events each.",
    )


def _count(count: int) -> str:
    return f"{count:,}"


def _by_batch_size(results: Mapping[Case, CaseResult]) -> Plot:
    requests = generate(_BUSY.shape, SEED)
    constant = {
        "one call per run": results[Case(_BUSY, one_call_per_run, HIGH_VOLUME)].calls["BatchStopJobRun"],
        "minimum": fewest_calls(requests),
    }
    own = [(size, results[Case(_BUSY, gluebrake, size)].calls["BatchStopJobRun"]) for size in _BATCH_SIZES]
    return Plot(
        name="calls",
        title=f"Calls that stop {len(distinct_runs(requests)):,} runs, by messages per invocation",
        x_label="messages per invocation",
        y_label="BatchStopJobRun calls",
        series={
            "Gluebrake": own,
            **{label: [(size, count) for size in _BATCH_SIZES] for label, count in constant.items()},
        },
        log_x=True,
    )
