"""Scenarios that Hypothesis generates: messages, runs, faults, and how messages are delivered."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import product
from random import Random
from typing import Any, Final, TypeVar
from zlib import crc32

from hypothesis import strategies as st

from tests.support.fakes.clock import VirtualClock
from tests.support.fakes.exchange import Json
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
from tests.support.scripted_aws import Kill, ScriptedAws, SmallPages, WrongAnswer, at
from tests.support.simulated_aws import (
    Context,
    Delivery,
    SimulatedAws,
    stop_request,
    stop_request_event,
)

T = TypeVar("T")

JOBS: Final = ("etl", "nightly", "locked")
FORBIDDEN_JOBS: Final = ("vip", "payroll")
RUN_IDS: Final = tuple(f"jr_{number}" for number in range(7))
MAX_RUNS: Final = 3

ARGUMENTS: Final = ({"--day": "1"}, {"--day": "2", "--env": "dev"})
"""The arguments of the runs: each run has one of the two."""

_STATES: Final = ("RUNNING", "STARTING", "WAITING", "STOPPING", "STOPPED", "SUCCEEDED", "FAILED", "PAUSED")
_REFUSALS: Final = (
    Refused("ThrottlingException", "Rate exceeded"),
    Refused("AccessDeniedException"),
    Refused("InvalidInputException"),
    Refused("EntityNotFoundException"),
    Refused("OperationTimeoutException"),
    Refused("InternalServiceException", status=500),
    Refused("ServiceUnavailable", status=503),
    Refused("SomethingNewException", "an unknown error"),
)
_RUN_ERRORS: Final = (
    "JobRunCannotBeStoppedException",
    "EntityNotFoundException",
    "AccessDeniedException",
    "SomethingNewException",
)


_BROKEN_REPLIES: Final = (LostAnswer(), Reset(), EmptyBody(), TruncatedBody(), TruncatedBody(whole_length=True))
_WRONG_ANSWERS: Final = {
    "BatchStopJobRun": (
        WrongAnswer({"SuccessfulSubmissions": [{"JobName": "etl", "JobRunId": "another"}]}),
        WrongAnswer({"SuccessfulSubmissions": [{}], "Errors": [{}]}),
    ),
    "GetJobRuns": (
        WrongAnswer({"JobRuns": []}),
        WrongAnswer({"JobRuns": [{"Id": "jr_1"}]}),
        WrongAnswer({"JobRuns": [{}]}),
    ),
    "GetJobRun": (WrongAnswer({"JobRun": {}}), WrongAnswer({})),
    "GetTags": (WrongAnswer({"Tags": {"gluebrake:protect": ""}}), WrongAnswer({"Tags": {}})),
}


@dataclass(frozen=True)
class Scenario:
    """Everything that differs between examples."""

    bodies: Sequence[str]
    one_invocation: bool
    """Whether one invocation receives all messages that are due."""
    unusual_runs: Sequence[tuple[str, str, dict[str, Any] | None]]
    """The runs that do not run and then stop within ten seconds. None is a run that does not exist."""
    faults: dict[str, Sequence[Fault | None]]
    seconds_left: Sequence[float]
    send_faults: Sequence[Fault | None] = ()
    event_faults: Sequence[Fault | None] = ()
    crashes: Sequence[bool] = ()
    receive_counts: Sequence[int] = ()
    delivered_twice: Sequence[bool] = ()
    order: int = 0
    """The seed of the order of delivery; 0 is the order of sending."""
    sent_seconds_ahead: Sequence[int] = ()
    """How far each SentTimestamp is ahead."""
    clock_seconds_ahead: int = 0
    """How far the functions' clock is ahead of the clock of SQS and Glue."""
    kills: Sequence[Kill | None] = ()
    ages: Sequence[int] = ()
    """How many seconds before the first message each run started, or after it if negative."""
    previous: Sequence[str] = ()
    """The run that each run of a job retries, empty for none. The runs of every job retry each other alike."""
    max_runs: int = MAX_RUNS
    page_size: int = 200

    def deliveries(self, messages: Sequence[Message]) -> list[Delivery]:
        """Return the first deliveries: some out of order, some twice, some with a wrong time."""
        deliveries = [
            Delivery(
                replace(m, sent_at=m.sent_at + timedelta(seconds=at(self.sent_seconds_ahead, n, default=0))),
                at(self.receive_counts, n, default=1),
            )
            for n, m in enumerate(messages)
        ]
        deliveries += [d for n, d in enumerate(deliveries) if at(self.delivered_twice, n, default=False)]
        if self.order:
            Random(self.order).shuffle(deliveries)  # noqa: S311 - not a secret, and repeatable
        return _counted(deliveries)

    def simulation(self) -> ScriptedAws:
        """Make a simulation of the scenario. It makes one call at a time, so that it is repeatable."""
        simulation = ScriptedAws(
            jobs=[*JOBS, "unknown", "vip"],
            protected_jobs=["v*"],
            max_runs_per_request=self.max_runs,
            calls_at_once=1,
            batch_size=10_000 if self.one_invocation else 2,
            skew=timedelta(seconds=self.clock_seconds_ahead),
        )
        simulation.crashes, simulation.kills = self.crashes, self.kills
        unusual = {(job_name, run_id): details for job_name, run_id, details in self.unusual_runs}
        for number, run in enumerate(product((*JOBS, *FORBIDDEN_JOBS), RUN_IDS)):
            if (details := unusual.get(run, {})) is not None:
                age = timedelta(seconds=at(self.ages, number, default=0))
                facts = {**self._facts(number % len(RUN_IDS)), **details}
                simulation.aws.glue.add_run(*run, started_on=simulation.clock() - age, **facts)
        simulation.aws.faults.add(simulation.kill_at_call)
        simulation.aws.faults.add(SmallPages(self.page_size), operation="GetJobRuns")
        simulation.aws.faults.add(simulation.record_unaccepted, operation="SendMessageBatch")
        own_faults = {"SendMessageBatch": self.send_faults, "PutEvents": self.event_faults}
        for operation, script in {**self.faults, **own_faults}.items():
            simulation.aws.faults.add(_scripted(script), operation=operation)
        simulation.context = Context(lambda: at(self.seconds_left, len(simulation.invocations), default=30.0))
        return simulation

    def _facts(self, number: int) -> dict[str, Any]:
        previous = at(self.previous, number, default="")
        return {"Arguments": ARGUMENTS[number % 2], **({"PreviousRunId": previous} if previous else {})}


SELECTION: Final = json.dumps({"JobName": "selected", "Select": {}})
"""A selection of the runs that `set_up_all_kinds` starts for it."""

WITH_ATTEMPTS: Final = json.dumps({"JobName": "retried", "JobRunIds": ["jr_1"], "IncludeAttempts": True})
"""A request for a failed run that `set_up_all_kinds` starts, and for its third attempt, which is active."""


def set_up_all_kinds(simulation: SimulatedAws) -> None:
    """Start runs for which STOP calls every operation of Glue. Stopping some of them is denied."""
    glue = simulation.aws.glue
    for run_id in ("jr_1", "jr_2"):
        glue.add_run("etl", run_id, started_on=simulation.clock() - timedelta(hours=1))
    glue.add_run("etl", "done", state="SUCCEEDED")
    glue.add_run("tagged", "jr")
    glue.add_job("tagged", tags={"gluebrake:protect": "yes"})
    glue.add_run("denied", "jr")
    for run_id in ("jr_1", "jr_2"):
        glue.add_run("selected", run_id, started_on=simulation.clock() - timedelta(hours=1))
    started_on = simulation.clock() - timedelta(hours=1)
    failed: dict[str, Any] = {"state": "FAILED", "CompletedOn": started_on.timestamp()}
    glue.add_run("retried", "jr_1", started_on=started_on, **failed)
    glue.add_run("retried", "jr_2", started_on=started_on, PreviousRunId="jr_1", **failed)
    glue.add_run("retried", "jr_3", started_on=started_on, PreviousRunId="jr_2")
    simulation.aws.faults.add(
        Refused("AccessDeniedException"),
        operation="BatchStopJobRun",
        when=lambda call: call.parameters["JobName"] in {"tagged", "denied"},
    )


def _counted(deliveries: Sequence[Delivery]) -> list[Delivery]:
    """Return the deliveries. The receive count of a message increases with each of them."""
    earlier: Counter[str] = Counter()
    counted = []
    for delivery in deliveries:
        counted.append(replace(delivery, receive_count=delivery.receive_count + earlier[delivery.message_id]))
        earlier[delivery.message_id] += 1
    return counted


def _scripted(script: Sequence[Fault | None]) -> Decide:
    faults = iter(script)
    return Decide(lambda _: next(faults, None))


def _is_chosen(entry: Json) -> bool:
    return crc32(entry["MessageBody"].encode()) % 2 == 0


def _bodies() -> st.SearchStrategy[str]:
    run_ids = st.lists(st.sampled_from(RUN_IDS), min_size=1, max_size=4)
    requests = st.builds(
        lambda job_name, run_ids, fields: stop_request(job_name, *run_ids, **fields),
        st.sampled_from((*JOBS[:1] * 6, *JOBS, *FORBIDDEN_JOBS, "unknown")),
        run_ids,
        st.sampled_from((*[{}] * 4, {"DryRun": True}, {"Reason": "over budget"}, {"RequestedBy": "me"})),
    )
    return requests | requests.map(stop_request_event) | st.sampled_from(("{", '{"JobName": "etl"}', "[]"))


def _selections() -> st.SearchStrategy[str]:
    """Return selections, and requests for runs with their attempts, most of them of one job."""
    conditions: dict[str, st.SearchStrategy[Any]] = {
        "OlderThanMinutes": st.sampled_from((0, 30, 90)),
        "States": st.sampled_from((["RUNNING"], ["WAITING", "STARTING"])),
        "StartedAfter": st.sampled_from(_STARTED_AFTER),
        "Arguments": st.sampled_from((*ARGUMENTS, {"--day": "3"}, {"--day": "1", "--env": "dev"})),
        "Except": st.lists(st.sampled_from(RUN_IDS), min_size=1, max_size=3),
    }
    # Several conditions often leave no run.
    single = [st.fixed_dictionaries({name: values}) for name, values in conditions.items()]
    select = st.one_of(*single, st.just({}), st.fixed_dictionaries({}, optional=conditions))
    selections = select.map(lambda select: {"Select": select})
    run_ids = st.lists(st.sampled_from((*RUN_IDS[:2] * 3, *RUN_IDS[2:], "jr_x")), min_size=1, max_size=2)
    with_attempts = run_ids.map(lambda run_ids: {"JobRunIds": run_ids, "IncludeAttempts": True})
    requests = st.builds(
        lambda job_name, which, fields: json.dumps({"JobName": job_name, **which, **fields}),
        st.sampled_from((*JOBS[:1] * 6, *JOBS[1:], *FORBIDDEN_JOBS, "unknown")),
        st.sampled_from((selections, with_attempts)).flatmap(lambda which: which),
        st.sampled_from((*[{}] * 4, {"DryRun": True}, {"Reason": "over budget"})),
    )
    return requests | requests.map(stop_request_event)


def _faults(operation: str) -> st.SearchStrategy[Sequence[Fault | None]]:
    choices: list[Fault | None] = [*[None] * 6, *_REFUSALS, *_BROKEN_REPLIES, *_WRONG_ANSWERS[operation]]
    faults = st.sampled_from(choices)
    if operation == "BatchStopJobRun":
        run_ids = st.sets(st.sampled_from(RUN_IDS), min_size=1).map(frozenset)
        faults |= st.builds(RunErrors, run_ids, st.sampled_from(_RUN_ERRORS))
        faults |= st.builds(Unanswered, run_ids, stopped=st.booleans())
    return st.lists(faults, max_size=6)


_SEND_FAULTS: Final[tuple[Fault | None, ...]] = (
    None,
    *_BROKEN_REPLIES,
    Refused("ThrottlingException"),
    Refused("InternalFailure", status=500),
    EntriesFailed(),
    EntriesFailed(_is_chosen),
)
_STARTED_AFTER: Final = [(VirtualClock()() - timedelta(hours=hours)).isoformat() for hours in (3, 1, 0)]
_DETAILS: Final = st.fixed_dictionaries(
    {
        "state": st.sampled_from(_STATES),
        "stopping_seconds": st.sampled_from((0, 10, 400, None)),
        "stops_as": st.sampled_from(("STOPPED", "STOPPED", "SUCCEEDED", "ERROR")),
    }
)
_UNUSUAL_RUNS: Final = st.lists(
    st.tuples(st.sampled_from(JOBS), st.sampled_from(RUN_IDS), st.none() | _DETAILS), max_size=8
)
_SECONDS_AHEAD: Final = (0, 0, 0, 1, -1, 120, -120, 7200, -7200)
_EXACTLY_ONCE: Final = {
    "bodies": st.lists(_bodies(), min_size=2, max_size=8),
    "one_invocation": st.booleans(),
    "unusual_runs": _UNUSUAL_RUNS,
    "faults": st.fixed_dictionaries({operation: _faults(operation) for operation in _WRONG_ANSWERS}),
    "seconds_left": st.just([]) | st.lists(st.sampled_from((30.0, 5.0, 1.5, 0.3)), max_size=8),
}

EXACTLY_ONCE: Final = st.builds(Scenario, **_EXACTLY_ONCE)
"""Calls to Glue fail. SQS accepts every message and delivers it once."""

AT_LEAST_ONCE: Final = st.builds(
    Scenario,
    **_EXACTLY_ONCE,
    send_faults=st.lists(st.sampled_from(_SEND_FAULTS), min_size=1, max_size=8),
    event_faults=st.lists(st.sampled_from((None, *_REFUSALS, *_BROKEN_REPLIES)), max_size=8),
    crashes=st.lists(st.booleans(), max_size=6),
    receive_counts=st.just([]) | st.lists(st.integers(1, 4), max_size=8),
    delivered_twice=st.just([]) | st.lists(st.booleans(), max_size=8),
    order=st.integers(0, 99),
    sent_seconds_ahead=st.just([]) | st.lists(st.sampled_from(_SECONDS_AHEAD), max_size=8),
    clock_seconds_ahead=st.sampled_from(_SECONDS_AHEAD),
)
"""Sends and events fail, functions crash, clocks differ, and SQS delivers messages twice and in any order."""

_CHAINS: Final = (
    ("", *RUN_IDS[:-1]),
    ("", *RUN_IDS[:1] * 3, *RUN_IDS[1:4]),
    (RUN_IDS[-1], *RUN_IDS[:-1]),
)
"""The run that each run retries: the one before it, one of few, or in a circle."""

# Few of them end a selection. After the others it is retried.
_LISTING_FAULTS: Final = (None, None, *_REFUSALS[:2], *_REFUSALS[4:7], *_BROKEN_REPLIES)
_AGES: Final = (3600, 3600, 7200, 900, 1, 0, -1, -600)

WITH_SELECTIONS: Final = st.builds(
    Scenario,
    bodies=st.lists(_selections(), min_size=1, max_size=3).flatmap(
        lambda selections: st.lists(_bodies(), max_size=2).map(lambda bodies: [*selections, *bodies])
    ),
    one_invocation=st.booleans(),
    unusual_runs=_UNUSUAL_RUNS,
    # A list of runs that is well-formed and wrong would make any selection miss runs.
    faults=st.fixed_dictionaries(
        {operation: _faults(operation) for operation in _WRONG_ANSWERS}
        | {"GetJobRuns": st.lists(st.sampled_from(_LISTING_FAULTS), max_size=6)}
    ),
    seconds_left=_EXACTLY_ONCE["seconds_left"],
    send_faults=st.lists(st.sampled_from(_SEND_FAULTS), max_size=8),
    event_faults=st.lists(st.sampled_from((None, *_REFUSALS, *_BROKEN_REPLIES)), max_size=8),
    kills=st.lists(st.none() | st.builds(Kill, st.integers(0, 6), st.booleans()), max_size=6),
    receive_counts=st.just([]) | st.lists(st.integers(1, 3), max_size=8),
    delivered_twice=st.just([]) | st.lists(st.booleans(), max_size=8),
    order=st.integers(0, 99),
    # A message that seems to be younger than it is would miss runs that its first delivery stopped.
    sent_seconds_ahead=st.just([]) | st.lists(st.sampled_from((0, 0, -1, -120, -7200)), max_size=8),
    clock_seconds_ahead=st.sampled_from(_SECONDS_AHEAD),
    ages=st.lists(st.sampled_from(_AGES), min_size=21, max_size=21),
    previous=st.sampled_from(_CHAINS)
    | st.lists(st.sampled_from(("", "jr_x", *RUN_IDS)), min_size=len(RUN_IDS), max_size=len(RUN_IDS)),
    max_runs=st.sampled_from((MAX_RUNS, *[100] * 4)),
    page_size=st.sampled_from((200, 1, 3)),
)
"""Selections and requests for attempts are among the messages.

The functions are killed between calls, and SQS delivers copies.
"""
