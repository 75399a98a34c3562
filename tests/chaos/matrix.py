"""Inject each fault into each call of the deployed stack. All cases run at once, since each has its own job."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.chaos.testbed import TestBed
from tests.support.fakes.exchange import Call, Json
from tests.support.fakes.faults import Fault
from tests.support.invariants import Evidence, is_final, violations

FaultForRuns = Callable[[Sequence[str]], Fault]
"""Makes a fault for a case's runs. Their ids are known when they have started."""

ALWAYS: Final = math.inf
NEVER_ANSWERED: Final = 3600.0
UNKNOWN_RUN: Final = f"jr_{'0' * 64}"
STOPPED: Final = frozenset({"Stopped"})
FAILED: Final = frozenset({"Failed"})
_BOTOCORE_TRIES: Final = 2
_DELIVERIES: Final = 5


@dataclass(frozen=True, kw_only=True)
class InjectedFault:
    """A fault of the next `times` calls of an operation that concern a case."""

    operation: str
    fault: FaultForRuns
    times: float = 1
    queue: str = ""
    """For sends: the stack output with the URL of the queue."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """The faults of the calls for one job, and the final outcomes that its runs may have."""

    name: str
    faults: Sequence[InjectedFault]
    ends: frozenset[str]
    runs: int = 2
    tags: Mapping[str, str] = field(default_factory=dict)
    names_unknown_run: bool = False
    """Whether the message also names a run that does not exist."""
    may_be_redelivered: bool = False
    """Whether SQS may redeliver messages, and move them to the dead-letter queue in the end."""


@dataclass(frozen=True)
class StartedCase:
    """A case whose runs have started: those that its message names, and one that no message names."""

    case: Case
    named: Sequence[str]
    bystander: str

    @property
    def body(self) -> str:
        """The case's stop request."""
        unknown = [UNKNOWN_RUN] if self.case.names_unknown_run else []
        return json.dumps({"JobName": self.case.name, "JobRunIds": [*self.named, *unknown]})


def run_cases(test_bed: TestBed, cases: Sequence[Case]) -> list[str]:
    """Run the cases at the same time. Return the violations of invariants."""
    started_cases = [_start(test_bed, case) for case in cases]
    test_bed.send([started.body for started in started_cases])
    evidence = test_bed.evidence(test_bed.wait_until_empty())
    test_bed.proxy.faults.clear()
    of_cases = (found for started in started_cases for found in _violations(test_bed, started, evidence))
    return [*violations(evidence), *of_cases]


def concerns(call: Call, job_name: str) -> bool:
    """Return whether a call, or a message that it sends, concerns a job."""
    request = call.parameters
    if "ResourceArn" in request:
        return bool(request["ResourceArn"].endswith(f":job/{job_name}"))
    texts = [entry.get("MessageBody", entry.get("Detail", "")) for entry in request.get("Entries", ())]
    quoted = json.dumps(job_name)
    return request.get("JobName") == job_name or any(quoted in text for text in texts)


def _start(test_bed: TestBed, case: Case) -> StartedCase:
    *named, bystander = test_bed.start(case.name, case.runs + 1, tags=case.tags)
    for injected in case.faults:
        url = test_bed.outputs[injected.queue] if injected.queue else ""
        test_bed.proxy.faults.add(
            injected.fault(named),
            operation=injected.operation,
            when=lambda call, url=url: (
                call.parameters.get("QueueUrl", "").endswith(url)  # type: ignore[misc]
                and concerns(call, case.name)
            ),
            times=injected.times,
        )
    return StartedCase(case, named, bystander)


def _violations(test_bed: TestBed, started: StartedCase, evidence: Evidence) -> Iterator[str]:
    case = started.case
    lines = [line for line in evidence.lines if line.get("job_name") == case.name and "job_run_id" in line]
    ends = {line["outcome"] for line in lines if is_final(line) and line["job_run_id"] != UNKNOWN_RUN}
    if not ends <= case.ends:
        yield f"{case.name}: ended as {sorted(ends)}, not as {sorted(case.ends)}"
    if not case.may_be_redelivered:
        repeated = evidence.ends - evidence.requested
        yield from (f"{case.name}: {run_id} ended too often" for job, run_id, _ in repeated if job == case.name)
    if (state := test_bed.states(case.name)[started.bystander]) != "RUNNING":
        yield f"{case.name}: the run that no message names is {state}"
    for operation, (calls, limit) in _calls(test_bed, started, lines).items():
        if calls > limit:
            yield f"{case.name}: {calls} calls of {operation}, but the limit is {limit}"


def _calls(test_bed: TestBed, started: StartedCase, lines: Sequence[Json]) -> dict[str, tuple[int, int]]:
    """Return by operation how many calls concern the case, and how many its log lines allow."""
    tries = Counter(line["job_run_id"] for line in lines if line["outcome"] != "Deferred")
    invocations = max(tries.values(), default=0)
    invocations += _DELIVERIES if started.case.may_be_redelivered else 0
    runs = len(started.named) + started.case.names_unknown_run
    # The function halves a batch that Glue refuses as invalid until each run is alone.
    limits = {"BatchStopJobRun": 2 * runs - 1, "GetJobRuns": 1, "GetJobRun": runs, "GetTags": 1}
    calls = Counter(call.operation for call in tuple(test_bed.proxy.calls) if concerns(call, started.case.name))
    return {name: (calls[name], limit * invocations * _BOTOCORE_TRIES) for name, limit in limits.items()}
