"""A simulation that follows a script: some invocations crash, are killed or get wrong answers."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple, Self, TypeVar

from tests.support.fakes.exchange import Answer, Call, Ending, Json, Reply
from tests.support.simulated_aws import Context, Delivery, Function, Invocation, SimulatedAws

T = TypeVar("T")


@dataclass(frozen=True)
class WrongAnswer:
    """A fault that replaces the answer with well-formed JSON of the wrong content."""

    payload: Json

    def __call__(self, call: Call, answer: Answer) -> Reply:
        """Perform the call, and reply with the payload."""
        return replace(answer(call), payload=self.payload)


@dataclass(frozen=True)
class SmallPages:
    """A fault that makes the pages of GetJobRuns smaller than the client asks for."""

    size: int

    def __call__(self, call: Call, answer: Answer) -> Reply:
        """Perform the call with a smaller page."""
        size = min(self.size, call.parameters.get("MaxResults", self.size))
        return answer(call._replace(parameters={**call.parameters, "MaxResults": size}))


class Kill(NamedTuple):
    """Kills an invocation at one of its calls, counted from 0, before or after AWS performs it."""

    call: int
    after: bool


class ScriptedAws(SimulatedAws):
    """A simulation in which some invocations crash. It records the messages that SQS does not accept."""

    crashes: Sequence[bool] = ()
    kills: Sequence[Kill | None] = ()
    """How each invocation is killed, if at all."""

    def __enter__(self) -> Self:
        # Number of the invocation, queue URL and entry of each message without a success in SQS's reply.
        self.unaccepted: list[tuple[int, str, Json]] = []
        entered = super().__enter__()
        self.functions = {
            service: partial(self._run_until_killed, function) for service, function in self.functions.items()
        }
        return entered

    def _run_until_killed(self, function: Function, event: Json, context: Context) -> Json | None:
        """Run a function. If it is killed, drop what it called and wrote afterwards, and return None."""
        self._kill = at(self.kills, len(self.invocations), default=None)
        self._first_call = len(self.aws.calls)
        self._killed_at: tuple[int, int] | None = None
        answer = function(event, context)
        if self._killed_at is None:
            return answer
        calls, written = self._killed_at
        del self.aws.calls[calls:]
        sys.stdout.seek(written)
        sys.stdout.truncate()
        return None

    def kill_at_call(self, call: Call, answer: Answer) -> Reply:
        """Answer no call any more when the function is killed. This is the outermost fault."""
        performed = len(self.aws.calls) - self._first_call
        if self._killed_at is None and (self._kill is None or performed <= self._kill.call):
            return answer(call)
        if self._killed_at is None and self._kill:
            if self._kill.after:
                answer(call)
            # The call itself is in the list already.
            self._killed_at = len(self.aws.calls) - (not self._kill.after), sys.stdout.tell()
        return Reply(payload={}, ending=Ending.CLOSED_WITHOUT_REPLY)

    def deliver(self, service: str, deliveries: Sequence[Delivery]) -> Invocation:
        """Invoke a function. A message that it acknowledges is deleted, also where a copy is in flight."""
        invocation = super().deliver(service, deliveries)
        acknowledged = {d.message_id for d in deliveries} - self.unacknowledged(invocation)
        in_flight = self._invisible[service]
        self._invisible[service] = [(at, d) for at, d in in_flight if d.message_id not in acknowledged]
        return invocation

    def record_unaccepted(self, call: Call, answer: Answer) -> Reply:
        """Record the entries without a success in the reply. This fault changes nothing."""
        reply = answer(call)
        is_complete = reply.ending is Ending.KEPT_OPEN and reply.sent_bytes is None
        accepted = {entry["Id"] for entry in reply.payload.get("Successful", ())} if is_complete else set()
        url, index = call.parameters["QueueUrl"], len(self.invocations)
        self.unaccepted += [(index, url, e) for e in call.parameters["Entries"] if e["Id"] not in accepted]
        return reply

    def unacknowledged(self, invocation: Invocation) -> set[str]:
        """Return the messages that SQS redelivers. A crash loses the answer of its invocation."""
        is_crash = at(self.crashes, len(self.invocations) - 1, default=False)
        return super().unacknowledged(replace(invocation, answer=None) if is_crash else invocation)


def at(values: Sequence[T], index: int, *, default: T) -> T:
    """Return the value of an index that the script may not have."""
    return values[index] if index < len(values) else default
