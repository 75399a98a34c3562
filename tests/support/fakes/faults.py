"""What goes wrong between a client and AWS, each by a name.

A fault is called with the call and with what answers it. It may change the call, not answer it, or change
the reply, so any function of that form is a fault too.
"""

# ruff: noqa: D102 - a fault's class tells what calling it does

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from functools import partial
from time import monotonic
from typing import Protocol

from tests.support.fakes.exchange import Answer, Call, Ending, Json, Reply, ServiceError
from tests.support.fakes.sqs import failed_entry


class Fault(Protocol):
    """Stands between a call and its answer."""

    def __call__(self, call: Call, answer: Answer, /) -> Reply:
        """Reply to the call, with or without having it answered."""


Condition = Callable[[Call], bool]


@dataclass(kw_only=True)
class _Rule:
    fault: Fault
    operation: str | None
    when: Condition
    times: float

    def takes(self, call: Call) -> bool:
        if self.times < 1 or self.operation not in {None, call.operation} or not self.when(call):
            return False
        self.times -= 1
        return True


class Faults:
    """The faults in force. The first one added is the outermost: it decides whether the next is reached."""

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
        """Put a fault in force: for one operation or all, for calls of a kind, for the next few."""
        self._rules.append(_Rule(fault=fault, operation=operation, when=when, times=times))

    def clear(self) -> None:
        """Let all work again."""
        self._rules.clear()

    def reply(self, call: Call, answer: Answer, *, start: int = 0) -> Reply:
        """Have the call answered, through the faults that take it."""
        for following, rule in enumerate(self._rules[start:], start + 1):
            if rule.takes(call):
                return rule.fault(call, partial(self.reply, answer=answer, start=following))
        return answer(call)


def naming(*run_ids: str) -> Condition:
    """Match the calls that name one of the runs."""
    wanted = set(run_ids)
    return lambda call: bool(wanted & {*call.parameters.get("JobRunIds", ()), call.parameters.get("RunId")})


@dataclass(frozen=True)
class Decide:
    """Whatever a function decides for each call; None lets it through."""

    decide: Callable[[Call], Fault | None]

    def __call__(self, call: Call, answer: Answer) -> Reply:
        fault = self.decide(call)
        return fault(call, answer) if fault else answer(call)


@dataclass(frozen=True)
class Refused:
    """The call ends in an error before any work, with any code and HTTP status."""

    code: str
    message: str = ""
    status: int = 400

    def __call__(self, _call: Call, _answer: Answer) -> Reply:
        return ServiceError(self.code, self.message, status=self.status).reply


@dataclass(frozen=True)
class Throttle(Refused):
    """The call came too soon."""

    code: str = "ThrottlingException"
    message: str = "Rate exceeded"


@dataclass(kw_only=True)
class RateLimit:
    """A token bucket: calls over the rate are throttled. `clock` is in seconds."""

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
    """The work is done at once, the reply comes after real seconds. Two of them add up."""

    seconds: float

    def __call__(self, call: Call, answer: Answer) -> Reply:
        reply = answer(call)
        return replace(reply, delay=reply.delay + self.seconds)


@dataclass(frozen=True)
class LostAnswer:
    """The work is done, and the connection closed without a reply."""

    def __call__(self, call: Call, answer: Answer) -> Reply:
        return replace(answer(call), ending=Ending.CLOSED_WITHOUT_REPLY)


@dataclass(frozen=True)
class Reset:
    """The connection is reset before any work."""

    def __call__(self, _call: Call, _answer: Answer) -> Reply:
        return Reply(payload={}, ending=Ending.RESET_WITHOUT_REPLY)


@dataclass(frozen=True)
class TruncatedBody:
    """The work is done, and the body ends early.

    Content-Length is that of what was sent; with `whole_length` it promises all and the connection closes.
    """

    sent_bytes: int = 20
    whole_length: bool = False

    def __call__(self, call: Call, answer: Answer) -> Reply:
        return replace(answer(call), sent_bytes=self.sent_bytes, whole_length=self.whole_length)


@dataclass(frozen=True)
class EmptyBody:
    """The work is done, and nothing says what came of it."""

    def __call__(self, call: Call, answer: Answer) -> Reply:
        return replace(answer(call), sent_bytes=0)


@dataclass(frozen=True)
class Unanswered:
    """BatchStopJobRun leaves runs out of both lists, whether or not it stopped them."""

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
    """BatchStopJobRun does not stop some runs, and says so with a code for each of them."""

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
    """SendMessageBatch does not store some entries, and says so with a code for each of them."""

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
    """Have only some of the items worked; a service would refuse a call with none."""
    if not rest:
        return Reply(payload=nothing)
    return answer(call._replace(parameters={**call.parameters, key: rest}))


def _with_more(reply: Reply, name: str, items: list[Json]) -> Reply:
    if reply.status != 200:
        return reply
    return replace(reply, payload={**reply.payload, name: [*reply.payload[name], *items]})
