"""The states of runs, read from Glue with a few calls."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Final, TypeVar

from gluebrake.grouping import grouped
from gluebrake.model import JobRun

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient

T = TypeVar("T")

_MOST_SINGLE_RUNS: Final = 5
_MOST_JOBS: Final = 5
"""The most jobs of one reading. All callers of an account share Glue's call rate, and the next poll follows."""


def read(client: GlueClient, runs: Iterable[JobRun]) -> dict[JobRun, str]:
    """Read the states of a few runs. If there are more runs, read the pages of jobs with several runs first.

    Jobs and runs are chosen at random, so that runs that Glue does not know do not block the other runs.
    """
    waiting = dict.fromkeys(runs)
    found: dict[JobRun, str] = {}
    if len(waiting) > _MOST_SINGLE_RUNS:
        shared = [of_job for of_job in grouped(waiting, attrgetter("job_name")).values() if len(of_job) > 1]
        for of_job in _chosen(shared, _MOST_JOBS):
            found |= _read_pages(client, of_job)
    singles = _chosen([run for run in waiting if run not in found], _MOST_SINGLE_RUNS)
    return {**found, **{run: state for run in singles if (state := _read_one(client, run))}}


def read_all(client: GlueClient, runs: Iterable[JobRun]) -> dict[JobRun, str]:
    """Read the state of each run. The result lacks runs that Glue does not know."""
    waiting = dict.fromkeys(runs)
    found: dict[JobRun, str] = {}
    if len(waiting) > _MOST_SINGLE_RUNS:
        for of_job in grouped(waiting, attrgetter("job_name")).values():
            found |= _read_pages(client, of_job)
    singles = [run for run in waiting if run not in found]
    return {**found, **{run: state for run in singles if (state := _read_one(client, run))}}


def knows_job(client: GlueClient, job_name: str) -> bool:
    """Return whether Glue knows a job. Raise the error if the call fails for another reason."""
    try:
        client.get_job_runs(JobName=job_name, MaxResults=1)
    except client.exceptions.EntityNotFoundException:
        return False
    return True


def _chosen(items: Sequence[T], most: int) -> Sequence[T]:
    return random.sample(items, min(len(items), most))


def _read_pages(client: GlueClient, runs: Collection[JobRun]) -> dict[JobRun, str]:
    """Read pages of a job's runs while each page shows at least one of these runs."""
    found: dict[JobRun, str] = {}
    (job_name,) = {run.job_name for run in runs}
    for page in client.get_paginator("get_job_runs").paginate(JobName=job_name):
        shown = {JobRun(job_name, run["Id"]): run["JobRunState"] for run in page["JobRuns"]}
        on_page = {run: shown[run] for run in runs if run in shown}
        found |= on_page
        if not on_page or len(found) == len(runs):
            break
    return found


def _read_one(client: GlueClient, run: JobRun) -> str:
    try:
        answer = client.get_job_run(JobName=run.job_name, RunId=run.run_id)
    except client.exceptions.EntityNotFoundException:
        return ""
    return answer["JobRun"]["JobRunState"]
