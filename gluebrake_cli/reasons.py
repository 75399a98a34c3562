"""Why messages become dead letters: each code in words, and what mends it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from gluebrake.outcomes import Outcome

CRASHED: Final = "MaxReceiveCountExceeded"
"""Our code for a message that SQS itself moved: it was received too often without being done with."""
INVOCATION_FAILED: Final = "InvocationFailed"
"""Our code for an event that Lambda gave up after an asynchronous invocation."""
UNTOLD: Final = "NoErrorCode"
"""Our code for a message that bears no reason."""


class Meaning(NamedTuple):
    """What a code says, and what to do before its dead letters are redriven."""

    words: str
    remedy: str


_SLOW: Final = Meaning("Glue throttled or failed until the attempts were used up", "redrive when it is calm")
_DENIED: Final = Meaning("IAM denies stopping the job", "mend the policy, then redrive")
_UNKNOWN: Final = Meaning("Glue knows no such job or run", "check the id and the Region; else drop")
_REFUSED: Final = Meaning("Glue refuses the id or the name", "drop, and ask anew with the right one")

MEANINGS: Final[Mapping[str, Meaning]] = {
    Outcome.STOP_TIMED_OUT: Meaning(
        "submitted, but not STOPPED by the deadline", "redrive: stopping again is the known remedy"
    ),
    Outcome.NOT_ALLOWED: Meaning("the job is outside `jobs`", "add it to `jobs` and deploy, then redrive"),
    Outcome.INVALID_REQUEST: Meaning("the message cannot be read", "mend the sender, ask anew, drop this"),
    Outcome.TOO_MANY_RUNS: Meaning(
        "means more runs than maxRunsPerRequest", "raise it and deploy, then redrive; or ask for fewer"
    ),
    Outcome.FAILED: _SLOW,
    Outcome.NOT_FOUND: _UNKNOWN,
    "EntityNotFoundException": _UNKNOWN,
    "AccessDenied": _DENIED,
    "AccessDeniedException": _DENIED,
    "InvalidInputException": _REFUSED,
    "ValidationException": _REFUSED,
    "InternalServiceException": _SLOW,
    "NoAnswer": _SLOW,
    "OperationTimeoutException": _SLOW,
    "ThrottlingException": _SLOW,
    "JobRunCannotBeStoppedException": Meaning("Glue refused again and again, though active", "redrive"),
    CRASHED: Meaning("the function failed on it again and again", "read the function's log, then redrive"),
    INVOCATION_FAILED: Meaning("the invoked function failed on it", "read the function's log, then redrive"),
    UNTOLD: Meaning("it bears no reason: somebody put it here", "look at it with `dead-letters show`"),
}

_OTHER: Final = Meaning("an error of AWS's own", "look at it with `dead-letters show`")


def meaning(code: str) -> Meaning:
    """Return what a reason's code says."""
    return MEANINGS.get(code, _OTHER)
