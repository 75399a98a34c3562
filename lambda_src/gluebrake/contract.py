"""The public contract: stop requests, outcome events, detail-types and attribute names.

A later version reads and writes the same.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from gluebrake.outcomes import Outcome

# `gc=False`: these values hold no reference cycles. Thousands are alive in a large invocation, and the garbage
# collector would visit each of them several times.

STOP_REQUESTED: Final = "Glue Job Run Stop Requested"
"""The EventBridge detail-type of a stop request on the bus."""

STOP_OUTCOME: Final = "Glue Job Run Stop Outcome"
"""The EventBridge detail-type of an outcome event."""

SWEEP_REPORT: Final = "Glue Sweep Report"
"""The EventBridge detail-type of a report event, which a sweep publishes."""

NOTICE: Final = "Gluebrake Notice"
"""The event type of a notice, in the metadata for chat clients."""

OUTCOME_SOURCE: Final = "gluebrake"
"""The EventBridge source of outcome events and report events."""

NAMESPACE: Final = "Gluebrake"
"""The CloudWatch namespace of the functions' metrics."""

ATTEMPT: Final = "GluebrakeAttempt"
SENDER: Final = "GluebrakeSender"
SUBMITTED_AT: Final = "GluebrakeSubmittedAt"
STAGE: Final = "GluebrakeStage"
VIA: Final = "GluebrakeVia"
"""The message attributes for retries and provenance. The attempt counts for the stage in `GluebrakeStage`."""

# Glue's pattern, in a form that all dialects of regular expressions accept. It is in the JSON Schema only. In
# Python, `$` would accept a trailing newline, so the module `characters` has the check.
_GLUE_PATTERN: Final = {"pattern": r"^[^\u0000-\u0008\u000A-\u001F\uFFFE\uFFFF]*$"}

# The characters that SQS accepts, in the JSON Schema only.
_TEXT_PATTERN: Final = {"pattern": r"^[^\u0000-\u0008\u000B\u000C\u000E-\u001F\uFFFE\uFFFF]*$"}

Name = Annotated[str, Meta(min_length=1, max_length=255, extra_json_schema=_GLUE_PATTERN)]
"""A job name or a run id, with Glue's own limits."""

Note = Annotated[str, Meta(min_length=1, max_length=1024, extra_json_schema=_TEXT_PATTERN)]
"""Free text for people. The limit keeps a retry message within SQS's maximum message size."""

Argument = Annotated[str, Meta(max_length=1024, extra_json_schema=_TEXT_PATTERN)]
"""The name or the value of a run's argument."""

ActiveState = Literal["STARTING", "RUNNING", "WAITING"]

# The descriptions are part of the JSON Schema of a stop request.
_States = Annotated[
    tuple[ActiveState, ...], Meta(min_length=1, description="Only runs in one of these states.")
]
_Minutes = Annotated[
    int,
    Meta(ge=0, le=10_080, description="Only runs that started at least so long before the message was sent."),
]
_StartedBefore = Annotated[
    datetime,
    Meta(tz=True, description="Only runs that started before this time, or before the message was sent."),
]
_StartedAfter = Annotated[datetime, Meta(tz=True, description="Only runs that started at this time or later.")]
_Arguments = Annotated[
    dict[Argument, Argument],
    Meta(
        min_length=1,
        max_length=50,
        description="Only runs that were started with all of these arguments. The job's defaults do not count.",
    ),
]
_Except = Annotated[
    tuple[Name, ...], Meta(min_length=1, description="Not these runs, by their ids in AWS Glue.")
]
_JobName = Annotated[Name, Meta(description="The job, by its name in AWS Glue.")]
_JobRunIds = Annotated[
    tuple[Name, ...], Meta(min_length=1, description="The runs, by their ids in AWS Glue. There may be many.")
]
_Reason = Annotated[
    Note, Meta(description="Why the runs are to be stopped. It is in the log and in a dead letter.")
]
_RequestedBy = Annotated[
    Note,
    Meta(
        description="Who requests the stop. It is not verified: the log also has the sender that SQS reports."
    ),
]
_DryRun = Annotated[
    bool, Meta(description="Read the runs' states and report what would be stopped. Stop nothing.")
]


_IncludeAttempts = Annotated[
    bool,
    Meta(
        description="Also stop the active attempts with which Glue retries the named runs."
        " They must have started before the message was sent."
    ),
]
_AttemptsStartedBefore = Annotated[
    datetime,
    Meta(
        tz=True,
        description="With IncludeAttempts: only attempts that started before this time,"
        " or before the message was sent.",
    ),
]


class Selection(Struct, frozen=True, gc=False, forbid_unknown_fields=True, rename="pascal", omit_defaults=True):
    """Which active runs of a job to stop, instead of run ids. Empty means every active run."""

    states: _States | UnsetType = UNSET
    older_than_minutes: _Minutes | UnsetType = UNSET
    started_before: _StartedBefore | UnsetType = UNSET
    started_after: _StartedAfter | UnsetType = UNSET
    arguments: _Arguments | UnsetType = UNSET
    exclude: _Except | UnsetType = field(default=UNSET, name="Except")

    def __hash__(self) -> int:
        """Return a hash of some fields, because the field `arguments` is a dict, which cannot be hashed."""
        return hash((self.states, self.started_before, self.exclude))


class StopRequest(
    Struct, frozen=True, gc=False, forbid_unknown_fields=True, rename="pascal", omit_defaults=True
):
    """A request to stop runs of one job: BatchStopJobRun's request without its limit of 25 runs, and more."""

    job_name: _JobName
    job_run_ids: _JobRunIds | UnsetType = UNSET
    select: Selection | UnsetType = UNSET
    reason: _Reason | UnsetType = UNSET
    requested_by: _RequestedBy | UnsetType = UNSET
    dry_run: _DryRun = False
    include_attempts: _IncludeAttempts = False
    attempts_started_before: _AttemptsStartedBefore | UnsetType = UNSET


class StopOutcome(Struct, frozen=True, gc=False, kw_only=True, rename="camel", omit_defaults=True):
    """The outcome of a run that a request named or selected, or of a request for which no run was found.

    Unknown values are left out.
    """

    job_name: Annotated[str, Meta(description="The job, by its name in AWS Glue.")]
    job_run_id: Annotated[str, Meta(description="Left out when the outcome is that of a whole request.")] = ""
    outcome: Annotated[Outcome, Meta(description="What became of the run or request: a final outcome.")]
    state: Annotated[str, Meta(description="The run's state, as Glue last reported it.")] = ""
    error_code: Annotated[str, Meta(description="Glue's error code, or Gluebrake's where Glue gave none.")] = ""
    error_message: Annotated[str, Meta(description="The error in words, for people.")] = ""
    dry_run: Annotated[bool, Meta(description="Whether the request was a dry run, which stops nothing.")] = (
        False
    )
    reason: Annotated[str, Meta(description="The request's Reason.")] = ""
    requested_by: Annotated[str, Meta(description="The request's RequestedBy, which is not verified.")] = ""
    sender: Annotated[str, Meta(description="The sender of the request, as SQS reports it.")] = ""
    via: Annotated[
        str,
        Meta(description="The event, notification or alarm action that carried the request, by its own words."),
    ] = ""
    attempt: Annotated[int, Meta(ge=0, description="The number of earlier attempts, or of earlier polls.")] = 0
    submitted_at: Annotated[
        Annotated[datetime, Meta(tz=True)] | None, Meta(description="When Glue was asked to stop the run.")
    ] = None
    settled_at: Annotated[datetime, Meta(tz=True, description="When the outcome was decided.")]
    time_to_stop_seconds: Annotated[
        Annotated[float, Meta(ge=0)] | None, Meta(description="From submission to Glue's CompletedOn.")
    ] = None
    dpus_released: Annotated[
        Annotated[float, Meta(ge=0)] | None, Meta(description="Data processing units that the run had.")
    ] = None
    dpu_hours_consumed: Annotated[
        Annotated[float, Meta(ge=0)] | None, Meta(description="DPU-hours that the run used until it ended.")
    ] = None
    estimated_cost_usd: Annotated[
        Annotated[float, Meta(ge=0)] | None,
        Meta(description="An estimate of the cost of these DPU-hours in US dollars, by the configured prices."),
    ] = None
    further_cost_usd_at_most: Annotated[
        Annotated[float, Meta(ge=0)] | None,
        Meta(
            description="An estimate of what a stopped run could have cost besides, at most: until its Timeout."
            " Do not add these up: a retry of the run can cost it again."
        ),
    ] = None
    dpu_hours_at_most: Annotated[
        Annotated[float, Meta(ge=0)] | None,
        Meta(description="An upper bound of the DPU-hours that the run, which is active, has used."),
    ] = None
    estimated_cost_usd_at_most: Annotated[
        Annotated[float, Meta(ge=0)] | None,
        Meta(description="An estimate of the cost of that upper bound in US dollars."),
    ] = None
