"""What goes over the wire, before it is bytes: a call, and the reply to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, NamedTuple, TypeAlias

Json: TypeAlias = dict[str, Any]


class Call(NamedTuple):
    """One request as the service read it."""

    operation: str
    parameters: Json


class Ending(Enum):
    """What happens to the connection with the reply."""

    KEPT_OPEN = auto()
    CLOSED_WITHOUT_REPLY = auto()
    RESET_WITHOUT_REPLY = auto()


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer, and what the way back does to it.

    `query_error` is the code that clients of the old query protocol knew; SQS sends it in a header, and
    botocore reports it in place of the code in the body. Of the body only `sent_bytes` go out, and
    Content-Length says so unless `whole_length` is set. `delay` is in real seconds.
    """

    payload: Json
    status: int = 200
    query_error: str = ""
    delay: float = 0
    sent_bytes: int | None = None
    whole_length: bool = False
    ending: Ending = Ending.KEPT_OPEN


class ServiceError(Exception):
    """The whole call is refused, with the service's code and HTTP status."""

    def __init__(self, code: str, message: str = "", *, status: int = 400, query_error: str = "") -> None:
        super().__init__(message)
        payload = {"__type": code, "message": message}
        self.reply = Reply(payload=payload, status=status, query_error=query_error)


Answer: TypeAlias = Callable[[Call], Reply]
"""Does the work of a call."""
