"""What can become of a run, or of a message."""

from __future__ import annotations

from enum import StrEnum, unique
from typing import Final


@unique
class Outcome(StrEnum):
    """What became of a demand or of a message; the value is the metric's name."""

    STOP_SUBMITTED = "StopSubmitted"
    ALREADY_STOPPING = "AlreadyStopping"
    ALREADY_FINISHED = "AlreadyFinished"
    NOT_FOUND = "NotFound"
    PROTECTED = "Protected"
    NOT_ALLOWED = "NotAllowed"
    WOULD_STOP = "WouldStop"
    RETRYING = "Retrying"
    DEFERRED = "Deferred"
    FAILED = "Failed"

    STOPPED = "Stopped"
    FINISHED_BEFORE_STOP = "FinishedBeforeStop"
    NOT_YET_CONFIRMED = "NotYetConfirmed"
    STOP_TIMED_OUT = "StopTimedOut"

    INVALID_REQUEST = "InvalidRequest"
    TOO_MANY_RUNS = "TooManyRuns"
    NO_ACTIVE_RUNS = "NoActiveRuns"
    IGNORED = "Ignored"

    @property
    def is_final(self) -> bool:
        """Whether the demand, or the message, goes to no further stage of ours."""
        return self not in _HANDED_ON


_HANDED_ON: Final = frozenset(
    {
        Outcome.STOP_SUBMITTED,
        Outcome.ALREADY_STOPPING,
        Outcome.RETRYING,
        Outcome.DEFERRED,
        Outcome.NOT_YET_CONFIRMED,
    }
)
