"""Decide which active runs of a job the due policies match, or warn of.

A sweep judges each job as soon as it has read the job. `sweep_conclusion` then applies types, tags and caps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from enum import StrEnum, unique
from statistics import median
from typing import Final

from msgspec import Struct

from gluebrake.decisions.dpu_usage import dpus
from gluebrake.model import JobReading, RunFacts
from gluebrake.patterns import matches_any
from gluebrake.policies import DuePolicy, Policy, Trigger

LEAST_HISTORY: Final = 10
"""The least number of successful runs of a job that `maxTimesUsual` needs."""

# About 300 years. A nonsensical number from Glue could otherwise exceed the range of a timedelta.
_LONGEST_SECONDS: Final = 1e10


@unique
class NotMatched(StrEnum):
    """A reason why a policy does not match an active run. If several reasons apply, a run has the first."""

    JOB_NOT_READ = "JobNotRead"
    STOPPING = "Stopping"
    OTHER_STATE = "OtherState"
    NO_START_TIME = "NoStartTime"
    STARTED_LATER = "StartedLater"
    OTHER_EXECUTION_CLASS = "OtherExecutionClass"
    TOO_LITTLE_HISTORY = "TooLittleHistory"
    UNKNOWN_DPUS = "UnknownDpus"
    WITHIN_LIMIT = "WithinLimit"
    UNKNOWN_TYPE = "UnknownType"
    OTHER_TYPE = "OtherType"


@unique
class NotStopped(StrEnum):
    """A reason why a sweep does not request to stop a run that a policy matches."""

    PROTECTED = "Protected"
    TAGS_UNKNOWN = "TagsUnknown"
    AUTO_SCALING = "AutoScaling"


MEANINGS: Final[Mapping[NotMatched | NotStopped, str]] = {
    NotMatched.JOB_NOT_READ: "not every page of the job's runs could be read",
    NotMatched.STOPPING: "the run is already STOPPING",
    NotMatched.OTHER_STATE: "the run is in none of the policy's states",
    NotMatched.NO_START_TIME: "Glue gives no start time",
    NotMatched.STARTED_LATER: "the run started after the due time",
    NotMatched.OTHER_EXECUTION_CLASS: "the run has another execution class",
    NotMatched.TOO_LITTLE_HISTORY: f"the job has fewer than {LEAST_HISTORY} successful runs to compare with",
    NotMatched.UNKNOWN_DPUS: "Glue does not give the run's DPUs",
    NotMatched.WITHIN_LIMIT: "the run is within the policy's limits",
    NotMatched.UNKNOWN_TYPE: "Glue does not give the job's type",
    NotMatched.OTHER_TYPE: "the job is of another type",
    NotStopped.PROTECTED: "the job has the protect tag",
    NotStopped.TAGS_UNKNOWN: "the job's tags could not be read",
    NotStopped.AUTO_SCALING: "the run has auto scaling, so its DPU-hours are not known",
}


class Candidate(Struct, frozen=True, gc=False):
    """A run that a policy matches or warns of, before the job's type and tags are known."""

    due: DuePolicy
    job_name: str
    run: RunFacts
    usual_seconds: float | None
    is_warning: bool
    is_new: bool
    """Whether the run crossed the limit since the previous sweep. Without a rate it is always true."""


class Left(Struct, frozen=True, gc=False):
    """An active run that a policy does not match, with the first reason."""

    policy: str
    job_name: str
    run: RunFacts
    reason: NotMatched


class Judgement(Struct, frozen=True, gc=False):
    """The result of all policies that consider a job, for the job's active runs."""

    job_name: str
    policies: tuple[str, ...]
    complete: bool
    candidates: tuple[Candidate, ...]
    left: tuple[Left, ...]


def means_job(policy: Policy, job_name: str) -> bool:
    """Return whether the patterns of a policy include the job's name."""
    return matches_any(policy.jobs, job_name) and not matches_any(policy.exclude, job_name)


def judge(policies: Sequence[DuePolicy], job: JobReading) -> Judgement:
    """Judge a job's active runs by the due policies that consider the job."""
    usual = usual_seconds(job)
    candidates: list[Candidate] = []
    left: list[Left] = []
    for due in policies:
        for run in job.not_over:
            reason = _not_matched(due, job, run, usual)
            is_warning = reason is NotMatched.WITHIN_LIMIT and _is_warning(due, run, usual)
            if reason is None or is_warning:
                is_new = is_warning or _is_new(due, run, usual)
                candidates.append(Candidate(due, job.job_name, run, usual, is_warning, is_new))
            else:
                left.append(Left(due.policy.name, job.job_name, run, reason))
    names = tuple(due.policy.name for due in policies)
    return Judgement(job.job_name, names, job.complete, tuple(candidates), tuple(left))


def usual_seconds(job: JobReading) -> float | None:
    """Return the median time of the job's successful runs, None if there are too few."""
    return median(job.succeeded_seconds) if len(job.succeeded_seconds) >= LEAST_HISTORY else None


def _not_matched(due: DuePolicy, job: JobReading, run: RunFacts, usual: float | None) -> NotMatched | None:
    """Return the first reason why the policy does not match the run, None if it matches."""
    policy = due.policy
    checks = (
        (not job.complete, NotMatched.JOB_NOT_READ),
        (run.state == "STOPPING", NotMatched.STOPPING),
        (run.state not in policy.states, NotMatched.OTHER_STATE),
        (run.started_on is None, NotMatched.NO_START_TIME),
        (run.started_on is not None and run.started_on > due.due, NotMatched.STARTED_LATER),
        (
            policy.execution_class not in {None, run.execution_class or "STANDARD"},
            NotMatched.OTHER_EXECUTION_CLASS,
        ),
        (policy.max_times_usual is not None and usual is None, NotMatched.TOO_LITTLE_HISTORY),
        (policy.max_dpu_hours is not None and not dpus(run), NotMatched.UNKNOWN_DPUS),
    )
    for applies, reason in checks:
        if applies:
            return reason
    within = policy.has_limit and age_at_due(due, run) <= _limit(policy, run, usual)
    return NotMatched.WITHIN_LIMIT if within else None


def _limit(policy: Policy, run: RunFacts, usual: float | None) -> timedelta:
    """Return the age over which the run exceeds every limit of the policy."""
    seconds = [(policy.max_minutes or 0) * 60.0]
    if policy.max_times_usual is not None and usual is not None:
        seconds.append(policy.max_times_usual * usual)
    if policy.max_dpu_hours is not None and (allocated := dpus(run)):
        seconds.append(policy.max_dpu_hours / allocated * 3600)
    return timedelta(seconds=min(max(seconds), _LONGEST_SECONDS))


def _is_warning(due: DuePolicy, run: RunFacts, usual: float | None) -> bool:
    """Return whether the run's warning time is in the period that ends at the due time."""
    policy = due.policy
    if policy.warn_at_percent is None or policy.period is None:
        return False
    return _crossed(due, run, _limit(policy, run, usual) * (policy.warn_at_percent / 100))


def _is_new(due: DuePolicy, run: RunFacts, usual: float | None) -> bool:
    """Return whether the run crossed the limit in the period that ends at the due time.

    Without a rate there is no such period, so the result is true. It is also true for a signal or a command.
    """
    if due.policy.period is None or due.trigger is not Trigger.SCHEDULE:
        return True
    return _crossed(due, run, _limit(due.policy, run, usual))


def _crossed(due: DuePolicy, run: RunFacts, limit: timedelta) -> bool:
    """Return whether the run reached an age in the period that ends at the due time."""
    age, period = age_at_due(due, run), due.policy.period or timedelta()
    return age - period < limit <= age


def age_at_due(due: DuePolicy, run: RunFacts) -> timedelta:
    """Return the run's age at the policy's due time."""
    return due.due - run.started_on if run.started_on else timedelta()
