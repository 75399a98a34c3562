"""What only Gluebrake sees: messages, targets, observations of runs, results. All values are frozen."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum, unique
from typing import Any, Final, Self

from msgspec import UNSET, Struct

from gluebrake.contract import StopRequest
from gluebrake.metrics import Measure
from gluebrake.outcomes import Outcome
from gluebrake.stages import Queue

MAX_RUNS_PER_CALL: Final = 25
"""Glue's limit on the JobRunIds of one BatchStopJobRun call."""

TERMINAL_STATES: Final = frozenset({"STOPPED", "SUCCEEDED", "FAILED", "TIMEOUT", "ERROR", "EXPIRED"})
"""A run in one of these states is over. Any other state counts as active, also one that Glue adds later."""


class JobRun(Struct, frozen=True, order=True, gc=False):
    """A run of a Glue job."""

    job_name: str
    run_id: str


class AwsEnvironment(Struct, frozen=True, gc=False):
    """The account and the Region in which runs may be stopped, and which alarms may ask for it.

    `alarm_namespaces` are the namespaces, besides Glue's, whose metrics name runs by their dimensions.
    `alarm_accounts` are the monitoring accounts whose alarms on metrics of `account` are obeyed.
    """

    account: str
    region: str
    alarm_namespaces: tuple[str, ...] = ()
    alarm_accounts: tuple[str, ...] = ()


class Message(Struct, frozen=True, gc=False):
    """A message from a queue, or a direct invocation, with the bookkeeping of its attributes.

    `is_retry` means that one of the functions sent it. `attempt` counts earlier attempts, or earlier polls.
    `via` is the event or notification that carried the request. `rejection` is why the message cannot be used,
    whatever its body is.
    """

    message_id: str
    body: str
    sent_at: datetime
    sender: str
    via: str = ""
    receive_count: int = 1
    receipt_handle: str = ""
    is_retry: bool = False
    attempt: int = 0
    submitted_at: datetime | None = None
    is_direct: bool = False
    rejection: str = ""

    @property
    def is_first(self) -> bool:
        """Whether the message is neither a redelivery nor a retry."""
        return not self.is_retry and self.receive_count == 1


class NotARequest(Struct, frozen=True, gc=False):
    """A body that is understood and does not ask for a stop, with the reason."""

    why: str


class ParsedRequest(Struct, frozen=True, gc=False):
    """A stop request with its message; `run_ids` are the runs that it names or that its selection matches.

    `inactive` is how many of the selected runs are stopping or over: they need no stop, only an outcome.
    """

    message: Message
    request: StopRequest
    run_ids: tuple[str, ...] = ()
    inactive: int = 0

    @classmethod
    def of(cls, message: Message, request: StopRequest) -> Self:
        """Return a message's request with the runs that it names."""
        return cls(message, request, request.job_run_ids or ())

    @property
    def needs_listing(self) -> bool:
        """Whether the job's runs must be listed to know which runs are meant."""
        return self.request.select is not UNSET or self.request.include_attempts


class StopTarget(Struct, frozen=True, gc=False, kw_only=True):
    """One run to stop: a distinct (job name, run id, dry run) of an invocation.

    `request` is that of the earliest message that names the run, without run ids and selection. It travels
    whole: retry message, confirm message and dead letter are written from it. `sender` and `via` are that
    message's. `message_ids` has the earliest first. `maybe_already_stopped` is true when an earlier attempt at
    this target may have stopped the run.
    """

    request: StopRequest
    run: JobRun
    attempt: int
    maybe_already_stopped: bool
    submitted_at: datetime | None
    sender: str
    via: str
    message_ids: tuple[str, ...]

    @property
    def dry_run(self) -> bool:
        """Whether the run's state is read only, and the run is not stopped."""
        return self.request.dry_run


class StopBatch(Struct, frozen=True, gc=False):
    """Targets of one job: 1 to 25, the runs of one BatchStopJobRun call."""

    job_name: str
    targets: tuple[StopTarget, ...]


@unique
class Observation(StrEnum):
    """What a call to Glue showed of a run."""

    SUBMITTED = "submitted"
    """It is listed in SuccessfulSubmissions."""
    STATE = "state"
    """Its state was read."""
    NOT_FOUND = "not found"
    """Glue knows no such job, or no such run of it."""
    UNKNOWN = "unknown"
    """It was refused or left out of the answer, and its state could not be read."""
    DENIED = "denied"
    """IAM denied the call."""
    PROTECTED = "protected"
    """IAM denied the call, and the job carries the protect tag."""
    CALL_FAILED = "call failed"
    """The whole call failed, or was not answered in time."""
    NOT_CALLED = "not called"
    """Its call was not started: no time was left, or Glue was throttling."""


class RunFacts(Struct, frozen=True, gc=False):
    """What Glue reports of a run, from its fields of those names; None where it does not report.

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
    execution_class: str = ""
    timeout_minutes: int | None = None
    trigger_name: str = ""
    previous_run_id: str = ""
    arguments: Mapping[str, Any] = {}
    """As Glue gives them: their types are not checked."""

    @property
    def is_active(self) -> bool:
        """Whether there is something to stop. A state that Glue adds later counts as active."""
        return not self.is_over and self.state != "STOPPING"

    @property
    def is_over(self) -> bool:
        """Whether the run is in a terminal state."""
        return self.state in TERMINAL_STATES

    def ended_since(self, time: datetime | None) -> bool:
        """Return whether the run is over and ended at `time` or later; never for None."""
        return self.is_over and time is not None and self.completed_on is not None and self.completed_on >= time


class Finding(Struct, frozen=True, gc=False):
    """What was observed of a target's run; `code` and `error` are Glue's where it gave any."""

    target: StopTarget
    observation: Observation
    code: str = ""
    error: str = ""
    run: RunFacts | None = None
    response_lost: bool = False
    """Whether a call went unanswered: that call may have stopped the run."""

    @property
    def state(self) -> str:
        """The run's state, empty if it was not read."""
        return self.run.state if self.run else ""


class ActiveRuns(Struct, frozen=True, gc=False):
    """The listed runs of a job, or why they could not be listed: an error's code, empty if no call was made."""

    job_name: str
    complete: bool = False
    runs: tuple[RunFacts, ...] = ()
    code: str = ""
    error: str = ""


class RunResult(Struct, frozen=True, gc=False):
    """What became of a target."""

    target: StopTarget
    outcome: Outcome
    code: str = ""
    error: str = ""
    state: str = ""
    measures: Mapping[Measure, float | None] = {}
    """What is measured of the run; None where Glue does not report it."""
    run: RunFacts | None = None
    """What Glue reported of the run, if its state was read."""


class MessageResult(Struct, frozen=True, gc=False):
    """What became of a message that led to no target, or not yet to one."""

    message: Message
    outcome: Outcome
    why: str
    code: str = ""
    request: StopRequest | None = None
    """What the message asks for, where it could be read."""


class OutgoingMessage(Struct, frozen=True, gc=False):
    """A message to send, and the ids of the messages that led to it. They are done when it is sent."""

    queue: Queue
    body: str
    message_ids: frozenset[str]
    attributes: dict[str, str]
    delay_seconds: int = 0


class Notice(Struct, frozen=True, gc=False):
    """A notice: the Subject and the Message of SNS's Publish with the MessageStructure `json`."""

    subject: str
    message: str


class JobReading(Struct, frozen=True, gc=False):
    """What a sweep read of a job: its runs that are not over, and the time of each successful first attempt.

    `complete` means that no further run can be active. `error` is why it is false.
    """

    job_name: str
    complete: bool = False
    not_over: tuple[RunFacts, ...] = ()
    succeeded_seconds: tuple[float, ...] = ()
    error: str = ""


class JobDefinition(Struct, frozen=True, gc=False):
    """What Glue's definition of a job says; the type is its Command.Name, empty if Glue gives none."""

    type: str = ""
    arguments: Mapping[str, Any] = {}
    """The default arguments, as Glue gives them."""
    fixed_arguments: Mapping[str, Any] = {}
    """The arguments that a run's own do not replace, as Glue gives them."""
