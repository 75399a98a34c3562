"""What a client and a service exchange: a call, and the reply to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, NamedTuple, TypeAlias

Json: TypeAlias = dict[str, Any]


class Call(NamedTuple):
    """One parsed request of a client."""

    operation: str
    parameters: Json


class Ending(Enum):
    """What happens to the connection after the call."""

    KEPT_OPEN = auto()
    CLOSED_WITHOUT_REPLY = auto()
    RESET_WITHOUT_REPLY = auto()


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A service's response, and how its transmission fails.

    `query_error` is the error code of SQS's former query protocol. SQS sends it in a header, and botocore
    reports it in place of the code in the body. If `sent_bytes` is set, only so many bytes of the body are
    sent. Content-Length is their number, or that of the whole body with `whole_length`. `delay` is in real
    seconds.
    """

    payload: Json
    status: int = 200
    query_error: str = ""
    delay: float = 0
    sent_bytes: int | None = None
    whole_length: bool = False
    ending: Ending = Ending.KEPT_OPEN


class ServiceError(Exception):
    """The service refuses the call, with an error code and an HTTP status."""

    def __init__(self, code: str, message: str = "", *, status: int = 400, query_error: str = "") -> None:
        super().__init__(message)
        payload = {"__type": code, "message": message}
        self.reply = Reply(payload=payload, status=status, query_error=query_error)


Answer: TypeAlias = Callable[[Call], Reply]
"""Performs a call and returns the reply."""
