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
_DEAD_LETTERS_PER_SECOND: Final = 50  # a batch of ten takes three calls, 200 ms in total
_RENEW_BEFORE_SECONDS: Final = 15
_EMPTY_RECEIVES: Final = 3


class Queue(Protocol):
    """A queue. Its batch operations return the error messages of refused entries, by the entries' keys."""

    def depth(self) -> int:
        """Return about how many messages the queue has, including messages in flight."""

    def receive(self, visibility_seconds: int) -> Sequence[Mapping[str, Any]]:
        """Receive up to ten messages, and hide them from other consumers for `visibility_seconds`."""

    def change_visibility(self, receipt_handles: Mapping[str, str], seconds: int) -> Mapping[str, str]:
        """Hide messages for `seconds` from now. With 0, they are visible at once."""

    def send(self, messages: Mapping[str, tuple[str, Mapping[str, Any]]]) -> Mapping[str, str]:
        """Send messages: bodies with their attributes."""

    def delete(self, receipt_handles: Mapping[str, str]) -> Mapping[str, str]:
        """Delete messages."""


class Listing(Struct, frozen=True):
    """The dead letters that were received, and the number of messages that SQS reported before."""

    dead_letters: tuple[DeadLetter, ...]
    counted: int

    @property
    def missing(self) -> int:
        """How many messages were reported but not received: another consumer has them, or the number is old."""
        return max(self.counted - len(self.dead_letters), 0)


@dataclass
class Lease:
    """Dead letters that are hidden from other consumers inside the `with` block.

    At its end, the dead letters that are still in the queue become visible again.
    """

    queue: Queue
    aws_environment: AwsEnvironment
    clock: Callable[[], float] = time.monotonic
    _handles: dict[str, str] = field(default_factory=dict)
    _expiring: deque[tuple[float, list[str]]] = field(default_factory=deque)
    """Batches of message ids with the time at which their visibility timeout ends, soonest first."""
    _seconds: int = _MIN_SECONDS

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        # An error of `release` would hide an earlier exception. Without `release`, the visibility timeout ends.
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
        """Delete messages. Return the error messages of SQS for messages that it did not delete."""
        not_deleted: dict[str, str] = {}
        for batch in chunked(list(message_ids), MAX_ENTRIES):
            refused = self.queue.delete({id_: self._handles[id_] for id_ in batch})
            not_deleted |= refused
            for id_ in set(batch) - refused.keys():
                del self._handles[id_]
        return not_deleted
