"""The table of outcomes: which stage decides an outcome, where its target goes next, and what it means."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum, unique
from typing import Final, NamedTuple


@unique
class Route(StrEnum):
    """Where a target, or a message, goes after its outcome."""

    END = "nowhere: it is over"
    CONFIRM = "confirm queue"
    NEXT_ATTEMPT = "stop queue, as the next attempt"
    SAME_ATTEMPT = "stop queue, as the same attempt"
    NEXT_POLL = "confirm queue, as the next poll"
    DEAD_LETTER = "dead-letter queue"


@unique
class Outcome(StrEnum):
    """The outcome of a target or of a message. The value is the metric's name."""

    STOP_SUBMITTED = "StopSubmitted"
    ALREADY_STOPPING = "AlreadyStopping"
    ALREADY_FINISHED = "AlreadyFinished"
    NO_ACTIVE_RUNS = "NoActiveRuns"
    RETRYING = "Retrying"
    DEFERRED = "Deferred"
    PROTECTED = "Protected"
    WOULD_STOP = "WouldStop"
    IGNORED = "Ignored"
    NOT_ALLOWED = "NotAllowed"
    NOT_FOUND = "NotFound"
    INVALID_REQUEST = "InvalidRequest"
    TOO_MANY_RUNS = "TooManyRuns"
    FAILED = "Failed"

    STOPPED = "Stopped"
    FINISHED_BEFORE_STOP = "FinishedBeforeStop"
    NOT_YET_CONFIRMED = "NotYetConfirmed"
    STOP_TIMED_OUT = "StopTimedOut"
    UNCONFIRMED = "Unconfirmed"

    SWEPT = "Swept"
    SWEEP_LATE = "SweepLate"

    # Enum.__hash__ is written in Python, and each message looks outcomes up several times.
    __hash__ = str.__hash__

    @property
    def is_failure(self) -> bool:
        """Whether the outcome leads to a dead letter. A dry run never leads to a dead letter."""
        return self in _FAILURES

    @property
    def is_final(self) -> bool:
        """Whether the target, or the message, goes to no further stage."""
        return self in _FINAL


@unique
class NoticeKind(StrEnum):
    """A subject of notices. The value is the name in the configuration."""

    STOPPED = "stopped"
    """A run that was stopped."""
    NOT_STOPPED = "notStopped"
    """A run, or a request, that could not be stopped."""
    POLICIES = "policies"
    """A finding of a sweep that needs attention."""


class OutcomeFacts(NamedTuple):
    """The facts about an outcome: the names of its stages, its route, its meaning in one sentence.

    An outcome with a `notice` is in the notice of its invocation, unless the request is a dry run. The outcome
    of an unreadable message has none. So a notice that reaches a queue of the stack causes no other notice.
    """

    stages: tuple[str, ...]
    route: Route
    meaning: str
    notice: NoticeKind | None = None


_STOP: Final = ("stop",)
_CONFIRM: Final = ("confirm",)
_SWEEP: Final = ("sweep",)

OUTCOMES: Final[Mapping[Outcome, OutcomeFacts]] = {
    Outcome.STOP_SUBMITTED: OutcomeFacts(
        _STOP, Route.CONFIRM, "Glue accepted the stop: the run is listed in SuccessfulSubmissions."
    ),
    Outcome.ALREADY_STOPPING: OutcomeFacts(
        _STOP, Route.CONFIRM, "The run was STOPPING, or an earlier attempt may have stopped it."
    ),
    Outcome.ALREADY_FINISHED: OutcomeFacts(
        _STOP, Route.END, "The run was over before the stop request was processed."
    ),
    Outcome.NO_ACTIVE_RUNS: OutcomeFacts(_STOP, Route.END, "The selection matches no active run of the job."),
    Outcome.RETRYING: OutcomeFacts(
        _STOP, Route.NEXT_ATTEMPT, "The attempt failed with a retryable error, and attempts are left."
    ),
    Outcome.DEFERRED: OutcomeFacts(
        _STOP, Route.SAME_ATTEMPT, "No call was made: no time was left, or Glue was throttling."
    ),
    Outcome.PROTECTED: OutcomeFacts(
        _STOP, Route.END, "The job matches `protectedJobs` or has the protect tag."
    ),
    Outcome.WOULD_STOP: OutcomeFacts(
        _STOP, Route.END, "A dry run found the run active: a real request would stop it."
    ),
    Outcome.IGNORED: OutcomeFacts(
        (*_STOP, *_CONFIRM, *_SWEEP),
        Route.END,
        "The message is understood and requests nothing, such as an alarm in OK.",
    ),
    Outcome.NOT_ALLOWED: OutcomeFacts(
        _STOP, Route.DEAD_LETTER, "The job matches none of the patterns in `jobs`.", NoticeKind.NOT_STOPPED
    ),
    Outcome.NOT_FOUND: OutcomeFacts(
        _STOP,
        Route.DEAD_LETTER,
        "Glue knows no such job or run: asked twice with a delay, or once for a name with `*`.",
        NoticeKind.NOT_STOPPED,
    ),
    Outcome.INVALID_REQUEST: OutcomeFacts(
        (*_STOP, *_CONFIRM, *_SWEEP), Route.DEAD_LETTER, "The message cannot be read as a request."
    ),
    Outcome.TOO_MANY_RUNS: OutcomeFacts(
        _STOP,
        Route.DEAD_LETTER,
        "The request means more than `maxRunsPerRequest` runs; none was stopped.",
        NoticeKind.NOT_STOPPED,
    ),
    Outcome.FAILED: OutcomeFacts(
        _STOP,
        Route.DEAD_LETTER,
        "The run could not be stopped: retries are exhausted, or the error is final.",
        NoticeKind.NOT_STOPPED,
    ),
    Outcome.STOPPED: OutcomeFacts(_CONFIRM, Route.END, "The run is STOPPED.", NoticeKind.STOPPED),
    Outcome.FINISHED_BEFORE_STOP: OutcomeFacts(
        _CONFIRM, Route.END, "The run ended in another state before the stop took effect."
    ),
    Outcome.NOT_YET_CONFIRMED: OutcomeFacts(
        _CONFIRM, Route.NEXT_POLL, "The run has not stopped yet, or its state could not be read."
    ),
    Outcome.STOP_TIMED_OUT: OutcomeFacts(
        _CONFIRM,
        Route.DEAD_LETTER,
        "The run had not stopped when `confirmDeadlineSeconds` had passed.",
        NoticeKind.NOT_STOPPED,
    ),
    Outcome.UNCONFIRMED: OutcomeFacts(
        _CONFIRM,
        Route.DEAD_LETTER,
        "The run was submitted, but its state could not be read until twice the deadline had passed.",
        NoticeKind.NOT_STOPPED,
    ),
    Outcome.SWEPT: OutcomeFacts(_SWEEP, Route.END, "The policies that the message names were applied."),
    Outcome.SWEEP_LATE: OutcomeFacts(
        _SWEEP, Route.END, "The message arrived too long after its due time, so its policies were not applied."
    ),
}

# Each run's outcome is looked up several times.
_FAILURES: Final = frozenset(outcome for outcome, facts in OUTCOMES.items() if facts.route is Route.DEAD_LETTER)
_FINAL: Final = _FAILURES | {outcome for outcome, facts in OUTCOMES.items() if facts.route is Route.END}


def outcomes_of(stage: str) -> tuple[Outcome, ...]:
    """Return the outcomes that a stage decides, in the table's order."""
    return tuple(outcome for outcome, facts in OUTCOMES.items() if stage in facts.stages)


def failures_of(stage: str) -> tuple[Outcome, ...]:
    """Return the outcomes of a stage that lead to a dead letter."""
    return tuple(outcome for outcome in outcomes_of(stage) if outcome.is_failure)
