"""What was found becomes outcomes, and what outcomes lead to. Tables decide; nothing here talks to anyone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum, unique
from typing import Final, assert_never

import msgspec
from msgspec import UNSET, Struct

from gluebrake.model import (
    ATTEMPT,
    SENDER,
    SUBMITTED_AT,
    TERMINAL_STATES,
    Demand,
    Finding,
    MessageResult,
    Outcome,
    Queue,
    Result,
    Seen,
    Send,
    StopRequest,
)

# Errors that no retry mends; any other code is retried, a bounded number of times.
FINAL_ERRORS: Final = frozenset(
    {"AccessDeniedException", "AccessDenied", "InvalidInputException", "ValidationException"}
)

_IDS_IN_A_MESSAGE: Final = 500  # with 255 characters of four bytes each, half of what SQS takes
_SETTLING_SECONDS: Final = 2.0
_SETTLING_SECONDS_PER_DEMAND: Final = 0.001  # a batch of ten sends in 80 ms, eight at once


@unique
class Then(Enum):
    """What an outcome leads to."""

    NOTHING = "nothing"
    AGAIN = "again"
    DEAD_LETTER = "dead letter"


# A submitted or stopping run is handed on to be confirmed here, once there is a queue for that.
AFTERWARDS: Final[Mapping[Outcome, Then]] = {
    Outcome.STOP_SUBMITTED: Then.NOTHING,
    Outcome.ALREADY_STOPPING: Then.NOTHING,
    Outcome.ALREADY_FINISHED: Then.NOTHING,
    Outcome.NOT_FOUND: Then.DEAD_LETTER,
    Outcome.PROTECTED: Then.NOTHING,
    Outcome.NOT_ALLOWED: Then.DEAD_LETTER,
    Outcome.WOULD_STOP: Then.NOTHING,
    Outcome.RETRYING: Then.AGAIN,
    Outcome.DEFERRED: Then.AGAIN,
    Outcome.FAILED: Then.DEAD_LETTER,
    Outcome.INVALID_REQUEST: Then.DEAD_LETTER,
    Outcome.TOO_MANY_RUNS: Then.DEAD_LETTER,
    Outcome.IGNORED: Then.NOTHING,
}


class Retries(Struct, frozen=True):
    """How often and how soon a demand is tried again; the delay doubles from the first to the longest."""

    max_attempts: int
    first_seconds: int
    longest_seconds: int
    ids_in_a_message: int = _IDS_IN_A_MESSAGE

    def delay_seconds(self, attempt: int, jitter: float) -> int:
        """Return the delay before the try after `attempt`; `jitter`, 0 to 1, spreads it over the upper half."""
        longest = min(self.longest_seconds, self.first_seconds << min(attempt, 10))
        return math.ceil(longest * (1 + jitter) / 2)


def seconds_to_settle(demands: int) -> float:
    """Return how long settling, sending and accounting for so many demands may take."""
    return _SETTLING_SECONDS + _SETTLING_SECONDS_PER_DEMAND * demands


def settle(findings: Iterable[Finding], retries: Retries) -> list[Result]:
    """Decide what became of each demand."""
    return [Result(f.demand, _outcome(f, retries.max_attempts), f.code, f.error, f.state) for f in findings]


def _outcome(finding: Finding, max_attempts: int) -> Outcome:
    match finding.seen:
        case Seen.SUBMITTED:
            return Outcome.STOP_SUBMITTED
        case Seen.STATE:
            return _by_state(finding, max_attempts)
        case Seen.NOT_FOUND:
            return _not_found(finding.demand, max_attempts)
        case Seen.PROTECTED:
            return Outcome.PROTECTED
        case Seen.NOT_CALLED:
            return Outcome.DEFERRED
        case Seen.IN_DOUBT:
            return _again(finding.demand, max_attempts)
        case Seen.DENIED | Seen.CALL_FAILED:
            return Outcome.FAILED if finding.code in FINAL_ERRORS else _again(finding.demand, max_attempts)
        case _:
            assert_never(finding.seen)


def _by_state(finding: Finding, max_attempts: int) -> Outcome:
    demand, state = finding.demand, finding.state
    if state == "STOPPED" and demand.retried and not demand.dry_run:
        return Outcome.ALREADY_STOPPING
    if state in TERMINAL_STATES:
        return Outcome.ALREADY_FINISHED
    if demand.dry_run:
        return Outcome.WOULD_STOP
    if state == "STOPPING":
        return Outcome.ALREADY_STOPPING
    return _again(demand, max_attempts)


def _not_found(demand: Demand, max_attempts: int) -> Outcome:
    # A run that was just started may not show yet, so Glue is asked once more, after a delay.
    return Outcome.NOT_FOUND if demand.attempt else _again(demand, max_attempts, exhausted=Outcome.NOT_FOUND)


def _again(demand: Demand, max_attempts: int, exhausted: Outcome = Outcome.FAILED) -> Outcome:
    return Outcome.RETRYING if demand.attempt + 1 < max_attempts else exhausted


def sends(
    results: Iterable[Result],
    message_results: Iterable[MessageResult],
    retries: Retries,
    jitter: Callable[[], float],
) -> list[Send]:
    """Return what the outcomes lead to: retries in as few messages as fit, one dead letter for each failure."""
    again = [result for result in results if AFTERWARDS[result.outcome] is Then.AGAIN]
    dead = [result for result in results if AFTERWARDS[result.outcome] is Then.DEAD_LETTER]
    unusable = [result for result in message_results if AFTERWARDS[result.outcome] is Then.DEAD_LETTER]
    return [
        *(_retry(group, retries, jitter()) for group in _alike(again, retries.ids_in_a_message)),
        *(_dead_letter(result) for result in dead if not result.demand.dry_run),
        *(_dead_message(result) for result in unusable if not result.dry_run),
    ]


def _alike(results: Iterable[Result], size: int) -> Iterator[Sequence[Result]]:
    """Group what one message can say: the same job, attempt, dry run, reason, requester, sender and time."""
    groups: dict[object, list[Result]] = {}
    for result in results:
        groups.setdefault(_said(result.demand, _next_attempt(result)), []).append(result)
    for group in groups.values():
        for start in range(0, len(group), size):
            yield group[start : start + size]


def _said(demand: Demand, attempt: int) -> tuple[object, ...]:
    notes = (demand.reason, demand.requested_by, demand.sender)
    return (demand.run.job_name, attempt, demand.dry_run, demand.submitted_at, *notes)


def _next_attempt(result: Result) -> int:
    return result.demand.attempt + (result.outcome is Outcome.RETRYING)


def _retry(group: Sequence[Result], retries: Retries, jitter: float) -> Send:
    first = group[0].demand
    attributes = {ATTEMPT: str(_next_attempt(group[0])), SENDER: first.sender}
    if first.submitted_at:
        attributes[SUBMITTED_AT] = first.submitted_at.isoformat()
    return Send(
        queue=Queue.STOP,
        body=_request([result.demand for result in group]),
        message_ids=frozenset(id_ for result in group for id_ in result.demand.message_ids),
        attributes=attributes,
        delay_seconds=retries.delay_seconds(first.attempt, jitter),
    )


def _dead_letter(result: Result) -> Send:
    return Send(
        queue=Queue.DEAD_LETTER,
        body=_request([result.demand]),
        message_ids=frozenset(result.demand.message_ids),
        attributes=_reason(result.code or result.outcome, _explained(result), result.demand.attempt),
    )


def _explained(result: Result) -> str:
    state = f"Glue says that the run is {result.state}." if result.state else ""
    return " ".join(filter(None, (result.error, state)))


def _dead_message(result: MessageResult) -> Send:
    return Send(
        queue=Queue.DEAD_LETTER,
        body=result.message.body,
        message_ids=frozenset({result.message.message_id}),
        attributes=_reason(result.outcome, result.why, result.message.attempt),
    )


def _reason(code: str, error: str, attempt: int) -> dict[str, str]:
    return {"ERROR_CODE": code, "ERROR_MESSAGE": error, "RETRY_ATTEMPTS": str(attempt)}


def _request(demands: Sequence[Demand]) -> str:
    first = demands[0]
    request = StopRequest(
        job_name=first.run.job_name,
        job_run_ids=tuple(demand.run.run_id for demand in demands),
        reason=first.reason or UNSET,
        requested_by=first.requested_by or UNSET,
        dry_run=first.dry_run,
    )
    return msgspec.json.encode(request).decode()
