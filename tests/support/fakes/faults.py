"""Faults between a client and AWS.

A fault receives a call and the function that answers it. It may change the call, leave it unanswered, or change
the reply. Any function with these parameters is a fault, too.
"""

# ruff: noqa: D102 - the docstring of a fault's class describes its call

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from functools import partial
from time import monotonic
from typing import Protocol

from tests.support.fakes.exchange import Answer, Call, Ending, Json, Reply, ServiceError
from tests.support.fakes.sqs import failed_entry


class Fault(Protocol):
    """A function between a call and its answer."""

    def __call__(self, call: Call, answer: Answer, /) -> Reply:
        """Reply to the call, whether or not the service answers it."""


Condition = Callable[[Call], bool]


@dataclass(kw_only=True)
class _Rule:
    fault: Fault
    operation: str | None
    when: Condition
    times: float

    def applies_to(self, call: Call) -> bool:
        if self.times < 1 or self.operation not in {None, call.operation} or not self.when(call):
            return False
        self.times -= 1
        return True


class Faults:
    """The active faults. The first one added is the outermost: it decides whether the next is reached."""

    def __init__(self) -> None:
        self._rules: list[_Rule] = []

    def add(
        self,
        fault: Fault,
        *,
        operation: str | None = None,
        when: Condition = lambda _: True,
        times: float = float("inf"),
    ) -> None:
        """Activate a fault for the next `times` calls of one operation or all, where `when` selects them."""
        self._rules.append(_Rule(fault=fault, operation=operation, when=when, times=times))

    def clear(self) -> None:
        """Deactivate all faults."""
        self._rules.clear()

    def reply(self, call: Call, answer: Answer, *, start: int = 0) -> Reply:
        """Answer the call through the faults that apply to it."""
        for next_rule, rule in enumerate(self._rules[start:], start + 1):
            if rule.applies_to(call):
                return rule.fault(call, partial(self.reply, answer=answer, start=next_rule))
        return answer(call)


def naming(*run_ids: str) -> Condition:
    """Match the calls that name one of the runs."""
    named = set(run_ids)
    return lambda call: bool(named & {*call.parameters.get("JobRunIds", ()), call.parameters.get("RunId")})


@dataclass(frozen=True)
class Decide:
    """The fault that a function chooses for each call; with None the call succeeds."""

    decide: Callable[[Call], Fault | None]

    def __call__(self, call: Call, answer: Answer) -> Reply:
        fault = self.decide(call)
        return fault(call, answer) if fault else answer(call)


@dataclass(frozen=True)
class Refused:
    """The service refuses the call with an error code and an HTTP status, and does nothing."""

    code: str
    message: str = ""
    status: int = 400

    def __call__(self, _call: Call, _answer: Answer) -> Reply:
        return ServiceError(self.code, self.message, status=self.status).reply


@dataclass
class AfterFirst:
    """The first call is answered, and all that follow have the fault."""

    fault: Fault
    calls: int = 0

    def __call__(self, call: Call, answer: Answer) -> Reply:
        self.calls += 1
        return answer(call) if self.calls == 1 else self.fault(call, answer)


@dataclass(frozen=True)
class Throttle(Refused):
    """The service throttles the call."""

    code: str = "ThrottlingException"
    message: str = "Rate exceeded"


@dataclass(kw_only=True)
class RateLimit:
    """A token bucket: calls above the rate are throttled. `clock` is in seconds."""

    per_second: float
    burst: float = 1
    clock: Callable[[], float] = monotonic
    _tokens: float = field(init=False)
    _filled_at: float = field(init=False)

    def __post_init__(self) -> None:
        self._tokens, self._filled_at = self.burst, self.clock()

    def __call__(self, call: Call, answer: Answer) -> Reply:
        now = self.clock()
        self._tokens = min(self.burst, self._tokens + (now - self._filled_at) * self.per_second)
        self._filled_at = now
        if self._tokens < 1:
            return Throttle()(call, answer)
        self._tokens -= 1
        return answer(call)


@dataclass(frozen=True)
class Latency:
    """The service performs the call at once and replies after real seconds. Two latencies add up."""

    seconds: float

    def __call__(self, call: Call, answer: Answer) -> Reply:
        reply = answer(call)
        return replace(reply, delay=reply.delay + self.seconds)


@dataclass(frozen=True)
class LostAnswer:
    """The service performs the call and closes the connection without a reply."""

    def __call__(self, call: Call, answer: Answer) -> Reply:
        return replace(answer(call), ending=Ending.CLOSED_WITHOUT_REPLY)


@dataclass(frozen=True)
class Reset:
    """The connection is reset before the service performs the call."""

    def __call__(self, _call: Call, _answer: Answer) -> Reply:
        return Reply(payload={}, ending=Ending.RESET_WITHOUT_REPLY)


@dataclass(frozen=True)
class TruncatedBody:
    """The service performs the call, and the body of its reply ends early.

    Content-Length is that of the bytes sent. With `whole_length` it is that of the whole body, and the
    connection closes.
    """

    sent_bytes: int = 20
    whole_length: bool = False

    def __call__(self, call: Call, answer: Answer) -> Reply:
        return replace(answer(call), sent_bytes=self.sent_bytes, whole_length=self.whole_length)


@dataclass(frozen=True)
class EmptyBody:
    """The service performs the call and replies with an empty body."""

    def __call__(self, call: Call, answer: Answer) -> Reply:
        return replace(answer(call), sent_bytes=0)


@dataclass(frozen=True)
class Unanswered:
    """BatchStopJobRun leaves runs out of both lists. `stopped` is whether it stops them."""

    run_ids: Collection[str]
    stopped: bool = True

    def __call__(self, call: Call, answer: Answer) -> Reply:
        reply = answer(call) if self.stopped else _without(self.run_ids, call, answer)
        lists = {
            name: [item for item in items if item["JobRunId"] not in self.run_ids]
            for name, items in reply.payload.items()
            if name in {"SuccessfulSubmissions", "Errors"}
        }
        return replace(reply, payload=reply.payload | lists)


@dataclass(frozen=True)
class RunErrors:
    """BatchStopJobRun does not stop some of the runs, and returns an error code for each of them."""

    run_ids: Collection[str]
    code: str
    message: str = ""

    def __call__(self, call: Call, answer: Answer) -> Reply:
        reply = _without(self.run_ids, call, answer)
        detail = {"ErrorCode": self.code, "ErrorMessage": self.message}
        errors = [
            {"JobName": call.parameters["JobName"], "JobRunId": run_id, "ErrorDetail": detail}
            for run_id in call.parameters["JobRunIds"]
            if run_id in self.run_ids
        ]
        return _with_more(reply, "Errors", errors)


@dataclass(frozen=True)
class EntriesFailed:
    """SendMessageBatch does not store some of the entries, and returns an error code for each of them."""

    when: Callable[[Json], bool] = lambda _: True
    code: str = "InternalError"
    message: str = ""
    sender_fault: bool = False

    def __call__(self, call: Call, answer: Answer) -> Reply:
        entries = call.parameters["Entries"]
        failing = [entry for entry in entries if self.when(entry)]
        rest = [entry for entry in entries if not self.when(entry)]
        reply = _answer_rest(call, "Entries", rest, {"Successful": [], "Failed": []}, answer)
        error = partial(failed_entry, code=self.code, message=self.message, sender_fault=self.sender_fault)
        failed = [error(entry["Id"]) for entry in failing]
        return _with_more(reply, "Failed", failed)


def _without(run_ids: Collection[str], call: Call, answer: Answer) -> Reply:
    rest = [run_id for run_id in call.parameters["JobRunIds"] if run_id not in run_ids]
    return _answer_rest(call, "JobRunIds", rest, {"SuccessfulSubmissions": [], "Errors": []}, answer)


def _answer_rest(call: Call, key: str, rest: list[Json] | list[str], nothing: Json, answer: Answer) -> Reply:
    """Perform the call for the rest of its items. With none left reply `nothing`: AWS refuses such a call."""
    if not rest:
        return Reply(payload=nothing)
    return answer(call._replace(parameters={**call.parameters, key: rest}))


def _with_more(reply: Reply, name: str, items: list[Json]) -> Reply:
    if reply.status != 200:
        return reply
    return replace(reply, payload={**reply.payload, name: [*reply.payload[name], *items]})
