"""The vocabulary: what is asked, what is demanded of Glue, and what became of it. Frozen values only."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum, unique
from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

# `gc=False`: a value holds only what was there before it, so no cycle goes through it. Many thousands are alive
# at once in a large invocation, and the collector would look at each of them several times.

STOP_REQUESTED: Final = "Glue Job Run Stop Requested"
"""The EventBridge detail-type under which a stop request travels on the bus."""

NAMESPACE: Final = "Gluebrake"
"""The namespace of the functions' metrics."""

STOP_OUTCOME: Final = "Glue Job Run Stop Outcome"
OUTCOME_SOURCE: Final = "gluebrake"
"""The EventBridge detail-type and source under which we tell what became of a run."""

ATTEMPT: Final = "GluebrakeAttempt"
SENDER: Final = "GluebrakeSender"
SUBMITTED_AT: Final = "GluebrakeSubmittedAt"
"""The message attributes that carry our bookkeeping."""

MAX_RUNS_PER_CALL: Final = 25
"""Glue's limit on the JobRunIds of one BatchStopJobRun call."""

TERMINAL_STATES: Final = frozenset({"STOPPED", "SUCCEEDED", "FAILED", "TIMEOUT", "ERROR", "EXPIRED"})
"""A run in one of these is over. Any other state, one that Glue may add tomorrow included, counts as active."""

# What the pattern of Glue's API reference leaves out, for every dialect of regex. It stands in the schema only:
# `gluebrake.reading.stop_request` checks the characters, since `$` lets a trailing newline through.
_GLUE_PATTERN: Final = {"pattern": r"^[^\u0000-\u0008\u000A-\u001F\uFFFE\uFFFF]*$"}

# What SQS cannot carry.
_TEXT_PATTERN: Final = {"pattern": r"^[^\u0000-\u0008\u000B\u000C\u000E-\u001F\uFFFE\uFFFF]*$"}

Name = Annotated[str, Meta(min_length=1, max_length=255, extra_json_schema=_GLUE_PATTERN)]
"""A job name or a run id: Glue's own limits."""

Note = Annotated[str, Meta(min_length=1, max_length=1024, extra_json_schema=_TEXT_PATTERN)]
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

    STOPPED = "Stopped"
    FINISHED_FIRST = "FinishedFirst"
    LOOK_AGAIN = "LookAgain"
    STOP_TIMED_OUT = "StopTimedOut"

    INVALID_REQUEST = "InvalidRequest"
    TOO_MANY_RUNS = "TooManyRuns"
    NO_ACTIVE_RUNS = "NoActiveRuns"
    IGNORED = "Ignored"

    @property
    def is_final(self) -> bool:
        """Whether the demand, or the message, goes to no further stage of ours."""
        return self not in _HANDED_ON


_HANDED_ON: Final = frozenset(
    {
        Outcome.STOP_SUBMITTED,
        Outcome.ALREADY_STOPPING,
        Outcome.RETRYING,
        Outcome.DEFERRED,
        Outcome.LOOK_AGAIN,
    }
)


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


class Home(Struct, frozen=True, gc=False):
    """The account and the Region in which runs may be stopped."""

    account: str
    region: str


ActiveState = Literal["STARTING", "RUNNING", "WAITING"]
# The descriptions stand in the JSON Schema of a stop request.
_States = Annotated[
    tuple[ActiveState, ...], Meta(min_length=1, description="Only runs that are in one of these states.")
]
_Minutes = Annotated[
    int, Meta(ge=0, le=10_080, description="Only runs that started so long before the message was sent.")
]
_Moment = Annotated[
    datetime,
    Meta(tz=True, description="Only runs that started before this; no later than the message was sent."),
]
_JobName = Annotated[Name, Meta(description="The job, by its name in AWS Glue.")]
_JobRunIds = Annotated[
    tuple[Name, ...], Meta(min_length=1, description="The runs, by their ids in AWS Glue: as many as need be.")
]
_Reason = Annotated[Note, Meta(description="Why: stands in the log and in a dead letter.")]
_RequestedBy = Annotated[
    Note, Meta(description="Who says so. Nobody checks it: the log has SQS's word for the sender beside it.")
]
_DryRun = Annotated[
    bool, Meta(description="Read the runs' states and tell what would be stopped; stop nothing.")
]


class Selection(Struct, frozen=True, gc=False, forbid_unknown_fields=True, rename="pascal", omit_defaults=True):
    """Which active runs of a job are meant, instead of run ids. Empty means every active one."""

    states: _States | UnsetType = UNSET
    older_than_minutes: _Minutes | UnsetType = UNSET
    started_before: _Moment | UnsetType = UNSET


class StopRequest(
    Struct, frozen=True, gc=False, forbid_unknown_fields=True, rename="pascal", omit_defaults=True
):
    """Asks for runs of one job to be stopped: BatchStopJobRun's request, without its limit of 25, and more."""

    job_name: _JobName
    job_run_ids: _JobRunIds | UnsetType = UNSET
    select: Selection | UnsetType = UNSET
    reason: _Reason | UnsetType = UNSET
    requested_by: _RequestedBy | UnsetType = UNSET
    dry_run: _DryRun = False


class Message(Struct, frozen=True, gc=False):
    """One message from a queue, and what our bookkeeping in its attributes says; `resent` is one of our own."""

    message_id: str
    body: str
    sent_at: datetime
    sender: str
    receive_count: int = 1
    receipt_handle: str = ""
    resent: bool = False
    attempt: int = 0
    submitted_at: datetime | None = None

    @property
    def is_first(self) -> bool:
        """Whether nobody, neither SQS nor we, delivered it before."""
        return not self.resent and self.receive_count == 1


class Nothing(Struct, frozen=True, gc=False):
    """What an event that asks for nothing says."""

    why: str


class Asked(Struct, frozen=True, gc=False):
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


class Demand(Struct, frozen=True, gc=False, kw_only=True):
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


class StopBatch(Struct, frozen=True, gc=False):
    """Demands for runs of one job: 1 to 25 of them where one BatchStopJobRun call is to carry them."""

    job_name: str
    demands: tuple[Demand, ...]


@unique
class Seen(StrEnum):
    """What Glue showed of a run."""

    SUBMITTED = "submitted"
    """Listed in SuccessfulSubmissions."""
    STATE = "state"
    """Its state was read."""
    NOT_FOUND = "not found"
    """Glue knows no such job, or no such run of it."""
    IN_DOUBT = "in doubt"
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

    demand: Demand
    seen: Seen
    code: str = ""
    error: str = ""
    run: RunFacts | None = None
    unheard: bool = False
    """Whether a call of ours went unanswered: it may be what stopped the run."""


class Search(Struct, frozen=True, gc=False):
    """The active runs of a job, or why they could not be found: an error's code, none if it was not called."""

    job_name: str
    complete: bool = False
    runs: tuple[RunFacts, ...] = ()
    code: str = ""
    error: str = ""


class Result(Struct, frozen=True, gc=False):
    """What became of a demand."""

    demand: Demand
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


class StopOutcome(Struct, frozen=True, gc=False, kw_only=True, rename="camel", omit_defaults=True):
    """What became of a run that was to be stopped, or of a request for which no run was found.

    What is not known is left out.
    """

    job_name: Annotated[str, Meta(description="The job, by its name in AWS Glue.")]
    job_run_id: Annotated[str, Meta(description="Left out when the outcome is that of a whole request.")] = ""
    outcome: Annotated[Outcome, Meta(description="What became of it: one that is final.")]
    state: Annotated[str, Meta(description="The run's state as Glue last gave it.")] = ""
    error_code: Annotated[str, Meta(description="Glue's code, or ours where Glue gave none.")] = ""
    error_message: Annotated[str, Meta(description="The error in words, for people.")] = ""
    dry_run: Annotated[bool, Meta(description="Whether nothing was to be stopped.")] = False
    reason: Annotated[str, Meta(description="The request's Reason.")] = ""
    requested_by: Annotated[str, Meta(description="The request's RequestedBy: a claim.")] = ""
    sender: Annotated[str, Meta(description="Who sent the request, in SQS's own word.")] = ""
    attempt: Annotated[int, Meta(ge=0, description="How often it had been tried, or looked at, before.")] = 0
    submitted_at: Annotated[
        Annotated[datetime, Meta(tz=True)] | None, Meta(description="When the run was submitted for stopping.")
    ] = None
    settled_at: Annotated[datetime, Meta(tz=True, description="When the outcome was known.")]
    time_to_stop_seconds: Annotated[
        Annotated[float, Meta(ge=0)] | None, Meta(description="From our submission to Glue's CompletedOn.")
    ] = None
    dpus_released: Annotated[
        Annotated[float, Meta(ge=0)] | None, Meta(description="Data processing units that the run had.")
    ] = None
    dpu_hours_consumed: Annotated[
        Annotated[float, Meta(ge=0)] | None, Meta(description="DPU-hours that the run took until then.")
    ] = None


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
