"""Builders of what a sweep works on: policies, runs, readings of jobs, and a clock for the pace of calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from gluebrake.decisions.policies import Judgement, judge
from gluebrake.decisions.sweep_conclusion import Conclusion, conclude
from gluebrake.model import JobDefinition, JobReading, RunFacts
from gluebrake.policies import DuePolicy, Policy, Trigger
from gluebrake.prices import Prices
from tests.support.builders import NOON

ETL: Final = JobDefinition("glueetl")
IDS_IN_A_REQUEST: Final = 25


def policy(name: str = "runaway", **changes: Any) -> Policy:
    """Build a policy without a limit that stops at most ten runs of any job."""
    defaults: dict[str, Any] = {"jobs": ("*",), "mode": "stop", "max_runs": 10, "reason": f"{name} says so"}
    return Policy(**{"name": name, **defaults, **changes})


def due(
    name: str = "runaway", *, at: datetime = NOON, trigger: Trigger = Trigger.SCHEDULE, **changes: Any
) -> DuePolicy:
    """Build a policy that is due at noon; `changes` are the policy's."""
    return DuePolicy(policy(name, **changes), at, trigger)


def run(run_id: str = "jr_1", *, minutes: float = 60, state: str = "RUNNING", **facts: Any) -> RunFacts:
    """Build a run of 10 DPUs that started so many minutes before noon."""
    started = {"started_on": NOON - timedelta(minutes=minutes), "max_capacity": 10.0}
    return RunFacts(run_id, state, **{**started, **facts})


def reading(*runs: RunFacts, job_name: str = "etl", **changes: Any) -> JobReading:
    """Build what was read of a job, completely unless `changes` say otherwise."""
    return JobReading(job_name, **{"complete": True, "not_over": runs, **changes})


def concluded(
    policies: Sequence[DuePolicy],
    *readings: JobReading,
    definitions: Mapping[str, JobDefinition] | None = None,
    protected: Mapping[str, bool] | None = None,
    ids_in_a_request: int = IDS_IN_A_REQUEST,
    prices: Prices | None = None,
) -> Conclusion:
    """Judge jobs by all the policies and conclude. By default each job is an ETL job that is not protected."""
    judgements: list[Judgement] = [judge(policies, job) for job in readings]
    names = [job.job_name for job in readings]
    return conclude(
        policies,
        judgements,
        dict.fromkeys(names, ETL) if definitions is None else definitions,
        dict.fromkeys(names, False) if protected is None else protected,
        ids_in_a_request=ids_in_a_request,
        prices=prices or Prices(),
    )


def requested(conclusion: Conclusion) -> list[tuple[str, str, str]]:
    """List the runs that the stop requests name, each as requester, job and run."""
    return [
        (sent.request.requested_by or "", sent.request.job_name, run_id)
        for sent in conclusion.requests
        for run_id in sent.request.job_run_ids or ()
    ]


@dataclass
class Stopwatch:
    """A clock in seconds that only `sleep` moves, and a deadline."""

    deadline: float = 900.0
    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        """Return the seconds since the start."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Move the clock."""
        self.slept.append(seconds)
        self.now += seconds

    def seconds_left(self) -> float:
        """Return the seconds until the deadline."""
        return self.deadline - self.now
