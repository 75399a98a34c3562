"""The dead-letter queue read without consuming it, and letters taken out of it: sent first, then deleted."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Protocol, Self

from msgspec import Struct

from gluebrake.model import AwsEnvironment
from gluebrake_cli import letters
from gluebrake_cli.letters import DeadLetter

IN_A_BATCH: Final = 10
MAX_BYTES: Final = 1_048_576
"""SQS's limit for a message and for a batch."""

_HOLD_SECONDS: Final = 30
_LETTERS_A_SECOND: Final = 50  # 200 ms for a batch, whose reading is one call, and moving two more
_RENEW_SECONDS: Final = 15
_LONGEST_HOLD_SECONDS: Final = 43_200
_EMPTY_ENOUGH: Final = 3


class Queue(Protocol):
    """A queue, as far as it is needed here. What a batch call refuses it returns, by key, with SQS's words."""

    def depth(self) -> int:
        """Return about how many messages there are, those in flight included."""

    def receive(self, hold_seconds: int) -> Sequence[Mapping[str, Any]]:
        """Return up to ten messages that nobody else will see for so long, none if there seem to be none."""

    def hold(self, receipt_handles: Mapping[str, str], seconds: int) -> Mapping[str, str]:
        """Have messages stay invisible for so many seconds from now; for none they are seen at once."""

    def send(self, messages: Mapping[str, tuple[str, Mapping[str, Any]]]) -> Mapping[str, str]:
        """Send bodies with their attributes."""

    def delete(self, receipt_handles: Mapping[str, str]) -> Mapping[str, str]:
        """Delete messages."""


class Reading(Struct, frozen=True):
    """All dead letters that were seen, and how many the queue counted before."""

    letters: tuple[DeadLetter, ...]
    counted: int

    @property
    def missing(self) -> int:
        """How many may be there that were not seen: another reader holds them, or the count lags."""
        return max(self.counted - len(self.letters), 0)


@dataclass
class Lease:
    """Dead letters that only we see, while the context is entered. Those that are left by then are released."""

    queue: Queue
    aws_environment: AwsEnvironment
    clock: Callable[[], float] = time.monotonic
    _handles: dict[str, str] = field(default_factory=dict)
    _expiring: deque[tuple[float, list[str]]] = field(default_factory=deque)
    """Message ids in the batches in which their hold ends, soonest first."""
    _seconds: int = _HOLD_SECONDS

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        # What ended it early is the error to tell of; the messages are seen again when their hold ends.
        with contextlib.suppress(Exception) if kind else contextlib.nullcontext():
            self.release(list(self._handles))

    def read(self, seen: Callable[[int, int], None] = lambda _seen, _counted: None) -> Reading:
        """Receive every message, each once; `seen` hears how many there are so far, and of about how many."""
        counted = self.queue.depth()
        self._seconds = min(_HOLD_SECONDS + counted // _LETTERS_A_SECOND, _LONGEST_HOLD_SECONDS)
        found: dict[str, DeadLetter] = {}
        nothing_new = 0
        while nothing_new < (1 if len(found) >= counted else _EMPTY_ENOUGH):
            batch = self._receive()
            new = {id_: message for id_, message in batch.items() if id_ not in found}
            found |= {id_: letters.read(message, self.aws_environment) for id_, message in new.items()}
            nothing_new = 0 if new else nothing_new + 1
            seen(len(found), counted)
        return Reading(tuple(found.values()), counted)

    def _receive(self) -> dict[str, Mapping[str, Any]]:
        until = self.clock() + self._seconds
        batch = {message["MessageId"]: message for message in self.queue.receive(self._seconds)}
        self._handles |= {id_: message["ReceiptHandle"] for id_, message in batch.items()}
        if batch:
            self._expiring.append((until, list(batch)))
        return batch

    def release(self, message_ids: Iterable[str]) -> None:
        """Let others see the messages again, at once. Should that fail, they are seen when their hold ends."""
        for batch in _tens(message_ids):
            self.queue.hold({id_: self._handles.pop(id_) for id_ in batch}, 0)

    def renew(self) -> None:
        """Hold on to what would soon be seen by others."""
        while self._expiring and self._expiring[0][0] - self.clock() < _RENEW_SECONDS:
            _, message_ids = self._expiring.popleft()
            held = {id_: self._handles[id_] for id_ in message_ids if id_ in self._handles}
            if held:
                self._expiring.append((self.clock() + self._seconds, list(held)))
                self.queue.hold(held, self._seconds)

    def delete(self, message_ids: Iterable[str]) -> dict[str, str]:
        """Take the messages out of the queue; return which could not be, and why."""
        failed: dict[str, str] = {}
        for batch in _tens(message_ids):
            refused = self.queue.delete({id_: self._handles[id_] for id_ in batch})
            failed |= refused
            for id_ in set(batch) - refused.keys():
                del self._handles[id_]
        return failed


class BatchResult(Struct, frozen=True):
    """What became of a batch of letters: which are done with, and why others are not."""

    done: tuple[DeadLetter, ...]
    not_sent: Mapping[str, str] = {}
    not_deleted: Mapping[str, str] = {}
    """Sent, and still in the dead-letter queue as well: harmless, since stopping is repeatable."""


@dataclass
class Summary:
    """What became of the dead letters that were meant, while they are worked on."""

    reading: Reading
    meant: Sequence[DeadLetter]
    taken: list[DeadLetter] = field(default_factory=list)
    not_sent: dict[str, str] = field(default_factory=dict)
    not_deleted: dict[str, str] = field(default_factory=dict)

    def add(self, taken: BatchResult) -> None:
        """Add what became of a batch."""
        self.taken += taken.done
        self.not_sent |= taken.not_sent
        self.not_deleted |= taken.not_deleted

    @property
    def is_as_asked(self) -> bool:
        """Whether nothing was refused."""
        return not self.not_sent and not self.not_deleted

    def shape(self) -> dict[str, Any]:
        """Return what `--json` shows, by message id."""
        return {
            "meant": [letter.message_id for letter in self.meant],
            "done": [letter.message_id for letter in self.taken],
            "not_sent": self.not_sent,
            "not_deleted": self.not_deleted,
            "complete": not self.reading.missing,
        }


def redrive(hold: Lease, meant: Sequence[DeadLetter], *, stop_queue: Queue) -> Iterator[BatchResult]:
    """Move letters to the stop queue: a letter is deleted only once it stands there."""
    for batch in _batches(meant):
        hold.renew()
        not_sent = stop_queue.send({letter.message_id: letters.again(letter) for letter in batch})
        sent = [letter for letter in batch if letter.message_id not in not_sent]
        yield _taken(sent, hold.delete(letter.message_id for letter in sent), not_sent)


def drop(hold: Lease, meant: Sequence[DeadLetter]) -> Iterator[BatchResult]:
    """Delete letters."""
    for start in range(0, len(meant), IN_A_BATCH):
        batch = meant[start : start + IN_A_BATCH]
        hold.renew()
        yield _taken(batch, hold.delete(letter.message_id for letter in batch))


def nothing(_hold: Lease, _meant: Sequence[DeadLetter]) -> Iterator[BatchResult]:
    """Leave letters where they are: a dry run."""
    return iter(())


def _taken(
    letters_: Sequence[DeadLetter], not_deleted: Mapping[str, str], not_sent: Mapping[str, str] | None = None
) -> BatchResult:
    done = tuple(letter for letter in letters_ if letter.message_id not in not_deleted)
    return BatchResult(done, not_sent or {}, not_deleted)


def _batches(meant: Iterable[DeadLetter]) -> Iterator[list[DeadLetter]]:
    """Put letters into batches that SQS takes, by count and by bytes."""
    batch: list[DeadLetter] = []
    room = MAX_BYTES
    for letter in meant:
        size = _size(letter)
        if batch and (len(batch) == IN_A_BATCH or size > room):
            yield batch
            batch, room = [], MAX_BYTES
        batch.append(letter)
        room -= size
    if batch:
        yield batch


def _size(letter: DeadLetter) -> int:
    body, attributes = letters.again(letter)
    texts = [body, *attributes]
    for value in attributes.values():
        texts += value["DataType"], value.get("StringValue", "")
    binaries = (len(value.get("BinaryValue", b"")) for value in attributes.values())
    return sum(len(text.encode()) for text in texts) + sum(binaries)


def _tens(message_ids: Iterable[str]) -> Iterator[list[str]]:
    ids = list(message_ids)
    return (ids[start : start + IN_A_BATCH] for start in range(0, len(ids), IN_A_BATCH))
