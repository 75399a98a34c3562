"""What others see: stop requests, outcome events, and the names of their attributes. A promise."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from gluebrake.outcomes import Outcome

# `gc=False`: a value holds only what was there before it, so no cycle goes through it. Many thousands are alive
# at once in a large invocation, and the collector would look at each of them several times.

STOP_REQUESTED: Final = "Glue Job Run Stop Requested"
"""The EventBridge detail-type under which a stop request travels on the bus."""

STOP_OUTCOME: Final = "Glue Job Run Stop Outcome"
OUTCOME_SOURCE: Final = "gluebrake"
"""The EventBridge detail-type and source under which we tell what became of a run."""

NAMESPACE: Final = "Gluebrake"
"""The namespace of the functions' metrics."""

ATTEMPT: Final = "GluebrakeAttempt"
SENDER: Final = "GluebrakeSender"
SUBMITTED_AT: Final = "GluebrakeSubmittedAt"
"""The message attributes that carry our bookkeeping."""

# What the pattern of Glue's API reference leaves out, for every dialect of regex. It stands in the schema only:
# `gluebrake.parsing.dispatcher.stop_request` checks the characters, since `$` lets a trailing newline through.
_GLUE_PATTERN: Final = {"pattern": r"^[^\u0000-\u0008\u000A-\u001F\uFFFE\uFFFF]*$"}

# What SQS cannot carry.
_TEXT_PATTERN: Final = {"pattern": r"^[^\u0000-\u0008\u000B\u000C\u000E-\u001F\uFFFE\uFFFF]*$"}

Name = Annotated[str, Meta(min_length=1, max_length=255, extra_json_schema=_GLUE_PATTERN)]
"""A job name or a run id: Glue's own limits."""

Note = Annotated[str, Meta(min_length=1, max_length=1024, extra_json_schema=_TEXT_PATTERN)]
"""Free text for people; the limit keeps a re-sent message within what SQS takes."""


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
