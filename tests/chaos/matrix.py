"""Each fault on each call of the deployed stack: many cases at once, since each has a job of its own."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.chaos.stand import TestBed
from tests.support.fakes.exchange import Call, Json
from tests.support.fakes.faults import Fault
from tests.support.invariants import Account, broken_promises, is_end

ForRuns = Callable[[Sequence[str]], Fault]
"""Makes a fault for a case's runs, whose ids are known once they have been started."""

ALWAYS: Final = math.inf
NEVER_ANSWERED: Final = 3600.0
UNKNOWN: Final = f"jr_{'0' * 64}"
STOPPED: Final = frozenset({"Stopped"})
FAILED: Final = frozenset({"Failed"})
_BOTOCORES_TRIES: Final = 2
_DELIVERIES: Final = 5


@dataclass(frozen=True, kw_only=True)
class InjectedFault:
    """A fault that befalls the next so many calls of an operation that are about a case."""

    operation: str
    fault: ForRuns
    times: float = 1
    queue: str = ""
    """Of sends: the stack's output that names the queue."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """What goes wrong with the calls for one job, and how its runs may end."""

    name: str
    troubles: Sequence[InjectedFault]
    ends: frozenset[str]
    runs: int = 2
    tags: Mapping[str, str] = field(default_factory=dict)
    unknown: bool = False
    """Whether a run is named as well that there is not."""
    redelivered: bool = False
    """Whether messages may come again, and in the end be moved by SQS itself."""


@dataclass(frozen=True)
class Started:
    """A case under way: the runs that are named, and one of the same job that nobody names."""

    case: Case
    named: Sequence[str]
    bystander: str

    @property
    def body(self) -> str:
        """The message that asks for it."""
        unknown = [UNKNOWN] if self.case.unknown else []
        return json.dumps({"JobName": self.case.name, "JobRunIds": [*self.named, *unknown]})


def attack(stand: TestBed, cases: Sequence[Case]) -> list[str]:
    """Run the cases side by side; return which promises were broken."""
    started = [_start(stand, case) for case in cases]
    stand.send([one.body for one in started])
    account = stand.account(stand.drained())
    stand.proxy.faults.clear()
    return [*broken_promises(account), *(broken for one in started for broken in _broken(stand, one, account))]


def about(call: Call, job_name: str) -> bool:
    """Return whether a call, or one of the messages that it sends, is about a job."""
    request = call.parameters
    if "ResourceArn" in request:
        return bool(request["ResourceArn"].endswith(f":job/{job_name}"))
    texts = [entry.get("MessageBody", entry.get("Detail", "")) for entry in request.get("Entries", ())]
    quoted = json.dumps(job_name)
    return request.get("JobName") == job_name or any(quoted in text for text in texts)


def _start(stand: TestBed, case: Case) -> Started:
    *named, bystander = stand.start(case.name, case.runs + 1, tags=case.tags)
    for trouble in case.troubles:
        url = stand.outputs[trouble.queue] if trouble.queue else ""
        stand.proxy.faults.add(
            trouble.fault(named),
            operation=trouble.operation,
            when=lambda call, url=url: (
                call.parameters.get("QueueUrl", "").endswith(url)  # type: ignore[misc]
                and about(call, case.name)
            ),
            times=trouble.times,
        )
    return Started(case, named, bystander)


def _broken(stand: TestBed, one: Started, account: Account) -> Iterator[str]:
    case = one.case
    lines = [line for line in account.lines if line.get("job_name") == case.name and "job_run_id" in line]
    ends = {line["outcome"] for line in lines if is_end(line) and line["job_run_id"] != UNKNOWN}
    if not ends <= case.ends:
        yield f"{case.name}: ended as {sorted(ends)}, not as {sorted(case.ends)}"
    if not case.redelivered:
        twice = [run_id for job_name, run_id, _ in account.ends - account.asked if job_name == case.name]
        yield from (f"{case.name}: {run_id} ended too often" for run_id in twice)
    if (state := stand.states(case.name)[one.bystander]) != "RUNNING":
        yield f"{case.name}: the run that nobody named is {state}"
    for operation, (calls, most) in _calls(stand, one, lines).items():
        if calls > most:
            yield f"{case.name}: {calls} calls of {operation}, but the budget is {most}"


def _calls(stand: TestBed, one: Started, lines: Sequence[Json]) -> dict[str, tuple[int, int]]:
    """Return how many calls were about the case, and the most that its log lines allow for."""
    tries = Counter(line["job_run_id"] for line in lines if line["outcome"] != "Deferred")
    turns = max(tries.values(), default=0)
    turns += _DELIVERIES if one.case.redelivered else 0
    runs = len(one.named) + one.case.unknown
    # A call that is refused as invalid is halved until each run is alone.
    of_a_turn = {"BatchStopJobRun": 2 * runs - 1, "GetJobRuns": 1, "GetJobRun": runs, "GetTags": 1}
    calls = Counter(call.operation for call in tuple(stand.proxy.calls) if about(call, one.case.name))
    return {name: (calls[name], most * turns * _BOTOCORES_TRIES) for name, most in of_a_turn.items()}
