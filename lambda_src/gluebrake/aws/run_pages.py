"""The pages of a job's runs, the newest runs first, whichever caller reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from gluebrake.aws import glue_responses
from gluebrake.aws.findings import CallError
from gluebrake.error_codes import NO_ANSWER
from gluebrake.model import RunFacts

PAGE: Final = 200
"""The most runs that one GetJobRuns call returns."""


def run_pages(get_job_runs: Callable[..., Mapping[str, Any]], job_name: str) -> Iterator[list[RunFacts]]:
    """Yield the pages of a job's runs. Raise CallError if Glue's answer is not a page, or has no end."""
    parameters: dict[str, Any] = {"JobName": job_name, "MaxResults": PAGE}
    while True:
        response = get_job_runs(**parameters)
        page = glue_responses.runs(response)
        if page is None:
            raise CallError(NO_ANSWER, "Glue's answer has no list of runs")
        yield page
        token = glue_responses.next_token(response)
        if not token:
            return
        if token == parameters.get("NextToken"):
            raise CallError(NO_ANSWER, "Glue gave the same NextToken twice, so the list has no end")
        parameters["NextToken"] = token


def is_last_page(page: Sequence[RunFacts], oldest_active: datetime) -> bool:
    """Return whether no run on a later page, which is older, can be active: none started before the time."""
    started = [run.started_on for run in page if run.started_on]
    return bool(started) and min(started) < oldest_active
