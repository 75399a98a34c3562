"""The internal values: messages, targets, observations of runs, results. All of them are frozen."""

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
"""A run in one of these states is over. All other states count as active, even states that Glue adds later."""


class JobRun(Struct, frozen=True, order=True, gc=False):
    """A run of a Glue job."""

    job_name: str
    run_id: str


class AwsEnvironment(Struct, frozen=True, gc=False):
    """The account and the Region in which runs may be stopped, and the alarms that may request stops.

    `alarm_namespaces` are further namespaces, in addition to Glue's, whose metrics name runs by dimensions.
    `alarm_accounts` are the monitoring accounts whose alarms on metrics of `account` are accepted.
    """

    account: str
    region: str
    alarm_namespaces: tuple[str, ...] = ()
    alarm_accounts: tuple[str, ...] = ()


class Message(Struct, frozen=True, gc=False):
    """A message from a queue, or a direct invocation, with the bookkeeping of its attributes.

    `is_retry` means that one of the functions sent the message. `attempt` counts earlier attempts, or earlier
    polls. `via` is the event or notification that carried the request. `rejection` says why the message cannot
    be used, independently of its body.
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
    """The reason why a valid body does not request a stop."""

    why: str


class ParsedRequest(Struct, frozen=True, gc=False):
    """A stop request with its message. `run_ids` are the runs that it names or that its selection matches.

    `inactive` is how many of the selected runs are stopping or over. These runs need no stop, only an outcome.
    """

    message: Message
    request: StopRequest
    run_ids: tuple[str, ...] = ()
    inactive: int = 0

    @classmethod
    def of(cls, message: Message, request: StopRequest) -> Self:
        """Return a message's request with the runs that the request names."""
        return cls(message, request, request.job_run_ids or ())

    @property
    def needs_listing(self) -> bool:
        """Whether the job's runs must be listed to know which runs are meant."""
        return self.request.select is not UNSET or self.request.include_attempts


class StopTarget(Struct, frozen=True, gc=False, kw_only=True):
    """One run to stop: a distinct (job name, run id, dry run) of an invocation.

    `request`, `sender` and `via` are from the earliest message that names the run. `request` has no run ids and
    no selection. The retry message, the confirm message and the dead letter are written from `request`.
    `message_ids` has the earliest message first. `maybe_already_stopped` is true if an earlier attempt at this
    target may have stopped the run.
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
    """The targets of one BatchStopJobRun call: 1 to 25 runs of one job."""

    job_name: str
    targets: tuple[StopTarget, ...]


@unique
class Observation(StrEnum):
    """The result of a call to Glue for a run."""

    SUBMITTED = "submitted"
    """The run is listed in SuccessfulSubmissions."""
    STATE = "state"
    """The state of the run was read."""
    NOT_FOUND = "not found"
    """Glue does not know the job or the run."""
    UNKNOWN = "unknown"
    """Glue refused the run or left it out of the response, and its state could not be read."""
    DENIED = "denied"
    """IAM denied the call."""
    PROTECTED = "protected"
    """IAM denied the call, and the job has the protect tag."""
    CALL_FAILED = "call failed"
    """The whole call failed, or Glue did not respond in time."""
    NOT_CALLED = "not called"
    """The call for the run was not started: no time was left, or Glue was throttling."""


class RunFacts(Struct, frozen=True, gc=False):
    """Glue's fields of a run, with Glue's names. A field that Glue does not report is None.

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
        """Whether the run can be stopped. A state that Glue adds later counts as active."""
        return not self.is_over and self.state != "STOPPING"

    @property
    def is_over(self) -> bool:
        """Whether the run is in a terminal state."""
        return self.state in TERMINAL_STATES

    def ended_since(self, time: datetime | None) -> bool:
        """Return whether the run is over and ended at `time` or later. For None, return False."""
        return self.is_over and time is not None and self.completed_on is not None and self.completed_on >= time


class Finding(Struct, frozen=True, gc=False):
    """The observation of a target's run. `code` and `error` are Glue's error, if Glue returned one."""

    target: StopTarget
    observation: Observation
    code: str = ""
    error: str = ""
    run: RunFacts | None = None
    response_lost: bool = False
    """Whether a call had no response. That call may have stopped the run."""

    @property
    def state(self) -> str:
        """The run's state, empty if it was not read."""
        return self.run.state if self.run else ""


class ActiveRuns(Struct, frozen=True, gc=False):
    """The listed runs of a job, or the error code if they could not be listed, empty if no call was made."""

    job_name: str
    complete: bool = False
    runs: tuple[RunFacts, ...] = ()
    code: str = ""
    error: str = ""


class RunResult(Struct, frozen=True, gc=False):
    """The outcome of a target."""

    target: StopTarget
    outcome: Outcome
    code: str = ""
    error: str = ""
    state: str = ""
    measures: Mapping[Measure, float | None] = {}
    """The measures of the run. A value that Glue does not report is None."""
    run: RunFacts | None = None
    """Glue's fields of the run, if its state was read."""


class MessageResult(Struct, frozen=True, gc=False):
    """The outcome of a message that has no target, or not yet a target."""

    message: Message
    outcome: Outcome
    why: str
    code: str = ""
    request: StopRequest | None = None
    """The request of the message, if it could be read."""


class OutgoingMessage(Struct, frozen=True, gc=False):
    """A message to send, and the ids of its source messages. The source messages are done when it is sent."""

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
    """The result of reading a job: its runs that are not over, and the time of each successful first attempt.

    `complete` means that no other run of the job can be active. If it is false, `error` says why.
    """

    job_name: str
    complete: bool = False
    not_over: tuple[RunFacts, ...] = ()
    succeeded_seconds: tuple[float, ...] = ()
    error: str = ""


class JobDefinition(Struct, frozen=True, gc=False):
    """The definition of a job in Glue. The type is its Command.Name, empty if Glue gives none."""

    type: str = ""
    arguments: Mapping[str, Any] = {}
    """The default arguments, as Glue gives them."""
    fixed_arguments: Mapping[str, Any] = {}
    """The arguments that a run's arguments do not override, as Glue gives them."""
