"""The cases of the fault matrix: the fault, how many calls it lasts, and the allowed final outcomes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any, Final

from tests.chaos.matrix import ALWAYS, FAILED, NEVER_ANSWERED, STOPPED, Case, FaultForRuns, InjectedFault
from tests.support.fakes.faults import (
    EmptyBody,
    EntriesFailed,
    Fault,
    Latency,
    LostAnswer,
    Refused,
    Reset,
    RunErrors,
    Throttle,
    TruncatedBody,
    Unanswered,
)

CALL_FAULTS: Final[Mapping[str, Fault]] = {
    "throttled": Throttle(),
    "internal-500": Refused("InternalServiceException", status=500),
    "unavailable-503": Refused("ServiceUnavailable", status=503),
    "operation-timeout": Refused("OperationTimeoutException"),
    "unknown-code": Refused("SomethingNewException", "an unknown error"),
    "denied": Refused("AccessDeniedException"),
    "invalid": Refused("InvalidInputException"),
    "not-found": Refused("EntityNotFoundException"),
    "reset": Reset(),
    "answer-lost": LostAnswer(),
    "answer-cut": TruncatedBody(),
    "connection-cut": TruncatedBody(whole_length=True),
    "answer-empty": EmptyBody(),
}
"""The faults of a whole call."""

DURATIONS: Final = {"once": 1.0, "three-times": 3.0, "always": ALWAYS}
"""After one failure botocore's retry can succeed, after three a retry of the target. `always` never ends."""

# The final outcomes when the fault does not end, by operation and fault. "" is any other fault.
_ENDS_WITH_LASTING_FAULT: Final[Mapping[str, Mapping[str, frozenset[str]]]] = {
    "BatchStopJobRun": {
        "": FAILED,
        # The function reads the runs' states when it cannot read the answer.
        "answer-cut": STOPPED,
        "answer-empty": STOPPED,
    },
    "GetJobRuns": {
        "": frozenset({"Unconfirmed"}),
        "not-found": frozenset({"FinishedBeforeStop"}),
        # The function reads each run when a page shows none of them.
        "answer-cut": STOPPED,
        "answer-empty": STOPPED,
    },
    "GetJobRun": {"": frozenset({"Unconfirmed"}), "not-found": frozenset({"FinishedBeforeStop"})},
    "GetTags": {"": FAILED, "not-found": frozenset({"NotFound"})},
    # The outcomes do not depend on their events.
    "PutEvents": {"": STOPPED},
}

# The final outcomes after a passing fault that is not retried. Any other passing fault changes no outcome.
_ENDS_WITHOUT_RETRY: Final[Mapping[str, Mapping[str, frozenset[str]]]] = {
    "BatchStopJobRun": {"denied": FAILED},
    "GetJobRuns": {"not-found": frozenset({"FinishedBeforeStop"})},
    "GetJobRun": {"not-found": frozenset({"FinishedBeforeStop"})},
    "GetTags": {"denied": FAILED, "invalid": FAILED, "not-found": frozenset({"Protected", "NotFound"})},
    "PutEvents": {},
}
_RUN_CODES: Final = (
    "JobRunCannotBeStoppedException",
    "EntityNotFoundException",
    "AccessDeniedException",
    "SomethingNewException",
)
_LATENCIES: Final = (2.0, 3.5, 4.5, 5.5, 7.0, NEVER_ANSWERED)
_DENIED: Final = InjectedFault(operation="BatchStopJobRun", fault=lambda _: CALL_FAULTS["denied"], times=ALWAYS)
_RETRIED: Final = InjectedFault(operation="BatchStopJobRun", fault=lambda _: CALL_FAULTS["operation-timeout"])


def glue_faults() -> Iterator[Case]:
    """Yield a case for each fault, each operation of Glue and EventBridge, and each duration."""
    yield Case(name="no-fault", faults=[], ends=STOPPED)
    yield Case(name="no-fault-unknown-run", faults=[], ends=STOPPED, names_unknown_run=True)
    for operation, fault, duration in product(_ENDS_WITH_LASTING_FAULT, CALL_FAULTS, DURATIONS):
        yield _call_fault(operation, fault, duration)
    for code, duration in product(_RUN_CODES, ("once", "always")):
        yield _run_fault(f"run-{code}-{duration}", _run_errors(code), DURATIONS[duration])
    for stopped, duration in product((False, True), ("once", "always")):
        yield _run_fault(f"left-out-{stopped}-{duration}", _left_out(stopped=stopped), DURATIONS[duration])
    for operation in ("BatchStopJobRun", "GetJobRuns"):
        # botocore's read timeout is ten seconds, and it retries once.
        for times in (1, 2):
            yield _slow(operation, NEVER_ANSWERED, times, "read-timeout")


def send_faults() -> Iterator[Case]:
    """Yield a case for each fault of each send, and for answers around a deadline of six seconds."""
    faults = {**CALL_FAULTS, "entries": EntriesFailed()}
    for queue, fault, duration in product(_SEND_CASES, faults, DURATIONS):
        yield _send_fault(queue, fault, faults[fault], duration)
    for queue, seconds in product(_SEND_CASES, _LATENCIES):
        yield _send_fault(queue, f"after-{seconds:g}s", Latency(seconds), "once")
    for operation, seconds, times in product(("BatchStopJobRun", "GetJobRuns"), _LATENCIES, (1, 2)):
        yield _slow(operation, seconds, times, f"after-{seconds:g}s")


# By the stack output with a queue's URL: what makes the functions send to the queue, besides runs that stop.
_SEND_CASES: Final[Mapping[str, Mapping[str, Any]]] = {
    "ConfirmQueueUrl": {"faults": []},
    "StopQueueUrl": {"faults": [_RETRIED]},
    "DeadLetterQueueUrl": {"faults": [], "names_unknown_run": True},
}


def _call_fault(operation: str, fault: str, duration: str) -> Case:
    table = _ENDS_WITH_LASTING_FAULT if duration == "always" else _ENDS_WITHOUT_RETRY
    is_denied = operation == "GetTags"
    ends = table[operation]
    otherwise = ends.get("", frozenset({"Protected"}) if is_denied else STOPPED)
    injected = InjectedFault(operation=operation, fault=lambda _: CALL_FAULTS[fault], times=DURATIONS[duration])
    return Case(
        name=f"{operation}-{fault}-{duration}",
        faults=[injected, *([_DENIED] if is_denied else [])],
        ends=ends.get(fault, otherwise),
        runs=1 if operation == "GetJobRun" else 2,
        tags={"gluebrake:protect": "yes"} if is_denied else {},
    )


def _run_fault(name: str, fault: FaultForRuns, times: float) -> Case:
    injected = InjectedFault(operation="BatchStopJobRun", fault=fault, times=times)
    return Case(name=name, faults=[injected], ends=STOPPED | FAILED)


def _run_errors(code: str) -> FaultForRuns:
    return lambda run_ids: RunErrors(run_ids[:1], code)


def _left_out(*, stopped: bool) -> FaultForRuns:
    return lambda run_ids: Unanswered(run_ids[:1], stopped=stopped)


def _slow(operation: str, seconds: float, times: int, name: str) -> Case:
    injected = InjectedFault(operation=operation, fault=lambda _: Latency(seconds), times=times)
    # Two reads that are slower than the confirmation's deadline leave no time for a third.
    ends = STOPPED if operation == "BatchStopJobRun" else STOPPED | {"StopTimedOut"}
    return Case(name=f"{operation}-{name}-{times}", faults=[injected], ends=ends, may_be_redelivered=True)


def _send_fault(queue: str, name: str, fault: Fault, duration: str) -> Case:
    send_case = _SEND_CASES[queue]
    injected = InjectedFault(
        operation="SendMessageBatch", fault=lambda _: fault, times=DURATIONS[duration], queue=queue
    )
    return Case(
        name=f"to-{queue.removesuffix('QueueUrl')}-{name}-{duration}",
        faults=[injected, *send_case["faults"]],
        ends=STOPPED,
        names_unknown_run=send_case.get("names_unknown_run", False),
        may_be_redelivered=True,
    )
