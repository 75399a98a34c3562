"""The vocabulary: what is asked, what is demanded of Glue, and what became of it. Frozen values only."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum, unique
from typing import Annotated, Final

from msgspec import UNSET, Meta, Struct, UnsetType

STOP_REQUESTED: Final = "Glue Job Run Stop Requested"
"""The EventBridge detail-type under which a stop request travels on the bus."""

# Characters are checked in code (`gluebrake.reading.text`), since a regex with `$` lets a trailing newline
# through and its error is no sentence: the pattern of Glue's API reference stands in the schema only.
_GLUE_PATTERN: Final = {"pattern": "^[\\u0020-\\uD7FF\\uE000-\\uFFFD\\uD800\\uDC00-\\uDBFF\\uDFFF\\t]*$"}

Name = Annotated[str, Meta(min_length=1, max_length=255, extra_json_schema=_GLUE_PATTERN)]
"""A job name or a run id: Glue's own limits."""

Note = Annotated[str, Meta(min_length=1, max_length=1024)]
"""Free text for people; the limit keeps a re-sent message within what SQS takes."""


@unique
class Outcome(StrEnum):
    """What became of a demand or of a message; the value is the metric's name."""

    STOP_SUBMITTED = "StopSubmitted"
    ALREADY_STOPPING = "AlreadyStopping"
    ALREADY_FINISHED = "AlreadyFinished"
    NOT_FOUND = "NotFound"
    PROTECTED = "Protected"
    NOT_ALLOWED = "NotAllowed"
    WOULD_STOP = "WouldStop"
    RETRYING = "Retrying"
    DEFERRED = "Deferred"
    FAILED = "Failed"

    INVALID_REQUEST = "InvalidRequest"
    TOO_MANY_RUNS = "TooManyRuns"
    IGNORED = "Ignored"


@unique
class Count(StrEnum):
    """What else an invocation counts; the value is the metric's name."""

    RUNS_REQUESTED = "RunsRequested"
    DUPLICATE_RUNS = "DuplicateRuns"
    STOP_CALLS = "StopCalls"
    STATE_READS = "StateReads"


class JobRun(Struct, frozen=True, order=True, gc=False):
    """A run of a Glue job, by Glue's own names."""

    job_name: str
    run_id: str


class Selection(Struct, frozen=True, forbid_unknown_fields=True, rename="pascal", omit_defaults=True):
    """Which active runs of a job are meant, instead of run ids. Empty means every active one."""

    states: Annotated[tuple[str, ...], Meta(min_length=1)] | UnsetType = UNSET
    older_than_minutes: Annotated[int, Meta(ge=0, le=10_080)] | UnsetType = UNSET
    started_before: Annotated[datetime, Meta(tz=True)] | UnsetType = UNSET


class StopRequest(Struct, frozen=True, forbid_unknown_fields=True, rename="pascal", omit_defaults=True):
    """Asks for runs of one job to be stopped: BatchStopJobRun's request, without its limit of 25, and more."""

    job_name: Name
    job_run_ids: Annotated[tuple[Name, ...], Meta(min_length=1)] | UnsetType = UNSET
    select: Selection | UnsetType = UNSET
    reason: Note | UnsetType = UNSET
    requested_by: Note | UnsetType = UNSET
    dry_run: bool = False


class Message(Struct, frozen=True):
    """One message from a queue, and what our bookkeeping in its attributes says."""

    message_id: str
    body: str
    sent_at: datetime
    sender: str
    receive_count: int = 1
    attempt: int = 0
    submitted_at: datetime | None = None


class Asked(Struct, frozen=True):
    """A message that asks for runs to be stopped."""

    message: Message
    request: StopRequest


class Ignored(Struct, frozen=True):
    """A message that is understood and asks for nothing."""

    message: Message
    why: str


class Invalid(Struct, frozen=True):
    """A message that cannot be used."""

    message: Message
    why: str


class Demand(Struct, frozen=True, kw_only=True):
    """One distinct (job name, run id, dry run) in an invocation, with all that the messages said about it.

    `message_ids` has the earliest message first; reason, requester and sender are that message's.
    `retried` is true when an earlier try at this demand may have stopped the run.
    """

    run: JobRun
    dry_run: bool
    attempt: int
    retried: bool
    submitted_at: datetime | None
    reason: str
    requested_by: str
    sender: str
    message_ids: tuple[str, ...]


class StopBatch(Struct, frozen=True):
    """One BatchStopJobRun call: runs of one job, 1 to 25 of them."""

    job_name: str
    demands: tuple[Demand, ...]
