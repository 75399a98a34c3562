"""Removes dead letters from their queue: redrives them to the stop queue, or deletes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct

from gluebrake.aws.sqs import MAX_ENTRIES, batches
from gluebrake.grouping import chunked
from gluebrake_cli.dead_letters import DeadLetter, redriven
from gluebrake_cli.lease import Lease, Listing, Queue


class BatchResult(Struct, frozen=True):
    """The result of a batch: the dead letters that are done, and the errors of all others."""

    done: tuple[DeadLetter, ...]
    not_sent: Mapping[str, str] = {}
    not_deleted: Mapping[str, str] = {}
    """Dead letters that were sent but are still in the queue. To redrive them again stops no run twice."""


@dataclass
class Summary:
    """The result so far for all dead letters that match."""

    listing: Listing
    matching: Sequence[DeadLetter]
    done: list[DeadLetter] = field(default_factory=list)
    not_sent: dict[str, str] = field(default_factory=dict)
    not_deleted: dict[str, str] = field(default_factory=dict)
    left_out: int = 0
    """The number of dead letters that a redrive would not help, and that the operator did not choose."""

    def add(self, result: BatchResult) -> None:
        """Add the result of a batch."""
        self.done += result.done
        self.not_sent |= result.not_sent
        self.not_deleted |= result.not_deleted

    @property
    def succeeded(self) -> bool:
        """Whether SQS refused nothing."""
        return not self.not_sent and not self.not_deleted

    def as_json(self) -> dict[str, Any]:
        """Return the members of the JSON output, by message id."""
        return {
            "meant": [dead_letter.message_id for dead_letter in self.matching],
            "done": [dead_letter.message_id for dead_letter in self.done],
            "not_sent": self.not_sent,
            "not_deleted": self.not_deleted,
            "left_out": self.left_out,
            "complete": not self.listing.missing,
        }


Action = Callable[[Lease, Sequence[DeadLetter]], Iterator[BatchResult]]
"""A function that is applied to the matching dead letters. It yields the result of each batch."""


def redrive(lease: Lease, matching: Sequence[DeadLetter], *, stop_queue: Queue) -> Iterator[BatchResult]:
    """Move dead letters to the stop queue. Each is deleted only after SQS has accepted it there."""
    for batch in batches(matching, _size):
        lease.renew()
        not_sent = stop_queue.send({dead_letter.message_id: redriven(dead_letter) for dead_letter in batch})
        sent = [dead_letter for dead_letter in batch if dead_letter.message_id not in not_sent]
        yield _delete(lease, sent, not_sent)


def drop(lease: Lease, matching: Sequence[DeadLetter]) -> Iterator[BatchResult]:
    """Delete dead letters."""
    for batch in chunked(matching, MAX_ENTRIES):
        lease.renew()
        yield _delete(lease, batch, {})


def dry_run(_lease: Lease, _matching: Sequence[DeadLetter]) -> Iterator[BatchResult]:
    """Change nothing."""
    return iter(())


def _delete(lease: Lease, batch: Sequence[DeadLetter], not_sent: Mapping[str, str]) -> BatchResult:
    not_deleted = lease.delete(dead_letter.message_id for dead_letter in batch)
    done = tuple(dead_letter for dead_letter in batch if dead_letter.message_id not in not_deleted)
    return BatchResult(done, not_sent, not_deleted)


def _size(dead_letter: DeadLetter) -> int:
    """Return the bytes that SQS counts: the body, and each attribute's name, type and value."""
    body, attributes = redriven(dead_letter)
    texts = [body, *attributes]
    for value in attributes.values():
        texts += value["DataType"], value.get("StringValue", "")
    binaries = (len(value.get("BinaryValue", b"")) for value in attributes.values())
    return sum(len(text.encode()) for text in texts) + sum(binaries)
