"""Attack the deployed stack with random faults and crashes, a poison pill, and many messages at once."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from random import Random
from typing import Final

from tests.chaos.cases import CALL_FAULTS
from tests.chaos.matrix import concerns
from tests.chaos.testbed import FUNCTIONS, TestBed
from tests.support.fakes.exchange import Answer, Call, Reply
from tests.support.fakes.faults import Decide, EntriesFailed, Fault, Latency, RunErrors, Unanswered
from tests.support.invariants import Evidence, is_final, violations

JOBS: Final = 20
RUNS: Final = 10
POISON_PILL: Final = "poison"
NEIGHBOURS: Final = 9

_SHARE_OF_FAULTS: Final = 0.15
_SHARE_OF_DRY_RUNS: Final = 0.1
_SECONDS_BETWEEN_KILLS: Final = 4.0
_LATENCIES: Final = (0.5, 3.0, 5.0, 7.0)
_FLOOD_JOBS: Final = 20


@dataclass
class AttackResult:
    """The figures of an attack on the stack, and the violations of invariants."""

    violations: list[str] = field(default_factory=list)
    messages: int = 0
    stop_calls: int = 0
    seconds: float = 0
    """The time from the end of the attack until the work queues were empty."""
    faults: int = 0
    kills: int = 0
    moved: int = 0
    """How many messages SQS moved to the dead-letter queue after five receives."""


def storm(test_bed: TestBed, *, seed: int, seconds: float) -> AttackResult:
    """Send stop requests while calls fail and functions are killed, then wait until the queues are empty."""
    random, result, before = Random(seed), AttackResult(), test_bed.evidence(0)  # noqa: S311 - a seed repeats a run
    runs = {f"storm-{number}": test_bed.start(f"storm-{number}", RUNS) for number in range(JOBS)}
    random_of_faults = Random(seed)  # noqa: S311 - a seed repeats a run
    test_bed.proxy.faults.add(Decide(lambda call: _fault(random_of_faults, call, result)))
    began = time.monotonic()
    next_kill = began + _SECONDS_BETWEEN_KILLS
    while (now := time.monotonic()) < began + seconds:
        bodies = [_request(random, runs) for _ in range(random.randint(1, 10))]
        test_bed.send(bodies)
        result.messages += len(bodies)
        if now > next_kill:
            result.kills += test_bed.kill(random.choice(FUNCTIONS))
            next_kill = now + random.uniform(0.5, 1.5) * _SECONDS_BETWEEN_KILLS
        time.sleep(random.uniform(0, 0.5))
    test_bed.proxy.faults.clear()
    return _completed(test_bed, result, before)


def poison_pill(test_bed: TestBed) -> AttackResult:
    """Send a message that crashes the function at each delivery, with others, which must be handled."""
    result, before = AttackResult(messages=NEIGHBOURS + 1), test_bed.evidence(0)
    stop_function = test_bed.outputs["StopFunctionName"]
    # With one process at a time, the process that is killed is the one that has the message.
    test_bed.aws.lambda_.put_function_concurrency(FunctionName=stop_function, ReservedConcurrentExecutions=1)
    names = [POISON_PILL, *(f"neighbour-{number}" for number in range(NEIGHBOURS))]
    runs = {name: test_bed.start(name, 1) for name in names}

    def crash(call: Call, answer: Answer) -> Reply:
        result.kills += test_bed.kill("StopFunctionName")
        return answer(call)

    test_bed.proxy.faults.add(crash, operation="BatchStopJobRun", when=lambda call: concerns(call, POISON_PILL))
    test_bed.send([json.dumps({"JobName": name, "JobRunIds": run_ids}) for name, run_ids in runs.items()])
    _completed(test_bed, result, before)
    test_bed.proxy.faults.clear()
    test_bed.aws.lambda_.delete_function_concurrency(FunctionName=stop_function)
    result.violations += _harmed_neighbours(test_bed.evidence(0), names[1:])
    return result


def _harmed_neighbours(evidence: Evidence, names: list[str]) -> list[str]:
    ends = {
        (line["job_name"], line["outcome"])
        for line in evidence.lines
        if "job_run_id" in line and is_final(line)
    }
    moved = sorted(job_name for job_name, _, _ in evidence.moved if job_name in names)
    return [
        *(f"{name} was not stopped" for name in names if (name, "Stopped") not in ends),
        *(f"{name} was moved to the dead-letter queue" for name in moved),
    ]


def flood(test_bed: TestBed, *, messages: int) -> AttackResult:
    """Send many messages at once that name each run many times."""
    result, before = AttackResult(messages=messages), test_bed.evidence(0)
    for mapping in test_bed.aws.lambda_.list_event_source_mappings()["EventSourceMappings"]:
        test_bed.aws.lambda_.update_event_source_mapping(
            UUID=mapping["UUID"], BatchSize=1000, MaximumBatchingWindowInSeconds=1
        )
    runs = [(f"flood-{n}", run) for n in range(_FLOOD_JOBS) for run in test_bed.start(f"flood-{n}", RUNS)]
    bodies = [json.dumps({"JobName": name, "JobRunIds": [run_id]}) for name, run_id in runs]
    test_bed.send([bodies[number % len(bodies)] for number in range(messages)])
    return _completed(test_bed, result, before)


def _completed(test_bed: TestBed, result: AttackResult, before: Evidence) -> AttackResult:
    began = time.monotonic()
    evidence = test_bed.evidence(test_bed.wait_until_empty())
    result.seconds = time.monotonic() - began
    result.violations += violations(evidence)
    result.stop_calls = len(evidence.stop_calls) - len(before.stop_calls)
    result.moved = _moved(evidence) - _moved(before)
    return result


def _moved(evidence: Evidence) -> int:
    return sum("ERROR_CODE" not in attributes for _, attributes in evidence.dead_letters)


def _request(random: Random, runs: dict[str, list[str]]) -> str:
    job_name = random.choice(sorted(runs))
    run_ids = random.sample(runs[job_name], random.randint(1, 4))
    dry_run = random.random() < _SHARE_OF_DRY_RUNS
    return json.dumps({"JobName": job_name, "JobRunIds": run_ids, "DryRun": dry_run})


def _fault(random: Random, call: Call, result: AttackResult) -> Fault | None:
    if random.random() > _SHARE_OF_FAULTS:
        return None
    result.faults += 1
    faults: list[Fault] = [*CALL_FAULTS.values(), Latency(random.choice(_LATENCIES))]
    if call.operation == "BatchStopJobRun":
        run_ids = call.parameters["JobRunIds"][:1]
        faults += [
            RunErrors(run_ids, "SomethingNewException"),
            Unanswered(run_ids),
            Unanswered(run_ids, stopped=False),
        ]
    if call.operation == "SendMessageBatch":
        faults.append(EntriesFailed(lambda _: random.choice((False, True))))
    return random.choice(faults)
