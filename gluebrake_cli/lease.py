"""The dead-letter queue, read without consuming its messages."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Protocol, Self

from msgspec import Struct

from gluebrake.aws.sqs import MAX_ENTRIES
from gluebrake.grouping import chunked
from gluebrake.model import AwsEnvironment
from gluebrake_cli import dead_letters
from gluebrake_cli.dead_letters import DeadLetter

_MIN_SECONDS: Final = 30
_MAX_SECONDS: Final = 43_200  # SQS's limit for a visibility timeout
_DEAD_LETTERS_PER_SECOND: Final = 50  # a batch of ten takes one call to read and two to move, 200 ms in all
_RENEW_BEFORE_SECONDS: Final = 15
_EMPTY_RECEIVES: Final = 3


class Queue(Protocol):
    """A queue. Its batch operations return what SQS refused: by the entry's key, SQS's words."""

    def depth(self) -> int:
        """Return about how many messages there are, those in flight included."""

    def receive(self, visibility_seconds: int) -> Sequence[Mapping[str, Any]]:
        """Receive up to ten messages, and hide them from other consumers for so many seconds."""

    def change_visibility(self, receipt_handles: Mapping[str, str], seconds: int) -> Mapping[str, str]:
        """Hide messages for so many seconds from now; 0 makes them visible at once."""

    def send(self, messages: Mapping[str, tuple[str, Mapping[str, Any]]]) -> Mapping[str, str]:
        """Send bodies with their attributes."""

    def delete(self, receipt_handles: Mapping[str, str]) -> Mapping[str, str]:
        """Delete messages."""


class Listing(Struct, frozen=True):
    """The dead letters that were received, and how many messages the queue had counted before."""

    dead_letters: tuple[DeadLetter, ...]
    counted: int

    @property
    def missing(self) -> int:
        """How many were counted but not received: another consumer has them, or the count lags."""
        return max(self.counted - len(self.dead_letters), 0)


@dataclass
class Lease:
    """Dead letters that are hidden from other consumers while the context is entered.

    The exit makes those that remain in the queue visible again.
    """

    queue: Queue
    aws_environment: AwsEnvironment
    clock: Callable[[], float] = time.monotonic
    _handles: dict[str, str] = field(default_factory=dict)
    _expiring: deque[tuple[float, list[str]]] = field(default_factory=deque)
    """Message ids in the batches in which their visibility timeout ends, soonest first."""
    _seconds: int = _MIN_SECONDS

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        # After an exception, an error of the release would hide it. SQS ends the visibility timeout anyway.
        with contextlib.suppress(Exception) if kind else contextlib.nullcontext():
            self.release(list(self._handles))

    def read(self, on_progress: Callable[[int, int], None] = lambda _received, _counted: None) -> Listing:
        """Receive every message once. `on_progress` gets the number received so far and the number counted."""
        counted = self.queue.depth()
        self._seconds = min(_MIN_SECONDS + counted // _DEAD_LETTERS_PER_SECOND, _MAX_SECONDS)
        found: dict[str, DeadLetter] = {}
        without_new = 0
        while without_new < (1 if len(found) >= counted else _EMPTY_RECEIVES):
            batch = self._receive()
            new = {id_: message for id_, message in batch.items() if id_ not in found}
            found |= {id_: dead_letters.parse(message, self.aws_environment) for id_, message in new.items()}
            without_new = 0 if new else without_new + 1
            on_progress(len(found), counted)
        return Listing(tuple(found.values()), counted)

    def _receive(self) -> dict[str, Mapping[str, Any]]:
        until = self.clock() + self._seconds
        batch = {message["MessageId"]: message for message in self.queue.receive(self._seconds)}
        self._handles |= {id_: message["ReceiptHandle"] for id_, message in batch.items()}
        if batch:
            self._expiring.append((until, list(batch)))
        return batch

    def release(self, message_ids: Iterable[str]) -> None:
        """Make messages visible at once. If that fails, they are visible when their timeout ends."""
        for batch in chunked(list(message_ids), MAX_ENTRIES):
            self.queue.change_visibility({id_: self._handles.pop(id_) for id_ in batch}, 0)

    def renew(self) -> None:
        """Extend the visibility timeouts that end soon."""
        while self._expiring and self._expiring[0][0] - self.clock() < _RENEW_BEFORE_SECONDS:
            _, message_ids = self._expiring.popleft()
            handles = {id_: self._handles[id_] for id_ in message_ids if id_ in self._handles}
            if handles:
                self._expiring.append((self.clock() + self._seconds, list(handles)))
                self.queue.change_visibility(handles, self._seconds)

    def delete(self, message_ids: Iterable[str]) -> dict[str, str]:
        """Delete messages. Return those that SQS refused to delete, with its words."""
        not_deleted: dict[str, str] = {}
        for batch in chunked(list(message_ids), MAX_ENTRIES):
            refused = self.queue.delete({id_: self._handles[id_] for id_ in batch})
            not_deleted |= refused
            for id_ in set(batch) - refused.keys():
                del self._handles[id_]
        return not_deleted
