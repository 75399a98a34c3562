"""Everything at once on the deployed stack: random faults, crashes, poison, and ever more work."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from random import Random
from typing import Final

from tests.chaos.cases import WHOLE
from tests.chaos.matrix import about
from tests.chaos.stand import FUNCTIONS, TestBed
from tests.support.fakes.exchange import Answer, Call, Reply
from tests.support.fakes.faults import Decide, EntriesFailed, Fault, Latency, RunErrors, Unanswered
from tests.support.invariants import Account, broken_promises, is_end

JOBS: Final = 20
RUNS: Final = 10
POISON: Final = "poison"
NEIGHBOURS: Final = 9

_SHARE_OF_FAULTS: Final = 0.15
_SHARE_OF_DRY_RUNS: Final = 0.1
_SECONDS_BETWEEN_KILLS: Final = 4.0
_LATENCIES: Final = (0.5, 3.0, 5.0, 7.0)
_FLOOD_JOBS: Final = 20


@dataclass
class Attack:
    """What was done to the stack, and what was broken by it."""

    broken: list[str] = field(default_factory=list)
    messages: int = 0
    stop_calls: int = 0
    seconds: float = 0
    """How long it took from the end of the attack until nothing was left on the queues."""
    faults: int = 0
    kills: int = 0
    moved: int = 0
    """Messages that SQS itself moved to the dead-letter queue, since they were received five times."""


def storm(stand: TestBed, *, seed: int, seconds: float) -> Attack:
    """Ask for runs again and again while calls fail and functions are killed; then let it calm down."""
    chance, attack, before = Random(seed), Attack(), stand.account(0)  # noqa: S311 - a seed is to repeat
    runs = {f"storm-{number}": stand.start(f"storm-{number}", RUNS) for number in range(JOBS)}
    faults = Random(seed)  # noqa: S311 - the same
    stand.proxy.faults.add(Decide(lambda call: _fault(faults, call, attack)))
    began = time.monotonic()
    next_kill = began + _SECONDS_BETWEEN_KILLS
    while (now := time.monotonic()) < began + seconds:
        bodies = [_asking(chance, runs) for _ in range(chance.randint(1, 10))]
        stand.send(bodies)
        attack.messages += len(bodies)
        if now > next_kill:
            attack.kills += stand.kill(chance.choice(FUNCTIONS))
            next_kill = now + chance.uniform(0.5, 1.5) * _SECONDS_BETWEEN_KILLS
        time.sleep(chance.uniform(0, 0.5))
    stand.proxy.faults.clear()
    return _concluded(stand, attack, before)


def poison(stand: TestBed) -> Attack:
    """Send a message that crashes the function at each delivery, amid others: it alone must come to grief."""
    attack, before = Attack(messages=NEIGHBOURS + 1), stand.account(0)
    stop_function = stand.outputs["StopFunctionName"]
    # One process at a time, so that the one that is killed is the one that the message is in.
    stand.aws.lambda_.put_function_concurrency(FunctionName=stop_function, ReservedConcurrentExecutions=1)
    names = [POISON, *(f"neighbour-{number}" for number in range(NEIGHBOURS))]
    runs = {name: stand.start(name, 1) for name in names}

    def crash(call: Call, answer: Answer) -> Reply:
        attack.kills += stand.kill("StopFunctionName")
        return answer(call)

    stand.proxy.faults.add(crash, operation="BatchStopJobRun", when=lambda call: about(call, POISON))
    stand.send([json.dumps({"JobName": name, "JobRunIds": run_ids}) for name, run_ids in runs.items()])
    _concluded(stand, attack, before)
    stand.proxy.faults.clear()
    stand.aws.lambda_.delete_function_concurrency(FunctionName=stop_function)
    account = stand.account(0)
    ends = {
        (line["job_name"], line["outcome"]) for line in account.lines if "job_run_id" in line and is_end(line)
    }
    attack.broken += [f"{name} was not served" for name in names[1:] if (name, "Stopped") not in ends]
    attack.broken += [f"{key[0]} came to grief" for key in account.moved if key[0].startswith("neighbour-")]
    return attack


def flood(stand: TestBed, *, messages: int) -> Attack:
    """Send so many messages at once, which name each run many times."""
    attack, before = Attack(messages=messages), stand.account(0)
    for function in stand.aws.lambda_.list_event_source_mappings()["EventSourceMappings"]:
        stand.aws.lambda_.update_event_source_mapping(
            UUID=function["UUID"], BatchSize=1000, MaximumBatchingWindowInSeconds=1
        )
    runs = [(f"flood-{n}", run) for n in range(_FLOOD_JOBS) for run in stand.start(f"flood-{n}", RUNS)]
    asked = [json.dumps({"JobName": name, "JobRunIds": [run_id]}) for name, run_id in runs]
    stand.send([asked[number % len(asked)] for number in range(messages)])
    return _concluded(stand, attack, before)


def _concluded(stand: TestBed, attack: Attack, before: Account) -> Attack:
    began = time.monotonic()
    account = stand.account(stand.drained())
    attack.seconds = time.monotonic() - began
    attack.broken += broken_promises(account)
    attack.stop_calls = len(account.stop_calls) - len(before.stop_calls)
    attack.moved = _moved(account) - _moved(before)
    return attack


def _moved(account: Account) -> int:
    return sum("ERROR_CODE" not in attributes for _, attributes in account.letters)


def _asking(chance: Random, runs: dict[str, list[str]]) -> str:
    job_name = chance.choice(sorted(runs))
    named = chance.sample(runs[job_name], chance.randint(1, 4))
    return json.dumps({"JobName": job_name, "JobRunIds": named, "DryRun": chance.random() < _SHARE_OF_DRY_RUNS})


def _fault(chance: Random, call: Call, attack: Attack) -> Fault | None:
    if chance.random() > _SHARE_OF_FAULTS:
        return None
    attack.faults += 1
    kinds: list[Fault] = [*WHOLE.values(), Latency(chance.choice(_LATENCIES))]
    if call.operation == "BatchStopJobRun":
        some = call.parameters["JobRunIds"][:1]
        kinds += [RunErrors(some, "SomethingNewException"), Unanswered(some), Unanswered(some, stopped=False)]
    if call.operation == "SendMessageBatch":
        kinds.append(EntriesFailed(lambda _: chance.choice((False, True))))
    return chance.choice(kinds)
