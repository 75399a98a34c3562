"""Turn outcomes into the fewest messages: retries, polls and dead letters."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import msgspec
from msgspec import UNSET, Struct

from gluebrake.contract import ATTEMPT, SENDER, STAGE, SUBMITTED_AT, VIA, StopRequest
from gluebrake.decisions.selection import delivered_before
from gluebrake.grouping import chunked, grouped
from gluebrake.model import MessageResult, OutgoingMessage, RunResult, StopTarget
from gluebrake.outcomes import OUTCOMES, Outcome, Route
from gluebrake.stages import Queue

# Ids of 255 characters, with four bytes each, then take half of the bytes that SQS accepts in a message.
IDS_IN_A_MESSAGE: Final = 500


class Hop(NamedTuple):
    """The queue of a route. `step` is added to the attempt. With None, the attempt starts at 0."""

    queue: Queue
    step: int | None


_HOPS: Final[Mapping[Route, Hop]] = {
    Route.CONFIRM: Hop(Queue.CONFIRM, step=None),
    Route.NEXT_ATTEMPT: Hop(Queue.STOP, step=1),
    Route.SAME_ATTEMPT: Hop(Queue.STOP, step=0),
    Route.NEXT_POLL: Hop(Queue.CONFIRM, step=1),
}


class Backoff(Struct, frozen=True):
    """Delays that double with each attempt, from the first delay before `first_attempt` to the longest."""

    first_seconds: int
    longest_seconds: int
    first_attempt: int

    def seconds(self, attempt: int, jitter: float) -> int:
        """Return the delay before `attempt`. A `jitter` from 0 to 1 spreads it over its upper half."""
        doublings = min(max(attempt - self.first_attempt, 0), 10)
        return math.ceil(min(self.longest_seconds, self.first_seconds << doublings) * (1 + jitter) / 2)


class RetryPolicy(Struct, frozen=True, kw_only=True):
    """The delays of retries and polls, the deadline of polling, and the most run ids of a message.

    `delays` has the backoff of each work queue to which a stage sends.
    """

    delays: Mapping[Queue, Backoff]
    deadline_seconds: int
    ids_in_a_message: int = IDS_IN_A_MESSAGE


class _Onward(Struct, frozen=True, gc=False):
    """The parts of a message that all of its targets share: queue, body without run ids, and attributes."""

    queue: Queue
    request: StopRequest
    attempt: int
    submitted_at: datetime | None
    sender: str
    via: str


def outgoing_messages(
    results: Iterable[RunResult],
    message_results: Iterable[MessageResult],
    policy: RetryPolicy,
    *,
    now: datetime,
    jitter: Callable[[], float],
) -> list[OutgoingMessage]:
    """Return the messages that the outcomes lead to, and a dead letter for each failure.

    Targets with the same queue, request and attributes share a message. `now` is the submission time of runs
    that were just submitted.
    """
    routed = [(OUTCOMES[result.outcome].route, result) for result in results]
    onward = [
        (_onward(result, route, policy, now), result.target) for route, result in routed if route in _HOPS
    ]
    groups = grouped(onward, lambda pair: pair[0])
    return [
        *(
            _carry(shared, [target for _, target in pairs], policy, now, jitter())
            for shared, group in groups.items()
            for pairs in chunked(group, policy.ids_in_a_message)
        ),
        *(_dead_letter(r) for route, r in routed if route is Route.DEAD_LETTER and not r.target.dry_run),
        *_from_message_results(message_results, policy, jitter),
    ]


def _onward(result: RunResult, route: Route, policy: RetryPolicy, now: datetime) -> _Onward:
    """Return the part of the next message that the target can share with other targets."""
    hop, target = _HOPS[route], result.target
    # If an attempt may have stopped the run, the attempt is at least 1, even if the next call was deferred.
    attempt = 0 if hop.step is None else max(target.attempt + hop.step, int(target.maybe_already_stopped))
    submitted_at = _submitted_at(result, policy, now) if route is Route.CONFIRM else target.submitted_at
    return _Onward(hop.queue, target.request, attempt, submitted_at, target.sender, target.via)


def _submitted_at(result: RunResult, policy: RetryPolicy, now: datetime) -> datetime:
    """Return when the stop was submitted. An earlier submission counts until its deadline has passed."""
    known = result.target.submitted_at
    if result.outcome is not Outcome.ALREADY_STOPPING or known is None:
        return now
    return known if (now - known).total_seconds() <= policy.deadline_seconds else now


def _carry(
    shared: _Onward, targets: Sequence[StopTarget], policy: RetryPolicy, now: datetime, jitter: float
) -> OutgoingMessage:
    """Return the next message for the targets."""
    attributes = _bookkeeping(shared.queue, shared.attempt, shared.sender, shared.via)
    if shared.submitted_at:
        attributes[SUBMITTED_AT] = shared.submitted_at.isoformat()
    return OutgoingMessage(
        queue=shared.queue,
        body=_body(shared.request, targets),
        message_ids=frozenset(message_id for target in targets for message_id in target.message_ids),
        attributes=attributes,
        delay_seconds=_delay_seconds(shared, policy, now, jitter),
    )


def _bookkeeping(queue: Queue, attempt: int, sender: str, via: str) -> dict[str, str]:
    return {ATTEMPT: str(attempt), STAGE: queue, SENDER: sender, **_via(via)}


def _via(via: str) -> dict[str, str]:
    # SQS accepts no attribute without a value.
    return {VIA: via} if via else {}


def _delay_seconds(shared: _Onward, policy: RetryPolicy, now: datetime, jitter: float) -> int:
    delay = policy.delays[shared.queue].seconds(shared.attempt, jitter)
    if shared.queue is not Queue.CONFIRM:
        return delay
    # Without this cap, the last poll could come long after the deadline.
    age = now - shared.submitted_at if shared.submitted_at else timedelta()
    left = math.ceil(policy.deadline_seconds - age.total_seconds())
    return min(delay, left + 1) if left > 0 else delay


def _dead_letter(result: RunResult) -> OutgoingMessage:
    target = result.target
    return OutgoingMessage(
        queue=Queue.DEAD_LETTER,
        body=_body(target.request, [target]),
        message_ids=frozenset(target.message_ids),
        attributes={
            **_error_attributes(result.code or result.outcome, _explanation(result), target.attempt),
            **_via(target.via),
        },
    )


def _explanation(result: RunResult) -> str:
    state = f"Glue reports the run as {result.state}." if result.state else ""
    return " ".join(filter(None, (result.error, state))) or f"The outcome is {result.outcome}."


def _from_message_results(
    results: Iterable[MessageResult], policy: RetryPolicy, jitter: Callable[[], float]
) -> Iterator[OutgoingMessage]:
    for result in results:
        route, request = OUTCOMES[result.outcome].route, result.request
        if route is Route.DEAD_LETTER and not (request and request.dry_run):
            yield _dead_letter_of_message(result)
        elif route in _HOPS and request:
            yield _retry_of_message(result, request, _HOPS[route], policy, jitter())


def _dead_letter_of_message(result: MessageResult) -> OutgoingMessage:
    return OutgoingMessage(
        queue=Queue.DEAD_LETTER,
        body=_original_body(result),
        message_ids=frozenset({result.message.message_id}),
        attributes={
            **_error_attributes(result.code or result.outcome, result.why, result.message.attempt),
            **_via(result.message.via),
        },
    )


def _original_body(result: MessageResult) -> str:
    """Return the body. A request that must be listed keeps its time limit, so it matches no younger run."""
    request = result.request
    if request and (request.select is not UNSET or request.include_attempts):
        return _encoded(request)
    return result.message.body


def _retry_of_message(
    result: MessageResult, request: StopRequest, hop: Hop, policy: RetryPolicy, jitter: float
) -> OutgoingMessage:
    message, since = result.message, delivered_before(result.message, request)
    # An earlier delivery may have stopped runs, so it counts as an attempt.
    attempt = max(message.attempt + (hop.step or 0), int(message.receive_count > 1))
    attributes = _bookkeeping(hop.queue, attempt, message.sender, message.via)
    if since:
        attributes[SUBMITTED_AT] = since.isoformat()
    return OutgoingMessage(
        queue=hop.queue,
        body=_encoded(request),
        message_ids=frozenset({message.message_id}),
        attributes=attributes,
        delay_seconds=policy.delays[hop.queue].seconds(attempt, jitter),
    )


def _error_attributes(code: str, error: str, attempt: int) -> dict[str, str]:
    return {"ERROR_CODE": code, "ERROR_MESSAGE": error, "RETRY_ATTEMPTS": str(attempt)}


def _body(request: StopRequest, targets: Iterable[StopTarget]) -> str:
    """Return a stop request for the runs of the targets as JSON."""
    run_ids = tuple(target.run.run_id for target in targets)
    return _encoded(msgspec.structs.replace(request, job_run_ids=run_ids))


def _encoded(request: StopRequest) -> str:
    return msgspec.json.encode(request).decode()
