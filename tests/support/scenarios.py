"""What Hypothesis makes up: messages, runs, answers of every kind, and how messages are delivered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import product
from random import Random
from typing import Any, Final, Self, TypeVar
from zlib import crc32

from hypothesis import strategies as st

from tests.support.fakes.exchange import Answer, Call, Ending, Json, Reply
from tests.support.fakes.faults import (
    Decide,
    EmptyBody,
    EntriesFailed,
    Fault,
    LostAnswer,
    Refused,
    Reset,
    RunErrors,
    TruncatedBody,
    Unanswered,
)
from tests.support.fakes.sqs import Message
from tests.support.simulated_aws import Context, Delivery, Invocation, World, stop_request, stop_requested

T = TypeVar("T")

JOBS: Final = ("etl", "nightly", "locked")
FORBIDDEN_JOBS: Final = ("vip", "payroll")
RUN_IDS: Final = tuple(f"jr_{number}" for number in range(7))
MAX_RUNS: Final = 3

_STATES: Final = ("RUNNING", "STARTING", "WAITING", "STOPPING", "STOPPED", "SUCCEEDED", "FAILED", "PAUSED")
_REFUSALS: Final = (
    Refused("ThrottlingException", "Rate exceeded"),
    Refused("AccessDeniedException"),
    Refused("InvalidInputException"),
    Refused("EntityNotFoundException"),
    Refused("OperationTimeoutException"),
    Refused("InternalServiceException", status=500),
    Refused("ServiceUnavailable", status=503),
    Refused("SomethingNewException", "never seen before"),
)
_RUN_ERRORS: Final = (
    "JobRunCannotBeStoppedException",
    "EntityNotFoundException",
    "AccessDeniedException",
    "SomethingNewException",
)


@dataclass(frozen=True)
class Answers:
    """The answer is replaced: well-formed JSON that does not say what was asked."""

    payload: Json

    def __call__(self, call: Call, answer: Answer) -> Reply:
        """Do the work, and answer something else."""
        return replace(answer(call), payload=self.payload)


_BROKEN: Final = (LostAnswer(), Reset(), EmptyBody(), TruncatedBody(), TruncatedBody(whole_length=True))
_STRANGE: Final = {
    "BatchStopJobRun": (
        Answers({"SuccessfulSubmissions": [{"JobName": "etl", "JobRunId": "another"}]}),
        Answers({"SuccessfulSubmissions": [{}], "Errors": [{}]}),
    ),
    "GetJobRuns": (
        Answers({"JobRuns": []}),
        Answers({"JobRuns": [{"Id": "jr_1"}]}),
        Answers({"JobRuns": [{}]}),
    ),
    "GetJobRun": (Answers({"JobRun": {}}), Answers({})),
    "GetTags": (Answers({"Tags": {"gluebrake:protect": ""}}), Answers({"Tags": {}})),
}


class ScriptedWorld(World):
    """A world in which some invocations end badly, and what went out to SQS is watched."""

    mishaps: Sequence[bool] = ()

    def __enter__(self) -> Self:
        # Number of the invocation, queue URL and entry of each message that SQS did not say it took.
        self.untaken: list[tuple[int, str, Json]] = []
        return super().__enter__()

    def watch(self, call: Call, answer: Answer) -> Reply:
        """Note which entries the client does not hear of as taken; a fault that does no harm."""
        reply = answer(call)
        heard = reply.ending is Ending.KEPT_OPEN and reply.sent_bytes is None
        taken = {entry["Id"] for entry in reply.payload.get("Successful", ())} if heard else set()
        url, index = call.parameters["QueueUrl"], len(self.invocations)
        self.untaken += [(index, url, e) for e in call.parameters["Entries"] if e["Id"] not in taken]
        return reply

    def unacknowledged(self, invocation: Invocation) -> set[str]:
        """Have the function end without an answer in a mishap: what it has not deleted comes back."""
        mishap = _at(self.mishaps, len(self.invocations) - 1, default=False)
        return super().unacknowledged(replace(invocation, answer=None) if mishap else invocation)


@dataclass(frozen=True)
class Scenario:
    """All that can be different from one example to the next."""

    bodies: Sequence[str]
    at_once: bool
    odd_runs: Sequence[tuple[str, str, dict[str, Any] | None]]
    """Those that do not simply run and stop in ten seconds; None for one that is not there."""
    faults: dict[str, Sequence[Fault | None]]
    seconds_left: Sequence[float]
    failing_sends: Sequence[Fault | None] = ()
    failing_events: Sequence[Fault | None] = ()
    mishaps: Sequence[bool] = ()
    receive_counts: Sequence[int] = ()
    twice: Sequence[bool] = ()
    """Which messages are delivered twice."""
    order: int = 0
    """Seeds the order of delivery; 0 is the order of sending."""
    sent_seconds_ahead: Sequence[int] = ()
    """How far each SentTimestamp is off."""
    clock_seconds_ahead: int = 0
    """How far the functions' clock is ahead of SQS's and Glue's."""

    def deliveries(self, messages: Sequence[Message]) -> list[Delivery]:
        """Return the first deliveries of the messages: some not in order, some twice, some misdated."""
        deliveries = [
            Delivery(
                replace(m, sent_at=m.sent_at + timedelta(seconds=_at(self.sent_seconds_ahead, n, default=0))),
                _at(self.receive_counts, n, default=1),
            )
            for n, m in enumerate(messages)
        ]
        deliveries += [d for n, d in enumerate(deliveries) if _at(self.twice, n, default=False)]
        if self.order:
            Random(self.order).shuffle(deliveries)  # noqa: S311 - no secret, and the same each time
        return deliveries

    def world(self) -> ScriptedWorld:
        """Make a world in which the scenario comes to pass: one call at a time, so that it always does."""
        world = ScriptedWorld(
            jobs=[*JOBS, "unknown", "vip"],
            protected_jobs=["v*"],
            max_runs_per_request=MAX_RUNS,
            calls_at_once=1,
            batch_size=10_000 if self.at_once else 2,
            skew=timedelta(seconds=self.clock_seconds_ahead),
        )
        world.mishaps = self.mishaps
        odd = {(job_name, run_id): details for job_name, run_id, details in self.odd_runs}
        for run in product((*JOBS, *FORBIDDEN_JOBS), RUN_IDS):
            if (details := odd.get(run, {})) is not None:
                world.aws.glue.add_run(*run, **details)
        world.aws.faults.add(world.watch, operation="SendMessageBatch")
        failing = {"SendMessageBatch": self.failing_sends, "PutEvents": self.failing_events}
        for operation, script in {**self.faults, **failing}.items():
            world.aws.faults.add(_scripted(script), operation=operation)
        world.context = Context(lambda: _at(self.seconds_left, len(world.invocations), default=30.0))
        return world


def set_up_all_kinds(world: World) -> None:
    """Start runs that make the stop function call every operation of Glue; stopping some is denied."""
    glue = world.aws.glue
    for run_id in ("jr_1", "jr_2"):
        glue.add_run("etl", run_id, started_on=world.clock() - timedelta(hours=1))
    glue.add_run("etl", "done", state="SUCCEEDED")
    glue.add_run("tagged", "jr")
    glue.add_job("tagged", tags={"gluebrake:protect": "yes"})
    glue.add_run("denied", "jr")
    world.aws.faults.add(
        Refused("AccessDeniedException"),
        operation="BatchStopJobRun",
        when=lambda call: call.parameters["JobName"] in {"tagged", "denied"},
    )


def _scripted(script: Sequence[Fault | None]) -> Decide:
    faults = iter(script)
    return Decide(lambda _: next(faults, None))


def _at(values: Sequence[T], index: int, *, default: T) -> T:
    return values[index] if index < len(values) else default


def _hashed(entry: Json) -> bool:
    return crc32(entry["MessageBody"].encode()) % 2 == 0


def _bodies() -> st.SearchStrategy[str]:
    run_ids = st.lists(st.sampled_from(RUN_IDS), min_size=1, max_size=4)
    requests = st.builds(
        lambda job_name, run_ids, more: stop_request(job_name, *run_ids, **more),
        st.sampled_from((*JOBS[:1] * 6, *JOBS, *FORBIDDEN_JOBS, "unknown")),
        run_ids,
        st.sampled_from((*[{}] * 4, {"DryRun": True}, {"Reason": "over budget"}, {"RequestedBy": "me"})),
    )
    return requests | requests.map(stop_requested) | st.sampled_from(("{", '{"JobName": "etl"}', "[]"))


def _faults(operation: str) -> st.SearchStrategy[Sequence[Fault | None]]:
    kinds: list[Fault | None] = [*[None] * 6, *_REFUSALS, *_BROKEN, *_STRANGE[operation]]
    faults = st.sampled_from(kinds)
    if operation == "BatchStopJobRun":
        some = st.sets(st.sampled_from(RUN_IDS), min_size=1).map(frozenset)
        faults |= st.builds(RunErrors, some, st.sampled_from(_RUN_ERRORS))
        faults |= st.builds(Unanswered, some, stopped=st.booleans())
    return st.lists(faults, max_size=6)


_SEND_FAULTS: Final[tuple[Fault | None, ...]] = (
    None,
    *_BROKEN,
    Refused("ThrottlingException"),
    Refused("InternalFailure", status=500),
    EntriesFailed(),
    EntriesFailed(_hashed),
)
_DETAILS: Final = st.fixed_dictionaries(
    {
        "state": st.sampled_from(_STATES),
        "stopping_seconds": st.sampled_from((0, 10, 400, None)),
        "stops_as": st.sampled_from(("STOPPED", "STOPPED", "SUCCEEDED", "ERROR")),
    }
)
_ODD_RUNS: Final = st.lists(
    st.tuples(st.sampled_from(JOBS), st.sampled_from(RUN_IDS), st.none() | _DETAILS), max_size=8
)
_SECONDS_AHEAD: Final = (0, 0, 0, 1, -1, 120, -120, 7200, -7200)
_CALM: Final = {
    "bodies": st.lists(_bodies(), min_size=2, max_size=8),
    "at_once": st.booleans(),
    "odd_runs": _ODD_RUNS,
    "faults": st.fixed_dictionaries({operation: _faults(operation) for operation in _STRANGE}),
    "seconds_left": st.just([]) | st.lists(st.sampled_from((30.0, 5.0, 1.5, 0.3)), max_size=8),
}

CALM: Final = st.builds(Scenario, **_CALM)
"""Glue does what it likes, but SQS takes all that is sent and delivers each message once."""

STORMY: Final = st.builds(
    Scenario,
    **_CALM,
    failing_sends=st.lists(st.sampled_from(_SEND_FAULTS), min_size=1, max_size=8),
    failing_events=st.lists(st.sampled_from((None, *_REFUSALS, *_BROKEN)), max_size=8),
    mishaps=st.lists(st.booleans(), max_size=6),
    receive_counts=st.just([]) | st.lists(st.integers(1, 4), max_size=8),
    twice=st.just([]) | st.lists(st.booleans(), max_size=8),
    order=st.integers(0, 99),
    sent_seconds_ahead=st.just([]) | st.lists(st.sampled_from(_SECONDS_AHEAD), max_size=8),
    clock_seconds_ahead=st.sampled_from(_SECONDS_AHEAD),
)
"""Sends and events fail, functions crash, clocks differ, and messages come twice and in any order."""
