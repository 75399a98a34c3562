"""Reads jobs and their runs for a sweep: one call at a time, so that STOP keeps most of Glue's call rate."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from gluebrake.aws import glue_responses
from gluebrake.aws.call_budget import NotStartedError, botocore_retries
from gluebrake.aws.findings import CallError
from gluebrake.aws.listings import is_last_page, name_pages, run_pages
from gluebrake.error_codes import NO_ANSWER, THROTTLED
from gluebrake.grouping import chunked
from gluebrake.model import JobDefinition, JobReading, RunFacts

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient

JOBS_IN_A_CALL: Final = 25
"""The limit of BatchStopJobRun. AWS documents no limit for BatchGetJobs."""

_SECONDS_BETWEEN_CALLS: Final = 0.1
_MAX_THROTTLED_IN_A_ROW: Final = 3
_SECONDS_AFTER_THROTTLING: Final = 1.0
_SHORTEST_CALL_SECONDS: Final = 1.0

_NO_TIME: Final = "no time was left"
_THROTTLED: Final = f"Glue throttled {_MAX_THROTTLED_IN_A_ROW} calls in a row"


@dataclass(slots=True, eq=False, repr=False)
class Pace:
    """The pace of calls: ten a second, and no more calls after three throttled calls in a row."""

    seconds_left: Callable[[], float]
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    throttled: int = 0
    _next: float = 0.0

    def wait(self) -> None:
        """Wait until the next call may start. Raise NotStartedError, with the reason, if no call may start."""
        if reason := self.ended:
            raise NotStartedError(reason)
        self.sleep(self._pause())
        self._next = self.clock() + _SECONDS_BETWEEN_CALLS

    @property
    def ended(self) -> str:
        """Why no more calls may start, empty if the next call may start."""
        if self.throttled >= _MAX_THROTTLED_IN_A_ROW:
            return _THROTTLED
        return _NO_TIME if self.seconds_left() - self._pause() < _SHORTEST_CALL_SECONDS else ""

    def _pause(self) -> float:
        return max(0.0, self._next - self.clock())

    def record(self, error_code: str) -> bool:
        """Record a response. Return whether Glue throttled the call."""
        if error_code not in THROTTLED:
            self.throttled = 0
            return False
        self.throttled += 1
        self._next = self.clock() + _SECONDS_AFTER_THROTTLING * self.throttled
        return True


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class JobReader:
    """The part of Glue's API that a sweep needs. It cannot stop a run.

    `pace` is for the calls that list jobs and runs. `closing_pace` is for the definitions and tags of the few
    jobs whose runs match, and may use the time that `pace` leaves.
    """

    client: GlueClient
    job_arn_prefix: str
    protect_tag: str
    pace: Pace
    closing_pace: Pace
    calls: Counter[str] = field(default_factory=Counter)

    def job_names(self, tags: Mapping[str, str]) -> list[str]:
        """List the jobs that have all the tags. Raise CallError or NotStartedError if not all can be listed."""
        pages = name_pages(partial(self._call, self.client.list_jobs, self.pace), tags)
        return [name for page in pages for name in page]

    def read(self, job_name: str, oldest_active: datetime) -> JobReading:
        """Read a job's runs, newest first, until a run that started before `oldest_active`.

        No exception is raised. If not all pages can be read, the reading is not complete.
        """
        runs: dict[str, RunFacts] = {}
        error = ""
        try:
            for page in run_pages(partial(self._call, self.client.get_job_runs, self.pace), job_name):
                # Runs start while the pages are read, so pages may overlap. The later page has the newer state.
                runs |= {run.run_id: run for run in page}
                if is_last_page(page, oldest_active):
                    break
        except (CallError, NotStartedError) as raised:
            error = error_text(raised)
        return JobReading(
            job_name,
            complete=not error,
            not_over=tuple(run for run in runs.values() if not run.is_over),
            succeeded_seconds=tuple(run.execution_seconds for run in runs.values() if _is_usual(run)),
            error=error,
        )

    def definitions(self, job_names: Sequence[str]) -> tuple[dict[str, JobDefinition], list[str]]:
        """Return the definitions of the jobs that can be read, and the errors for all other jobs."""
        definitions: dict[str, JobDefinition] = {}
        errors: list[str] = []
        for names in chunked(job_names, JOBS_IN_A_CALL):
            try:
                response = self._call(self.client.batch_get_jobs, self.closing_pace, JobNames=list(names))
            except CallError as error:
                errors.append(f"BatchGetJobs: {error_text(error)}")
            except NotStartedError as error:
                return definitions, [*errors, f"BatchGetJobs: {error_text(error)}"]
            else:
                definitions |= glue_responses.job_definitions(response)
        return definitions, errors

    def protected(self, job_names: Iterable[str]) -> tuple[dict[str, bool], list[str]]:
        """Return whether each job that can be read has the protect tag, and the errors for all other jobs."""
        protected: dict[str, bool] = {}
        errors: list[str] = []
        for name in job_names:
            try:
                protected[name] = self._has_protect_tag(name)
            except CallError as error:
                errors.append(f"GetTags of {name}: {error_text(error)}")
            except NotStartedError as error:
                return protected, [*errors, f"GetTags: {error_text(error)}"]
        return protected, errors

    def _has_protect_tag(self, job_name: str) -> bool:
        response = self._call(
            self.client.get_tags, self.closing_pace, ResourceArn=self.job_arn_prefix + job_name
        )
        # For a job without tags, `Tags` is an empty object. A response without `Tags` proves nothing.
        if not isinstance(response.get("Tags"), Mapping):
            raise CallError(NO_ANSWER, "Glue's answer has no tags")
        return glue_responses.has_tag(response, self.protect_tag)

    def _call(self, operation: Callable[..., Any], pace: Pace, **parameters: Any) -> Mapping[str, Any]:
        """Call an operation, and repeat a throttled call until it succeeds or no more calls may start."""
        while True:
            pace.wait()
            self.calls[operation.__name__] += 1
            try:
                response: Mapping[str, Any] = operation(**parameters)
            except ClientError as error:
                self.calls[operation.__name__] += botocore_retries(error.response)
                code, text = glue_responses.error(error.response)
                if not pace.record(code):
                    raise CallError(code, text) from error
            except BotoCoreError as error:
                raise CallError(type(error).__name__, str(error)) from error
            except Exception as error:  # botocore's parsers can raise any exception for unexpected JSON
                raise CallError(NO_ANSWER, repr(error)) from error
            else:
                self.calls[operation.__name__] += botocore_retries(response)
                pace.record("")
                return response


def _is_usual(run: RunFacts) -> bool:
    """Return whether the run shows how long the job usually takes.

    A retry may repeat only a part of the job. A run without an ExecutionTime has 0 seconds here, and would make
    every other run look too long.
    """
    return run.state == "SUCCEEDED" and not run.previous_run_id and run.execution_seconds > 0


def error_text(error: CallError | NotStartedError) -> str:
    """Return why a call failed, or why it was not started."""
    return f"{error.code}: {error.text}" if isinstance(error, CallError) else str(error)
