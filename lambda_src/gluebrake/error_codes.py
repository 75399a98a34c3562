"""The one table of error codes, for the functions and for the operator's command."""

from __future__ import annotations

from typing import Final

# https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
THROTTLED: Final = frozenset(
    {"ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown"}
)
"""The call rate is over a limit: fewer calls succeed than are made."""

DENIED: Final = frozenset({"AccessDeniedException", "AccessDenied"})
"""IAM denies the call."""

INVALID: Final = frozenset({"InvalidInputException", "ValidationException"})
"""The service refuses the parameters."""

NOT_FOUND: Final = "EntityNotFoundException"
"""Glue knows no such job or run."""

NO_ANSWER: Final = "NoAnswer"
"""Our own code: AWS did not answer in time, or its answer leaves out what was asked."""

FINAL: Final = DENIED | INVALID
"""A call that fails with one of these fails again when it is repeated: its targets are not retried.

The code that BatchStopJobRun gives for a single run never decides: the run's state does.
"""
