"""Inject faults alone and in pairs into the simulated AWS of both handlers: thousands of cases a minute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import combinations
from random import Random
from typing import Final

from tests.chaos.cases import CALL_FAULTS
from tests.chaos.matrix import ALWAYS, FaultForRuns, InjectedFault
from tests.support.fakes.faults import EntriesFailed, Fault, RunErrors, Unanswered
from tests.support.invariants import violations
from tests.support.properties import event_violations, evidence_of
from tests.support.scenarios import set_up_all_kinds
from tests.support.simulated_aws import Invocation, SimulatedAws, stop_request

OPERATIONS: Final = ("BatchStopJobRun", "GetJobRuns", "GetJobRun", "GetTags", "SendMessageBatch", "PutEvents")
TIMES: Final = (1, 2, ALWAYS)
# With these faults SQS stores the message and the function does not know. Each redelivery then sends a further
# copy, so with a fault that lasts for ever the queues would never be empty.
_STORED_WITHOUT_ANSWER: Final = frozenset({"answer-lost", "answer-cut", "connection-cut", "answer-empty"})
_MAX_COPIES: Final = 8
_MAX_STEPS: Final = 2000
_RUNS_OF_A_MESSAGE: Final = 3

BODIES: Final = (
    stop_request("etl", "jr_1", "done", "unknown"),
    stop_request("etl", "jr_2", "jr_1", Reason="over budget"),
    stop_request("etl", "jr_1", DryRun=True),
    stop_request("tagged", "jr"),
    stop_request("denied", "jr"),
    '{"JobName": "etl"}',
)
"""Messages for which the functions call every operation and send to every queue."""

NamedFault = tuple[str, InjectedFault]
"""A fault, and its description."""

FaultPlan = Sequence[NamedFault]
"""The faults of one simulation."""


def single_faults() -> list[NamedFault]:
    """Return each fault of each operation, for each number of times."""
    return [
        (f"{operation} {name} x{times:g}", InjectedFault(operation=operation, fault=fault, times=times))
        for operation in OPERATIONS
        for name, fault in _faults(operation)
        for times in _times(operation, name)
    ]


def draw_pairs(seed: int, count: int) -> list[FaultPlan]:
    """Draw pairs of faults, each pair at most once."""
    all_pairs: list[FaultPlan] = list(combinations(single_faults(), 2))
    return Random(seed).sample(all_pairs, min(count, len(all_pairs)))  # noqa: S311 - a seed repeats a run


def run_plan(plan: FaultPlan) -> list[str]:
    """Simulate the messages with all faults of the plan. Return the violations of invariants."""
    with SimulatedAws(calls_at_once=1) as simulation:
        set_up_all_kinds(simulation)
        for _, injected in plan:
            fault = injected.fault(["jr_1"])
            simulation.aws.faults.add(fault, operation=injected.operation, times=injected.times)
        for body in BODIES:
            simulation.put(body)
        for _ in range(_MAX_STEPS):
            if not simulation.step():
                break
        found = violations(evidence_of(simulation, BODIES, max_runs=1000)) + event_violations(simulation)
        found += [text for invocation in simulation.invocations for text in _excess_calls(invocation)]
        if simulation.counts["UnexpectedErrors"]:
            found.append("an unhandled exception")
        description = " and ".join(name for name, _ in plan)
        return [f"{description}: {violation}" for violation in found]


def _faults(operation: str) -> Iterator[tuple[str, FaultForRuns]]:
    for name, fault in CALL_FAULTS.items():
        yield name, partial(_for_any_runs, fault)
    if operation == "BatchStopJobRun":
        yield "run refused", lambda run_ids: RunErrors(run_ids, "JobRunCannotBeStoppedException")
        yield "run denied", lambda run_ids: RunErrors(run_ids, "AccessDeniedException")
        yield "run left out", Unanswered
        yield "run left out and not stopped", lambda run_ids: Unanswered(run_ids, stopped=False)
    if operation == "SendMessageBatch":
        yield "entries refused", lambda _: EntriesFailed()
        yield "some entries refused", lambda _: EntriesFailed(lambda entry: "jr_1" in entry["MessageBody"])


def _times(operation: str, name: str) -> tuple[float, ...]:
    makes_copies = operation == "SendMessageBatch" and name in _STORED_WITHOUT_ANSWER
    return tuple(min(times, _MAX_COPIES) for times in TIMES) if makes_copies else TIMES


def _for_any_runs(fault: Fault, _: Sequence[str]) -> Fault:
    return fault


def _excess_calls(invocation: Invocation) -> Iterator[str]:
    """Compare an invocation's calls with the most that its messages can need."""
    messages = Counter[str]()
    for delivery in invocation.deliveries:
        messages.update(job for job in ("etl", "tagged", "denied") if f'"{job}"' in delivery.message.body)
    for name, limit in (
        ("BatchStopJobRun", 2 * _RUNS_OF_A_MESSAGE - 1),
        ("GetJobRuns", 2),
        ("GetJobRun", _RUNS_OF_A_MESSAGE),
    ):
        calls = Counter(call["JobName"] for call in invocation.called(name))
        yield from (f"{n} calls of {name} for {job}" for job, n in calls.items() if n > limit * messages[job])
