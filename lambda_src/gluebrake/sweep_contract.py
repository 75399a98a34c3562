"""The public contract of SWEEP: the request that starts a sweep, and the report event.

A later version reads and writes the same. Only SWEEP and the operator's command import this module.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct


class SweepRequest(Struct, frozen=True, gc=False, forbid_unknown_fields=True, rename="pascal"):
    """A request that SWEEP applies deployed policies, as of a due time. It is the input of the schedules."""

    policies: Annotated[tuple[str, ...], Meta(min_length=1)]
    due: Annotated[datetime, Meta(tz=True)]


class ReportedRun(Struct, frozen=True, gc=False, kw_only=True, rename="camel", omit_defaults=True):
    """An active run that a policy matches, or warns of. Unknown values are left out."""

    policy: Annotated[str, Meta(description="The policy's name.")]
    job_name: Annotated[str, Meta(description="The job, by its name in AWS Glue.")]
    job_run_id: Annotated[str, Meta(description="The run, by its id in AWS Glue.")]
    state: Annotated[str, Meta(description="The run's state, as Glue reported it.")]
    started_on: Annotated[datetime, Meta(tz=True, description="When the run started.")]
    minutes: Annotated[float, Meta(ge=0, description="The run's age at the policy's due time.")]
    usual_minutes: Annotated[
        Annotated[float, Meta(ge=0)] | None,
        Meta(description="The median time of the job's successful runs, without retries."),
    ] = None
    dpu_hours_at_most: Annotated[
        Annotated[float, Meta(ge=0)] | None,
        Meta(description="An upper bound of the DPU-hours that the run used until the due time."),
    ] = None
    estimated_cost_usd_at_most: Annotated[
        Annotated[float, Meta(ge=0)] | None,
        Meta(description="An estimate of the cost of these DPU-hours in US dollars, by the configured prices."),
    ] = None
    trigger_name: Annotated[str, Meta(description="The Glue trigger that started the run.")] = ""
    warning: Annotated[bool, Meta(description="The run is only near the policy's limit.")] = False
    newly_matched: Annotated[
        bool,
        Meta(description="Whether the run crossed the limit since the sweep before. True without a rate(…)."),
    ] = False
    not_stopped: Annotated[
        str, Meta(description="Why the policy does not request to stop the run though it matches.")
    ] = ""
    stop_requested: Annotated[bool, Meta(description="Whether this sweep requested to stop the run.")] = False

    @property
    def is_stoppable(self) -> bool:
        """Whether the run counts against `maxRuns`: it is over every limit, and nothing protects it."""
        return not self.warning and not self.not_stopped


class PolicyReport(Struct, frozen=True, gc=False, kw_only=True, rename="camel"):
    """What a sweep found for a policy."""

    policy: Annotated[str, Meta(description="The policy's name.")]
    hash: Annotated[str, Meta(description="Changes with any field of the policy.")]
    mode: Annotated[Literal["report", "stop"], Meta(description="Whether the policy stops runs.")]
    trigger: Annotated[Literal["schedule", "signal", "command"], Meta(description="What made the policy due.")]
    due: Annotated[datetime, Meta(tz=True, description="The moment at which ages were counted.")]
    jobs: Annotated[int, Meta(ge=0, description="How many jobs the policy considered.")]
    jobs_not_read: Annotated[int, Meta(ge=0, description="How many of them could not be read whole.")]
    matched: Annotated[int, Meta(ge=0, description="How many runs the policy matches.")]
    warned: Annotated[int, Meta(ge=0, description="How many runs are near the policy's limit.")]
    stoppable: Annotated[int, Meta(ge=0, description="How many of the matched runs count against maxRuns.")]
    max_runs: Annotated[int, Meta(ge=1, description="The policy's maxRuns.")]
    over_cap: Annotated[bool, Meta(description="Whether `stoppable` exceeds `maxRuns`: no run is stopped.")]
    stop_requested: Annotated[int, Meta(ge=0, description="How many runs this policy requested to stop.")]
    not_matched: Annotated[
        dict[str, int], Meta(description="How many active runs it does not match, by the first reason.")
    ]


class SweepReport(Struct, frozen=True, gc=False, kw_only=True, rename="camel"):
    """What a sweep found: the detail of a report event."""

    swept_at: Annotated[datetime, Meta(tz=True, description="When the sweep ended.")]
    complete: Annotated[bool, Meta(description="Whether every job in question was read whole.")]
    jobs_not_read: Annotated[tuple[str, ...], Meta(description="The jobs that were not read whole.")]
    jobs_left_out: Annotated[
        tuple[str, ...],
        Meta(description="The jobs that policies name, and that `jobs` or `protectedJobs` exclude."),
    ] = ()
    errors: Annotated[tuple[str, ...], Meta(description="Why calls to Glue failed, each reason once.")]
    policies: Annotated[
        tuple[PolicyReport, ...], Meta(description="The due policies, in the configuration's order.")
    ]
    runs: Annotated[tuple[ReportedRun, ...], Meta(description="The runs that policies match.")]
    truncated: Annotated[
        bool, Meta(description="Whether a list has only the first 100 entries, or fewer long ones.")
    ] = False
