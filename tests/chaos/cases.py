"""The cases of the fault matrix: what goes wrong, for how long, and how the runs may end then."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any, Final

from tests.chaos.matrix import ALWAYS, FAILED, NEVER_ANSWERED, STOPPED, Case, ForRuns, InjectedFault
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

WHOLE: Final[Mapping[str, Fault]] = {
    "throttled": Throttle(),
    "internal-500": Refused("InternalServiceException", status=500),
    "unavailable-503": Refused("ServiceUnavailable", status=503),
    "operation-timeout": Refused("OperationTimeoutException"),
    "unknown-code": Refused("SomethingNewException", "never seen before"),
    "denied": Refused("AccessDeniedException"),
    "invalid": Refused("InvalidInputException"),
    "not-found": Refused("EntityNotFoundException"),
    "reset": Reset(),
    "answer-lost": LostAnswer(),
    "answer-cut": TruncatedBody(),
    "connection-cut": TruncatedBody(whole_length=True),
    "answer-empty": EmptyBody(),
}
"""What can become of a whole call."""

LENGTHS: Final = {"once": 1.0, "thrice": 3.0, "always": ALWAYS}
"""Once, botocore's own repeat may mend it; thrice, our retry; always, nothing."""

# How the runs end when it does not pass: by the operation, then by the fault, "" being any other.
_WHEN_ALWAYS: Final[Mapping[str, Mapping[str, frozenset[str]]]] = {
    "BatchStopJobRun": {
        "": FAILED,
        # What an answer does not say is read back, and that suffices.
        "answer-cut": STOPPED,
        "answer-empty": STOPPED,
    },
    "GetJobRuns": {
        "": frozenset({"StopTimedOut"}),
        "not-found": frozenset({"FinishedBeforeStop"}),
        # A page that says nothing is followed by a read of each run.
        "answer-cut": STOPPED,
        "answer-empty": STOPPED,
    },
    "GetJobRun": {"": frozenset({"StopTimedOut"}), "not-found": frozenset({"FinishedBeforeStop"})},
    "GetTags": {"": FAILED, "not-found": frozenset({"NotFound"})},
    # Nothing depends on a published outcome.
    "PutEvents": {"": STOPPED},
}

# How they end when a fault passes that no retry is meant to mend; any other makes no difference.
_FINAL_AT_ONCE: Final[Mapping[str, Mapping[str, frozenset[str]]]] = {
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
_DENIED: Final = InjectedFault(operation="BatchStopJobRun", fault=lambda _: WHOLE["denied"], times=ALWAYS)
_RETRIED: Final = InjectedFault(operation="BatchStopJobRun", fault=lambda _: WHOLE["operation-timeout"])


def glue_faults() -> Iterator[Case]:
    """Yield a case for each fault on each call of Glue, and for how long."""
    yield Case(name="calm", troubles=[], ends=STOPPED)
    yield Case(name="calm-unknown", troubles=[], ends=STOPPED, unknown=True)
    for operation, fault, length in product(_WHEN_ALWAYS, WHOLE, LENGTHS):
        yield _whole(operation, fault, length)
    for code, length in product(_RUN_CODES, ("once", "always")):
        yield _partial(f"run-{code}-{length}", _run_errors(code), LENGTHS[length])
    for stopped, length in product((False, True), ("once", "always")):
        yield _partial(f"left-out-{stopped}-{length}", _left_out(stopped=stopped), LENGTHS[length])
    for operation in ("BatchStopJobRun", "GetJobRuns"):
        # botocore gives up after ten seconds, and again after its repeat.
        for times in (1, 2):
            yield _slow(operation, NEVER_ANSWERED, times, "read-timeout")


def faults_of_sending() -> Iterator[Case]:
    """Yield a case for each fault on each send, and for answers around a deadline of six seconds."""
    whole = {**WHOLE, "entries": EntriesFailed()}
    for queue, fault, length in product(_PATHS, whole, LENGTHS):
        yield _sending(queue, fault, whole[fault], length)
    for queue, seconds in product(_PATHS, _LATENCIES):
        yield _sending(queue, f"after-{seconds:g}s", Latency(seconds), "once")
    for operation, seconds, times in product(("BatchStopJobRun", "GetJobRuns"), _LATENCIES, (1, 2)):
        yield _slow(operation, seconds, times, f"after-{seconds:g}s")


# Which output names the queue, and what leads to it beside runs that stop.
_PATHS: Final[Mapping[str, Mapping[str, Any]]] = {
    "ConfirmQueueUrl": {"troubles": []},
    "StopQueueUrl": {"troubles": [_RETRIED]},
    "DeadLetterQueueUrl": {"troubles": [], "unknown": True},
}


def _whole(operation: str, fault: str, length: str) -> Case:
    table = _WHEN_ALWAYS[operation] if length == "always" else _FINAL_AT_ONCE[operation]
    denied = operation == "GetTags"
    usual = table.get("", frozenset({"Protected"}) if denied else STOPPED)
    trouble = InjectedFault(operation=operation, fault=lambda _: WHOLE[fault], times=LENGTHS[length])
    return Case(
        name=f"{operation}-{fault}-{length}",
        troubles=[trouble, *([_DENIED] if denied else [])],
        ends=table.get(fault, usual),
        runs=1 if operation == "GetJobRun" else 2,
        tags={"gluebrake:protect": "yes"} if denied else {},
    )


def _partial(name: str, fault: ForRuns, times: float) -> Case:
    trouble = InjectedFault(operation="BatchStopJobRun", fault=fault, times=times)
    return Case(name=name, troubles=[trouble], ends=STOPPED | FAILED)


def _run_errors(code: str) -> ForRuns:
    return lambda run_ids: RunErrors(run_ids[:1], code)


def _left_out(*, stopped: bool) -> ForRuns:
    return lambda run_ids: Unanswered(run_ids[:1], stopped=stopped)


def _slow(operation: str, seconds: float, times: int, name: str) -> Case:
    trouble = InjectedFault(operation=operation, fault=lambda _: Latency(seconds), times=times)
    # Reads that take longer than the confirmation's deadline, twice, are no look.
    ends = STOPPED if operation == "BatchStopJobRun" else STOPPED | {"StopTimedOut"}
    return Case(name=f"{operation}-{name}-{times}", troubles=[trouble], ends=ends, redelivered=True)


def _sending(queue: str, name: str, fault: Fault, length: str) -> Case:
    path = _PATHS[queue]
    trouble = InjectedFault(
        operation="SendMessageBatch", fault=lambda _: fault, times=LENGTHS[length], queue=queue
    )
    return Case(
        name=f"to-{queue.removesuffix('QueueUrl')}-{name}-{length}",
        troubles=[trouble, *path["troubles"]],
        ends=STOPPED,
        unknown=path.get("unknown", False),
        redelivered=True,
    )
