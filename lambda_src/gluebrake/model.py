"""What only Gluebrake sees: messages, targets, what Glue shows of a run, results. Frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum, unique
from typing import Final

from msgspec import Struct

from gluebrake.contract import StopRequest
from gluebrake.outcomes import Outcome

MAX_RUNS_PER_CALL: Final = 25
"""Glue's limit on the JobRunIds of one BatchStopJobRun call."""

TERMINAL_STATES: Final = frozenset({"STOPPED", "SUCCEEDED", "FAILED", "TIMEOUT", "ERROR", "EXPIRED"})
"""A run in one of these is over. Any other state, one that Glue may add tomorrow included, counts as active."""


@unique
class Count(StrEnum):
    """What else an invocation counts; the value is the metric's name."""

    RUNS_REQUESTED = "RunsRequested"
    DUPLICATE_RUNS = "DuplicateRuns"
    STOP_CALLS = "StopCalls"
    STATE_READS = "StateReads"
    UNEXPECTED_ERRORS = "UnexpectedErrors"
    OUTCOME_EVENTS_LOST = "OutcomeEventsLost"


@unique
class Measure(StrEnum):
    """What is measured of a run that stopped; the value is the metric's name."""

    TIME_TO_STOP = "TimeToStop"
    """Seconds from our submission to Glue's CompletedOn."""
    DPUS_RELEASED = "DpusReleased"
    """Data processing units that the run had allocated."""
    DPU_HOURS_CONSUMED = "DpuHoursConsumed"


class JobRun(Struct, frozen=True, order=True, gc=False):
    """A run of a Glue job, by Glue's own names."""

    job_name: str
    run_id: str


class AwsEnvironment(Struct, frozen=True, gc=False):
    """The account and the Region in which runs may be stopped."""

    account: str
    region: str


class Message(Struct, frozen=True, gc=False):
    """One message from a queue, and what our bookkeeping in its attributes says; `resent` is one of our own."""

    message_id: str
    body: str
    sent_at: datetime
    sender: str
    receive_count: int = 1
    receipt_handle: str = ""
    is_retry: bool = False
    attempt: int = 0
    submitted_at: datetime | None = None

    @property
    def is_first(self) -> bool:
        """Whether nobody, neither SQS nor we, delivered it before."""
        return not self.is_retry and self.receive_count == 1


class NotARequest(Struct, frozen=True, gc=False):
    """What an event that asks for nothing says."""

    why: str


class ParsedRequest(Struct, frozen=True, gc=False):
    """A message that asks for runs to be stopped: `run_ids` are those it names, or was found to mean."""

    message: Message
    request: StopRequest
    run_ids: tuple[str, ...] = ()


class Ignored(Struct, frozen=True, gc=False):
    """A message that is understood and asks for nothing."""

    message: Message
    why: str


class Invalid(Struct, frozen=True, gc=False):
    """A message that cannot be used."""

    message: Message
    why: str


class StopTarget(Struct, frozen=True, gc=False, kw_only=True):
    """One distinct (job name, run id, dry run) in an invocation, with all that the messages said about it.

    `message_ids` has the earliest message first; reason, requester and sender are that message's.
    `retried` is true when an earlier try at this demand may have stopped the run.
    """

    run: JobRun
    dry_run: bool
    attempt: int
    maybe_already_stopped: bool
    submitted_at: datetime | None
    reason: str
    requested_by: str
    sender: str
    message_ids: tuple[str, ...]


class StopBatch(Struct, frozen=True, gc=False):
    """Demands for runs of one job: 1 to 25 of them where one BatchStopJobRun call is to carry them."""

    job_name: str
    targets: tuple[StopTarget, ...]


@unique
class Observation(StrEnum):
    """What Glue showed of a run."""

    SUBMITTED = "submitted"
    """Listed in SuccessfulSubmissions."""
    STATE = "state"
    """Its state was read."""
    NOT_FOUND = "not found"
    """Glue knows no such job, or no such run of it."""
    UNKNOWN = "in doubt"
    """Refused or left out of the answer, and its state could not be read."""
    DENIED = "denied"
    """IAM denied the call."""
    PROTECTED = "protected"
    """IAM denied the call, and the job carries the protect tag."""
    CALL_FAILED = "call failed"
    """The whole call failed, or was not answered in time."""
    NOT_CALLED = "not called"
    """Its call was not started: no time was left, or Glue was throttling."""


class RunFacts(Struct, frozen=True, gc=False):
    """What Glue says of a run, from its fields of those names; None where it does not say.

    https://docs.aws.amazon.com/glue/latest/webapi/API_JobRun.html
    """

    run_id: str
    state: str
    started_on: datetime | None = None
    completed_on: datetime | None = None
    execution_seconds: float = 0
    dpu_seconds: float | None = None
    max_capacity: float | None = None
    worker_type: str = ""
    number_of_workers: int | None = None

    @property
    def is_active(self) -> bool:
        """Whether there is something to stop: a state that Glue may add tomorrow counts as active."""
        return self.state not in TERMINAL_STATES and self.state != "STOPPING"


class Finding(Struct, frozen=True, gc=False):
    """What was seen of a demand's run; `code` and `error` are Glue's where it gave any."""

    target: StopTarget
    observation: Observation
    code: str = ""
    error: str = ""
    run: RunFacts | None = None
    response_lost: bool = False
    """Whether a call of ours went unanswered: it may be what stopped the run."""


class ActiveRuns(Struct, frozen=True, gc=False):
    """The active runs of a job, or why they could not be found: an error's code, none if it was not called."""

    job_name: str
    complete: bool = False
    runs: tuple[RunFacts, ...] = ()
    code: str = ""
    error: str = ""


class RunResult(Struct, frozen=True, gc=False):
    """What became of a demand."""

    target: StopTarget
    outcome: Outcome
    code: str = ""
    error: str = ""
    state: str = ""
    measures: Mapping[Measure, float | None] = {}
    """Of a run that stopped; None where Glue does not say."""


class MessageResult(Struct, frozen=True, gc=False):
    """What became of a message that led to no demand, or not yet to one."""

    message: Message
    outcome: Outcome
    why: str
    code: str = ""
    request: StopRequest | None = None
    """What the message asks for, where it could be read."""


@unique
class Queue(StrEnum):
    """Where a message can be sent."""

    STOP = "stop"
    CONFIRM = "confirm"
    DEAD_LETTER = "dead letter"


class Send(Struct, frozen=True, gc=False):
    """One message to send, and the ids of the messages that led to it. They are done when it is sent."""

    queue: Queue
    body: str
    message_ids: frozenset[str]
    attributes: dict[str, str]
    delay_seconds: int = 0
