"""Generate accounts of scheduled jobs with a year of runs, and a Glue client that serves them page by page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

from tests.support.fakes.exchange import Json

RUNS_IN_A_PAGE: Final = 200
JOBS_IN_A_PAGE: Final = 1000
"""Glue's limits, not imported from Gluebrake: the counts must be independent of what they check."""

NOW: Final = datetime(2026, 11, 24, 12, tzinfo=UTC)

HOUR: Final = 60
DAY: Final = 24 * HOUR
HISTORY_DAYS: Final = 365
"""How long Glue lists a run: https://docs.aws.amazon.com/glue/latest/webapi/API_GetJobRun.html."""

MIX: Final = ((DAY, 0.60), (4 * HOUR, 0.10), (HOUR, 0.20), (15, 0.08), (5, 0.02))
"""The minutes between two runs of a job, and the share of the jobs."""

_LONGEST_USUAL_MINUTES: Final = 50.0
_STUCK_SHARE: Final = 0.02
_STUCK_MINUTES: Final = (13 * HOUR, 7 * DAY)

_RUN: Final[Json] = {
    "Attempt": 0,
    "TriggerName": "schedule",
    "PredecessorRuns": [],
    "AllocatedCapacity": 10,
    "Timeout": 2880,
    "MaxCapacity": 10.0,
    "WorkerType": "G.1X",
    "NumberOfWorkers": 10,
    "LogGroupName": "/aws-glue/jobs",
    "GlueVersion": "5.0",
    "ExecutionClass": "STANDARD",
    "JobMode": "SCRIPT",
}


@dataclass(frozen=True, slots=True)
class ScheduledJob:
    """A job that starts a run every so many minutes. Run 0 is the newest."""

    name: str
    minutes: int
    newest: float
    """The age of the newest run, in minutes."""
    runs: int
    stuck: int | None = None
    """The one older run that is still active."""

    @property
    def usual_minutes(self) -> float:
        """How long a run takes."""
        return min(self.minutes * 0.4, _LONGEST_USUAL_MINUTES)

    def age(self, run: int) -> float:
        """Return a run's age in minutes."""
        return self.newest + run * self.minutes

    def run(self, number: int) -> Json:
        """Return a run as GetJobRuns does."""
        started = NOW - timedelta(minutes=self.age(number))
        run = {**_RUN, "Id": f"jr_{number:064x}", "JobName": self.name, "StartedOn": started}
        run["Arguments"] = {"--date": str(number), "--TempDir": "s3://bucket/temporary/"}
        if number == self.stuck or self.age(number) < self.usual_minutes:
            return {**run, "JobRunState": "RUNNING", "ExecutionTime": 0}
        completed = started + timedelta(minutes=self.usual_minutes)
        seconds = int(self.usual_minutes * 60)
        return {**run, "JobRunState": "SUCCEEDED", "CompletedOn": completed, "ExecutionTime": seconds}


def generate(jobs: int, seed: int, history_days: int = HISTORY_DAYS) -> list[ScheduledJob]:
    """Generate an account's jobs: exactly the shares of MIX, and a stuck run in one job of fifty."""
    random = Random(seed)  # noqa: S311 - not used for security
    intervals = [minutes for minutes, share in MIX for _ in range(round(share * jobs))]
    intervals = (intervals + [DAY] * jobs)[:jobs]
    stuck = set(random.sample(range(jobs), max(1, round(jobs * _STUCK_SHARE))))
    return [
        _job(f"job-{number:05}", minutes, random, history_days, is_stuck=number in stuck)
        for number, minutes in enumerate(intervals)
    ]


def _job(name: str, minutes: int, random: Random, history_days: int, *, is_stuck: bool) -> ScheduledJob:
    newest, runs = random.random() * minutes, history_days * DAY // minutes
    job = ScheduledJob(name, minutes, newest, runs)
    if not is_stuck:
        return job
    youngest, oldest = _STUCK_MINUTES
    numbers = [run for run in range(1, oldest // minutes + 1) if youngest <= job.age(run) <= oldest]
    return ScheduledJob(name, minutes, newest, runs, random.choice(numbers))


class AccountGlue:
    """A Glue client of an account. It makes a page when it is asked for it, so that it holds no runs."""

    def __init__(self, jobs: Sequence[ScheduledJob]) -> None:
        self.calls: Counter[str] = Counter()
        self.pages: Counter[str] = Counter()
        """The pages of runs that were read, by job."""
        self._jobs = {job.name: job for job in jobs}

    def list_jobs(self, *, MaxResults: int, NextToken: str = "0") -> Json:  # noqa: N803 - Glue's names
        """Return a page of names."""
        self.calls["ListJobs"] += 1
        names, start = list(self._jobs), int(NextToken)
        end = start + min(MaxResults, JOBS_IN_A_PAGE)
        return {"JobNames": names[start:end], **_next(end, len(names))}

    def get_job_runs(self, *, JobName: str, MaxResults: int, NextToken: str = "0") -> Json:  # noqa: N803 - the same
        """Return a page of a job's runs, the newest first."""
        self.calls["GetJobRuns"] += 1
        self.pages[JobName] += 1
        job, start = self._jobs[JobName], int(NextToken)
        end = min(start + min(MaxResults, RUNS_IN_A_PAGE), job.runs)
        return {"JobRuns": [job.run(number) for number in range(start, end)], **_next(end, job.runs)}

    def batch_get_jobs(self, *, JobNames: Sequence[str]) -> Json:  # noqa: N803 - the same
        """Return definitions of ETL jobs."""
        self.calls["BatchGetJobs"] += 1
        return {"Jobs": [{"Name": name, "Command": {"Name": "glueetl"}} for name in JobNames]}

    def get_tags(self, *, ResourceArn: str) -> Json:  # noqa: N803 - the same
        """Return the tags of a job that is not protected."""
        self.calls["GetTags"] += 1
        return {"Tags": {"of": ResourceArn}}


def _next(end: int, size: int) -> Json:
    return {"NextToken": str(end)} if end < size else {}
