"""Count, from the generated jobs alone, the calls that find all active runs of an account."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from benchmarks.accounts import DAY, JOBS_IN_A_PAGE, RUNS_IN_A_PAGE, ScheduledJob

# A timeout has at most seven days, and a day of margin is for the time before a run's timeout starts to count.
# Without the margin the minimum is about 1 % lower. The job's own timeout is no bound, because StartJobRun can
# set another: https://docs.aws.amazon.com/glue/latest/webapi/API_StartJobRun.html, Timeout.
OLDEST_ACTIVE_MINUTES: Final = 8 * DAY


def fewest_pages(job: ScheduledJob) -> int:
    """Count the pages of a job that can hold an active run, at least one.

    A page is the last one if it ends the list, or if its oldest run is too old to be active.
    """
    recent = int((OLDEST_ACTIVE_MINUTES - job.newest) // job.minutes) + 1
    return max(1, min(recent // RUNS_IN_A_PAGE + 1, _pages(job.runs, RUNS_IN_A_PAGE)))


def fewest_calls(jobs: Sequence[ScheduledJob]) -> int:
    """Count the calls that are needed at least without knowing which jobs are active.

    BatchGetJobs has no documented limit, so one call reads the type of all jobs whose runs match.
    """
    matched = sum(job.stuck is not None for job in jobs)
    return _listing(jobs) + sum(map(fewest_pages, jobs)) + (matched > 0) + matched


def calls_of_every_page(jobs: Sequence[ScheduledJob]) -> int:
    """Count the calls of the usual script: it lists the jobs, and reads every page of each."""
    return _listing(jobs) + sum(_pages(job.runs, RUNS_IN_A_PAGE) for job in jobs)


def calls_of_child_resource(jobs: Sequence[ScheduledJob]) -> int:
    """Count the calls of Cloud Custodian's child resources: GetJobs, then all pages of GetJobRuns for each job.

    Custodian has no resource for runs. This is how it reads every resource that only its parent lists:
    https://github.com/cloud-custodian/cloud-custodian/blob/main/c7n/query.py, ChildResourceQuery. It sets
    no page size, so the largest possible pages are assumed, and GetJobs has as many jobs in a page as ListJobs.
    """
    return calls_of_every_page(jobs)


def runs_listed(jobs: Iterable[ScheduledJob]) -> int:
    """Count all runs that Glue lists."""
    return sum(job.runs for job in jobs)


def _listing(jobs: Sequence[ScheduledJob]) -> int:
    return _pages(len(jobs), JOBS_IN_A_PAGE)


def _pages(items: int, size: int) -> int:
    return max(1, -(-items // size))
