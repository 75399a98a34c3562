"""Faults singly and two at a time, on the real handlers in virtual time: thousands of cases in a minute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import combinations
from random import Random
from typing import Final

from tests.chaos.cases import WHOLE
from tests.chaos.matrix import ALWAYS, ForRuns, InjectedFault
from tests.support.fakes.faults import EntriesFailed, Fault, RunErrors, Unanswered
from tests.support.invariants import broken_promises
from tests.support.properties import account_of, mistold
from tests.support.scenarios import set_up_all_kinds
from tests.support.simulated_aws import Invocation, World, stop_request

OPERATIONS: Final = ("BatchStopJobRun", "GetJobRuns", "GetJobRun", "GetTags", "SendMessageBatch", "PutEvents")
TIMES: Final = (1, 2, ALWAYS)
# A send that is stored but not heard of leaves a copy at each delivery for as long as it lasts: not for ever.
_UNHEARD: Final = frozenset({"answer-lost", "answer-cut", "connection-cut", "answer-empty"})
_LONG: Final = 8
_MOST_STEPS: Final = 2000

BODIES: Final = (
    stop_request("etl", "jr_1", "done", "unknown"),
    stop_request("etl", "jr_2", "jr_1", Reason="over budget"),
    stop_request("etl", "jr_1", DryRun=True),
    stop_request("tagged", "jr"),
    stop_request("denied", "jr"),
    '{"JobName": "etl"}',
)
"""They make the functions call every operation, and reach every queue."""

FaultPlan = tuple[str, InjectedFault]
"""What goes wrong, in words and in force."""


def singles() -> list[FaultPlan]:
    """List each fault on each operation, for each number of times."""
    return [
        (f"{operation} {name} x{times:g}", InjectedFault(operation=operation, fault=fault, times=times))
        for operation in OPERATIONS
        for name, fault in _faults(operation)
        for times in _times(operation, name)
    ]


def pairs(seed: int, count: int) -> list[tuple[FaultPlan, ...]]:
    """Draw so many of all the pairs of faults."""
    everything: list[tuple[FaultPlan, ...]] = list(combinations(singles(), 2))
    return Random(seed).sample(everything, min(count, len(everything)))  # noqa: S311 - a seed is to repeat


def tried(plights: Sequence[FaultPlan]) -> list[str]:
    """Let it all happen in a world of its own; return what was broken."""
    with World(calls_at_once=1) as world:
        set_up_all_kinds(world)
        for _, trouble in plights:
            world.aws.faults.add(trouble.fault(["jr_1"]), operation=trouble.operation, times=trouble.times)
        for body in BODIES:
            world.put(body)
        for _ in range(_MOST_STEPS):
            if not world.step():
                break
        broken = broken_promises(account_of(world, BODIES, max_runs=1000)) + mistold(world)
        broken += [over for invocation in world.invocations for over in _over_budget(invocation)]
        if world.counts["UnexpectedErrors"]:
            broken.append("an exception that nobody foresaw")
        what = " and ".join(words for words, _ in plights)
        return [f"{what}: {one}" for one in broken]


def _faults(operation: str) -> Iterator[tuple[str, ForRuns]]:
    for name, fault in WHOLE.items():
        yield name, partial(_whichever_the_runs, fault)
    if operation == "BatchStopJobRun":
        yield "run refused", lambda run_ids: RunErrors(run_ids, "JobRunCannotBeStoppedException")
        yield "run denied", lambda run_ids: RunErrors(run_ids, "AccessDeniedException")
        yield "run left out", Unanswered
        yield "run left out and not stopped", lambda run_ids: Unanswered(run_ids, stopped=False)
    if operation == "SendMessageBatch":
        yield "entries refused", lambda _: EntriesFailed()
        yield "some entries refused", lambda _: EntriesFailed(lambda entry: "jr_1" in entry["MessageBody"])


def _times(operation: str, name: str) -> tuple[float, ...]:
    response_lost = operation == "SendMessageBatch" and name in _UNHEARD
    return tuple(min(times, _LONG) for times in TIMES) if response_lost else TIMES


def _whichever_the_runs(fault: Fault, _: Sequence[str]) -> Fault:
    return fault


def _over_budget(invocation: Invocation) -> Iterator[str]:
    """Hold the calls of an invocation against what its messages allow for; suspects are alone with theirs."""
    turns = Counter[str]()
    for delivery in invocation.deliveries:
        turns.update(job for job in ("etl", "tagged", "denied") if f'"{job}"' in delivery.message.body)
    stops = Counter(call["JobName"] for call in invocation.called("BatchStopJobRun"))
    pages = Counter(call["JobName"] for call in invocation.called("GetJobRuns"))
    reads = Counter(call["JobName"] for call in invocation.called("GetJobRun"))
    runs_of_a_message = 3
    for name, calls, each in (
        ("BatchStopJobRun", stops, 2 * runs_of_a_message - 1),
        ("GetJobRuns", pages, 2),
        ("GetJobRun", reads, runs_of_a_message),
    ):
        yield from (f"{n} calls of {name} for {job}" for job, n in calls.items() if n > each * turns[job])
