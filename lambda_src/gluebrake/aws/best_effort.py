"""Optional calls, such as publishing an event: they use the time that is left, and never raise."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any, Final

from botocore.exceptions import ClientError

SHORTEST_CALL_SECONDS: Final = 1.0
"""With less time left than this, no call is made."""

NO_TIME: Final = "NoTime"
"""The error code of a call that was not made, or not answered in time."""


def failure(call: Future[Any]) -> str:
    """Return the error code of a failed call, empty if the call succeeded."""
    if call.cancelled() or not call.done():
        return NO_TIME
    error = call.exception()
    return code(error) if error else ""


def code(error: BaseException) -> str:
    """Return the service's error code, or the name of an exception that has none."""
    return error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
