"""The one table of error codes, for the functions and for the operator's command."""

from __future__ import annotations

from typing import Final

# https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
THROTTLED: Final = frozenset(
    {"ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown"}
)
"""The call rate exceeds a limit of AWS."""

DENIED: Final = frozenset({"AccessDeniedException", "AccessDenied"})
"""IAM denies the call."""

INVALID: Final = frozenset({"InvalidInputException", "ValidationException"})
"""The service refuses the parameters."""

NOT_FOUND: Final = "EntityNotFoundException"
"""Glue knows no such job or run."""

NO_ANSWER: Final = "NoAnswer"
"""Gluebrake's own code: AWS did not respond in time, or the response lacks the requested data."""

FINAL: Final = DENIED | INVALID
"""Error codes of calls that would fail again, so their targets are not retried.

The code that BatchStopJobRun returns for a single run is not used here: the run's state decides.
"""
