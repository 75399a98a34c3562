"""The pages of GetJobRuns and ListJobs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

from gluebrake.aws import glue_responses
from gluebrake.aws.findings import CallError
from gluebrake.error_codes import NO_ANSWER
from gluebrake.model import RunFacts

T = TypeVar("T")
Call = Callable[..., Mapping[str, Any]]

PAGE: Final = 200
"""The most runs that one GetJobRuns call returns."""

JOBS_IN_A_PAGE: Final = 1000
"""The most names that one ListJobs call returns."""


def run_pages(get_job_runs: Call, job_name: str) -> Iterator[list[RunFacts]]:
    """Yield the pages of a job's runs, the newest runs first. Raise CallError as `_pages` does."""
    return _pages(get_job_runs, glue_responses.runs, "runs", JobName=job_name, MaxResults=PAGE)


def name_pages(list_jobs: Call, tags: Mapping[str, str]) -> Iterator[list[str]]:
    """Yield the pages of the names of the jobs that have all the tags. Raise CallError as `_pages` does."""
    having = {"Tags": dict(tags)} if tags else {}
    return _pages(list_jobs, glue_responses.job_names, "jobs", MaxResults=JOBS_IN_A_PAGE, **having)


def _pages(
    call: Call, parse: Callable[[Mapping[str, Any]], list[T] | None], content: str, **parameters: Any
) -> Iterator[list[T]]:
    """Yield the pages of a listing. Raise CallError if a response is not a page, or if the list has no end."""
    while True:
        response = call(**parameters)
        page = parse(response)
        if page is None:
            raise CallError(NO_ANSWER, f"Glue's answer has no list of {content}")
        yield page
        token = glue_responses.next_token(response)
        if not token:
            return
        if token == parameters.get("NextToken"):
            raise CallError(NO_ANSWER, "Glue gave the same NextToken twice, so the list has no end")
        parameters["NextToken"] = token


def is_last_page(page: Sequence[RunFacts], oldest_active: datetime) -> bool:
    """Return whether no later page has an active run: later pages have older runs, from before the time."""
    started = [run.started_on for run in page if run.started_on]
    return bool(started) and min(started) < oldest_active
