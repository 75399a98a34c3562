"""Where each outcome leads: the messages to send, as few as say it. Tables decide."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec
from msgspec import UNSET, Struct

from gluebrake.contract import ATTEMPT, SENDER, SUBMITTED_AT, StopRequest
from gluebrake.model import MessageResult, Queue, RunResult, Send, StopTarget
from gluebrake.outcomes import Outcome

# With ids of 255 characters of four bytes each, half of what SQS takes in a message.
IDS_IN_A_MESSAGE: Final = 500


class Route(Struct, frozen=True):
    """Where a demand goes next; `step` is added to its attempt, which starts at 0 when it is None."""

    queue: Queue
    step: int | None = None


_CONFIRM: Final = Route(Queue.CONFIRM)
_DEAD: Final = Route(Queue.DEAD_LETTER)

ROUTES: Final[Mapping[Outcome, Route | None]] = {
    Outcome.STOP_SUBMITTED: _CONFIRM,
    Outcome.ALREADY_STOPPING: _CONFIRM,
    Outcome.ALREADY_FINISHED: None,
    Outcome.NOT_FOUND: _DEAD,
    Outcome.PROTECTED: None,
    Outcome.NOT_ALLOWED: _DEAD,
    Outcome.WOULD_STOP: None,
    Outcome.RETRYING: Route(Queue.STOP, step=1),
    Outcome.DEFERRED: Route(Queue.STOP, step=0),
    Outcome.FAILED: _DEAD,
    Outcome.STOPPED: None,
    Outcome.FINISHED_BEFORE_STOP: None,
    Outcome.NOT_YET_CONFIRMED: Route(Queue.CONFIRM, step=1),
    Outcome.STOP_TIMED_OUT: _DEAD,
    Outcome.INVALID_REQUEST: _DEAD,
    Outcome.TOO_MANY_RUNS: _DEAD,
    Outcome.NO_ACTIVE_RUNS: None,
    Outcome.IGNORED: None,
}


class Backoff(Struct, frozen=True):
    """Delays that double from the first, which leads to `first_attempt`, up to the longest."""

    first_seconds: int
    longest_seconds: int
    first_attempt: int

    def seconds(self, attempt: int, jitter: float) -> int:
        """Return the delay that leads to `attempt`; `jitter`, 0 to 1, spreads it over its upper half."""
        doublings = min(max(attempt - self.first_attempt, 0), 10)
        return math.ceil(min(self.longest_seconds, self.first_seconds << doublings) * (1 + jitter) / 2)


class RetryPolicy(Struct, frozen=True, kw_only=True):
    """How soon a demand is tried again, how often a run is looked at and until when."""

    retry: Backoff
    look: Backoff
    deadline_seconds: int
    ids_in_a_message: int = IDS_IN_A_MESSAGE


def sends(
    results: Iterable[RunResult],
    message_results: Iterable[MessageResult],
    policy: RetryPolicy,
    *,
    now: datetime,
    jitter: Callable[[], float],
) -> list[Send]:
    """Return what the outcomes lead to: as few messages as say it, and a dead letter for each failure.

    `now` is the time of submission for the runs that were just submitted.
    """
    onward = [(result, to) for result in results if (to := ROUTES[result.outcome])]
    further = [_handed_on(result, to, policy, now) for result, to in onward if to is not _DEAD]
    return [
        *(_resend(group, policy, now, jitter()) for group in _alike(further, policy.ids_in_a_message)),
        *(_dead_letter(result) for result, to in onward if to is _DEAD and not result.target.dry_run),
        *(send for one in message_results if (send := _of_message(one, policy, jitter))),
    ]


def _handed_on(
    result: RunResult, onward: Route, policy: RetryPolicy, now: datetime
) -> tuple[Queue, StopTarget]:
    """Return the demand as the next stage is to see it."""
    target = result.target
    submitted_at = _submitted_at(result, policy, now) if onward is _CONFIRM else target.submitted_at
    # A try that may have stopped the run is not forgotten when the next is deferred.
    attempt = 0 if onward.step is None else max(target.attempt + onward.step, int(target.maybe_already_stopped))
    return onward.queue, msgspec.structs.replace(target, attempt=attempt, submitted_at=submitted_at)


def _submitted_at(result: RunResult, policy: RetryPolicy, now: datetime) -> datetime:
    """Return since when to watch the run: an earlier submission counts until its deadline has passed."""
    known = result.target.submitted_at
    if result.outcome is not Outcome.ALREADY_STOPPING or known is None:
        return now
    return known if (now - known).total_seconds() <= policy.deadline_seconds else now


def _alike(further: Iterable[tuple[Queue, StopTarget]], size: int) -> Iterator[tuple[Queue, list[StopTarget]]]:
    """Group the demands that one message can carry, since it says the same of all."""
    groups: dict[tuple[Queue, tuple[object, ...]], list[StopTarget]] = {}
    for queue, target in further:
        groups.setdefault((queue, _said_of(target)), []).append(target)
    for (queue, _), group in groups.items():
        for start in range(0, len(group), size):
            yield queue, group[start : start + size]


def _said_of(target: StopTarget) -> tuple[object, ...]:
    notes = (target.reason, target.requested_by, target.sender)
    return (target.run.job_name, target.attempt, target.dry_run, target.submitted_at, *notes)


def _resend(to: tuple[Queue, list[StopTarget]], policy: RetryPolicy, now: datetime, jitter: float) -> Send:
    queue, targets = to
    first = targets[0]
    attributes = {ATTEMPT: str(first.attempt), SENDER: first.sender}
    if first.submitted_at:
        attributes[SUBMITTED_AT] = first.submitted_at.isoformat()
    return Send(
        queue=queue,
        body=_request(targets),
        message_ids=frozenset(message_id for target in targets for message_id in target.message_ids),
        attributes=attributes,
        delay_seconds=_delay_seconds(queue, first, policy, now, jitter),
    )


def _delay_seconds(queue: Queue, target: StopTarget, policy: RetryPolicy, now: datetime, jitter: float) -> int:
    if queue is Queue.STOP:
        return policy.retry.seconds(target.attempt, jitter)
    delay = policy.look.seconds(target.attempt, jitter)
    age = now - target.submitted_at if target.submitted_at else timedelta()
    left = math.ceil(policy.deadline_seconds - age.total_seconds())
    return min(delay, left + 1) if left > 0 else delay


def _dead_letter(result: RunResult) -> Send:
    return Send(
        queue=Queue.DEAD_LETTER,
        body=_request([result.target]),
        message_ids=frozenset(result.target.message_ids),
        attributes=_reason(result.code or result.outcome, _explained(result), result.target.attempt),
    )


def _explained(result: RunResult) -> str:
    state = f"Glue says that the run is {result.state}." if result.state else ""
    return " ".join(filter(None, (result.error, state))) or f"The outcome is {result.outcome}."


def _of_message(result: MessageResult, policy: RetryPolicy, jitter: Callable[[], float]) -> Send | None:
    to = ROUTES[result.outcome]
    if to is _DEAD and not (result.request and result.request.dry_run):
        return _dead_message(result)
    if to and to is not _DEAD and result.request:
        return _search_again(result, result.request, to, policy, jitter())
    return None


def _dead_message(result: MessageResult) -> Send:
    return Send(
        queue=Queue.DEAD_LETTER,
        body=_as_it_was(result),
        message_ids=frozenset({result.message.message_id}),
        attributes=_reason(result.code or result.outcome, result.why, result.message.attempt),
    )


def _as_it_was(result: MessageResult) -> str:
    """Return the body; a selection keeps the time that it was given, so that it never means a younger run."""
    if result.request and result.request.select is not UNSET:
        return _encoded(result.request)
    return result.message.body


def _search_again(
    result: MessageResult, request: StopRequest, to: Route, policy: RetryPolicy, jitter: float
) -> Send:
    attempt = result.message.attempt + (to.step or 0)
    return Send(
        queue=to.queue,
        body=_encoded(request),
        message_ids=frozenset({result.message.message_id}),
        attributes={ATTEMPT: str(attempt), SENDER: result.message.sender},
        delay_seconds=policy.retry.seconds(attempt, jitter),
    )


def _reason(code: str, error: str, attempt: int) -> dict[str, str]:
    return {"ERROR_CODE": code, "ERROR_MESSAGE": error, "RETRY_ATTEMPTS": str(attempt)}


def _request(targets: Sequence[StopTarget]) -> str:
    first = targets[0]
    return _encoded(
        StopRequest(
            job_name=first.run.job_name,
            job_run_ids=tuple(target.run.run_id for target in targets),
            reason=first.reason or UNSET,
            requested_by=first.requested_by or UNSET,
            dry_run=first.dry_run,
        )
    )


def _encoded(request: StopRequest) -> str:
    return msgspec.json.encode(request).decode()
