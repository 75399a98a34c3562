"""How many calls it takes to stop the runs of a stream, and how many are the fewest."""

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
from benchmarks.streams import RUNS_IN_A_CALL, Kind, Request, distinct_runs, fewest_calls, stream
from tests.support.fakes.exchange import Call
from tests.support.fakes.faults import Decide, Fault, Throttle
from tests.support.simulated_aws import STOP, Function, Invocation, World

SEED: Final = 20_261_124

Contender = Callable[[World], Function]
"""Makes a function that works the stop queue off."""


def ours(world: World) -> Function:
    """Return the real stop function, as the world has it."""
    return world.functions[STOP]


def one_call_a_run(world: World) -> Function:
    """Return a function that makes a call for each run that is named, as orchestrators and scripts do."""
    return _record_by_record(world, lambda run_ids: [[run_id] for run_id in run_ids])


def one_call_a_record(world: World) -> Function:
    """Return a function that puts into a call what one record names, since that is all that it sees."""
    return _record_by_record(world, _by_25)


def _by_25(run_ids: Sequence[str]) -> list[Sequence[str]]:
    distinct = list(dict.fromkeys(run_ids))
    return [distinct[start : start + RUNS_IN_A_CALL] for start in range(0, len(distinct), RUNS_IN_A_CALL)]


def _record_by_record(world: World, batches: Callable[[Sequence[str]], Sequence[Sequence[str]]]) -> Function:
    """Return a function on Powertools' BatchProcessor; what Glue throttles comes back from SQS."""
    glue = boto3.client("glue", **world.aws.client_options)
    processor = BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False)

    def stop(record: SQSRecord) -> None:
        request = json.loads(record.body)
        for run_ids in batches(request["JobRunIds"]):
            glue.batch_stop_job_run(JobName=request["JobName"], JobRunIds=run_ids)

    def function(event: dict[str, Any], _: object) -> dict[str, Any]:
        return dict(process_partial_response(event, stop, processor))

    return function


@dataclass(frozen=True)
class Scene:
    """A stream, and the share of its calls that Glue throttles."""

    kind: Kind
    throttled: float = 0.0


@dataclass(frozen=True)
class Case:
    """A scene, who works it off, and how many messages an invocation gets."""

    scene: Scene
    contender: Contender
    batch_size: int


class Effort(NamedTuple):
    """The stop calls of an invocation, and the fewest for what its messages name."""

    calls: int
    fewest: int
    all_answered: bool
    """Whether nothing had to be tried again."""


class Played(NamedTuple):
    """What it took to work a stream off."""

    calls: Mapping[str, int]
    """By operation."""
    efforts: Sequence[Effort]
    running: int
    """Runs that nobody had stopped by the end."""

    @property
    def reads(self) -> int:
        """How often states were read."""
        return self.calls["GetJobRuns"] + self.calls["GetJobRun"]


_ACCOUNT: Final = Kind(name="a busy account", messages=1500, jobs=200, skew=1.1)
_BUSY: Final = Scene(_ACCOUNT)

SCENES: Final = (
    Scene(Kind(name="a few busy jobs", messages=1500, jobs=10, skew=1.0)),
    _BUSY,
    Scene(Kind(name="many jobs, much alike", messages=1500, jobs=1000, skew=0.3)),
    Scene(Kind(name="requests of up to 60 runs", messages=200, jobs=40, skew=1.0, most_runs=60)),
    Scene(replace(_ACCOUNT, name="a busy account, one call in ten throttled"), throttled=0.1),
)
AT_ONCE: Final = 10
STORMS: Final = 1000
"""The two ways to configure `batchSize`."""

_BATCH_SIZES: Final = (AT_ONCE, 30, 100, 300, STORMS)

CASES: Final = (
    *(Case(scene, ours, size) for scene in SCENES for size in (AT_ONCE, STORMS)),
    *(Case(scene, other, STORMS) for scene in SCENES for other in (one_call_a_run, one_call_a_record)),
    *(Case(_BUSY, ours, size) for size in _BATCH_SIZES[1:-1]),
)


def run(progress: Callable[[str], None]) -> Report:
    """Work all streams off, and count."""
    played: dict[Case, Played] = {}
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(play, case): case for case in CASES}
        for future in as_completed(futures):
            played[futures[future]] = future.result()
            progress(f"{len(played)} of {len(CASES)} streams worked off")
    return Report(
        title="Calls",
        text=_TEXT,
        tables=[_stop_calls(played), _other_calls(played)],
        plots=[_by_batch_size(played)],
        targets=targets(played),
    )


def play(case: Case) -> Played:
    """Put the stream on the stop queue, and let time pass until all that it led to is done."""
    requests = stream(case.scene.kind, SEED)
    # One call at a time, so that the same calls are throttled each time.
    with World(batch_size=case.batch_size, calls_at_once=1) as world:
        world.functions[STOP] = case.contender(world)
        world.aws.faults.add(Decide(_now_and_then(case.scene.throttled)), operation="BatchStopJobRun")
        for job_name, run_id in sorted(distinct_runs(requests)):
            world.aws.glue.add_run(job_name, run_id)
        for request in requests:
            world.ask(request.job_name, *request.run_ids)
        world.run()
        return Played(
            calls=Counter(call.operation for call in world.aws.calls),
            efforts=[effort(one) for one in world.invocations if one.service == STOP],
            running=sum(run.state == "RUNNING" for run in world.aws.glue),
        )


def _now_and_then(share: float) -> Callable[[Call], Fault | None]:
    random = Random(SEED)  # noqa: S311 - nothing here is secret
    return lambda _: Throttle() if random.random() < share else None


def effort(invocation: Invocation) -> Effort:
    """Hold an invocation's calls against what its messages name."""
    bodies = [json.loads(delivery.message.body) for delivery in invocation.deliveries]
    fewest = fewest_calls(Request(body["JobName"], tuple(body["JobRunIds"])) for body in bodies)
    again = invocation.counts["Retrying"] + invocation.counts["Deferred"]
    return Effort(len(invocation.called("BatchStopJobRun")), fewest, all_answered=not again)


def targets(played: Mapping[Case, Played]) -> list[Target]:
    """Say whether ours made the fewest calls, and whether all was stopped."""
    mine = [effort for case, one in played.items() if case.contender is ours for effort in one.efforts]
    answered = [effort for effort in mine if effort.all_answered]
    exact = sum(effort.calls == effort.fewest for effort in answered)
    running = sum(one.running for case, one in played.items() if case.contender is ours)
    return [
        Target(
            what="BatchStopJobRun calls of an invocation, when Glue answers every call",
            limit="exactly Σ over jobs of ⌈distinct runs / 25⌉",
            measured=f"that many in {exact:,} of {len(answered):,} invocations",
            met=bool(answered) and exact == len(answered),
        ),
        Target(
            what="runs still running once the queues are empty",
            limit="0",
            measured=f"{running:,}",
            met=running == 0,
        ),
    ]


_TEXT: Final = """\
Streams of stop requests: skewed jobs (Zipf), one message in five naming runs that an earlier one named, and
messages up to fifty places late. Each stream stands on the stop queue and is worked off by the real handlers,
with boto3, against a fake Glue and SQS on a loopback socket, until every run is confirmed as stopped; what is
to be tried again goes through the queue. The same streams are worked off with one call for each run that is
named, as orchestrators and scripts do, and with Powertools' BatchProcessor, which sees one record at a time.
Nobody can do with fewer calls than each job's distinct runs by 25, and only who knows the whole stream
beforehand can do with that."""


def _stop_calls(played: Mapping[Case, Played]) -> Table:
    def calls(scene: Scene, contender: Contender, size: int = STORMS) -> int:
        return played[Case(scene, contender, size)].calls["BatchStopJobRun"]

    rows = []
    for scene in SCENES:
        requests = stream(scene.kind, SEED)
        counts = (
            len(requests),
            len(distinct_runs(requests)),
            calls(scene, one_call_a_run),
            calls(scene, one_call_a_record),
            calls(scene, ours, AT_ONCE),
            calls(scene, ours),
            fewest_calls(requests),
        )
        rows.append((scene.kind.name, *(f"{count:,}" for count in counts)))
    ours_of = [f"ours, {size:,} an invocation" for size in (AT_ONCE, STORMS)]
    return Table(
        title="BatchStopJobRun calls to stop all runs of a stream",
        columns=["stream", "messages", "runs", "one a run", "one a record", *ours_of, "knowing all beforehand"],
        rows=rows,
        note="Throttled calls are counted. What Glue throttles, ours sends again by the job; SQS delivers the "
        "others' messages again.",
    )


def _other_calls(played: Mapping[Case, Played]) -> Table:
    rows = []
    for scene in SCENES:
        for size in (AT_ONCE, STORMS):
            one = played[Case(scene, ours, size)]
            fewest = "-" if scene.throttled else f"{sum(effort.fewest for effort in one.efforts):,}"
            counts = (len(one.efforts), one.calls["BatchStopJobRun"])
            others = (one.reads, one.calls["SendMessageBatch"], one.calls["PutEvents"])
            rows.append((scene.kind.name, f"{size:,}", *map(_count, counts), fewest, *map(_count, others)))
    return Table(
        title="All calls of ours, by messages in an invocation",
        columns=["stream", "messages", "invocations", "stops", "fewest", "reads", "sends", "events"],
        rows=rows,
        note="Invocations are those of the stop function; fewest is summed over them. Reads (GetJobRuns, "
        "GetJobRun) tell whether the runs have stopped, which the others never learn; sends are "
        "SendMessageBatch calls, events PutEvents calls: each tells of the ends of up to ten runs.",
    )


def _count(count: int) -> str:
    return f"{count:,}"


def _by_batch_size(played: Mapping[Case, Played]) -> Plot:
    requests = stream(_BUSY.kind, SEED)
    flat = {
        "one call a run": played[Case(_BUSY, one_call_a_run, STORMS)].calls["BatchStopJobRun"],
        "knowing all beforehand": fewest_calls(requests),
    }
    mine = [(size, played[Case(_BUSY, ours, size)].calls["BatchStopJobRun"]) for size in _BATCH_SIZES]
    return Plot(
        name="calls",
        caption=f"{_BUSY.kind.name}: BatchStopJobRun calls to stop {len(distinct_runs(requests)):,} runs, "
        "by the messages that an invocation gets",
        x_label="messages in an invocation",
        y_label="calls",
        series={
            "ours": mine,
            **{name: [(size, count) for size in _BATCH_SIZES] for name, count in flat.items()},
        },
        log_x=True,
    )
