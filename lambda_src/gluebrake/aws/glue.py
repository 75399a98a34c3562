"""Stops Glue job runs, reads their states, and lists active runs.

The results are findings, one for each target. `gluebrake.decisions` turns findings into outcomes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from msgspec.structs import replace

from gluebrake.aws import glue_responses
from gluebrake.aws.call_budget import CallBudget, NotStartedError, fan_out
from gluebrake.aws.findings import (
    CallError,
    Group,
    by_job,
    not_called,
    read_response,
    split,
    unread,
    with_state,
    without_response,
)
from gluebrake.aws.listings import is_last_page, run_pages
from gluebrake.error_codes import DENIED, INVALID, NO_ANSWER, NOT_FOUND
from gluebrake.model import ActiveRuns, Finding, Observation, RunFacts, StopBatch, StopTarget

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient

Response = Mapping[str, Any]
_SEVERAL: Final = 2
# A run ends after seven days. A streaming run can last until the weekly maintenance window after that:
# https://docs.aws.amazon.com/glue/latest/webapi/API_JobRun.html, Timeout.
_OLDEST_ACTIVE: Final = timedelta(days=15)
_UNUSABLE_RUN: Final = CallError(NO_ANSWER, "Glue's answer has no run with an id and a state")
_NO_RESPONSE_IN_TIME: Final = "no answer arrived before the function's deadline"

# The observation of every run of a call that Glue refused as a whole. An error for invalid input or an unknown
# run does not name the run, so the states are read.
_OBSERVED_BY_CODE: Final = {
    **dict.fromkeys(DENIED, Observation.DENIED),
    **dict.fromkeys({*INVALID, NOT_FOUND}, Observation.UNKNOWN),
}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Glue:
    """The part of Glue's API that stopping runs needs."""

    client: GlueClient
    calls_at_once: int
    protect_tag: str = ""
    job_arn_prefix: str = ""

    def stop(self, batches: Sequence[StopBatch], budget: CallBudget) -> list[Finding]:
        """Stop the runs, one call for each batch. Read unknown states, and the tags of jobs that IAM denied."""
        groups = [[Finding(target, Observation.NOT_CALLED) for target in batch.targets] for batch in batches]
        findings = self._read_unknown(self._each(self._stop_runs, groups, budget), budget)
        denied, rest = split(findings, Observation.DENIED)
        return [*rest, *self._each(self._mark_protected, by_job(denied), budget)]

    def read_states(self, targets: Sequence[StopTarget], budget: CallBudget) -> list[Finding]:
        """Read the states of the runs. No run is stopped."""
        return self._read_unknown([Finding(target, Observation.UNKNOWN) for target in targets], budget)

    def dry_run(self, targets: Sequence[StopTarget], budget: CallBudget) -> list[Finding]:
        """Read the states of the runs, and the tags of the jobs whose runs are not over."""
        findings = self.read_states(targets, budget)
        not_over = [finding for finding in findings if finding.run and not finding.run.is_over]
        rest = [finding for finding in findings if not finding.run or finding.run.is_over]
        return [*rest, *self._each(self._mark_protected, by_job(not_over), budget)]

    def list_active(
        self, ended_since: Mapping[str, datetime | None], budget: CallBudget, now: datetime
    ) -> dict[str, ActiveRuns]:
        """List each job's runs that are not over, and its runs that ended since its time in `ended_since`."""
        listed = fan_out(
            lambda job: self._list_job(*job, budget, now),
            list(ended_since.items()),
            workers=self.calls_at_once,
            seconds=budget.usable_seconds(),
        )
        return {name: _active_runs(name, future) for (name, _), future in listed}

    def _list_job(
        self, job_name: str, ended_since: datetime | None, budget: CallBudget, now: datetime
    ) -> ActiveRuns:
        pages: list[list[RunFacts]] = []
        try:
            for page in self._pages(job_name, budget):
                pages.append(page)
                if is_last_page(page, now - _OLDEST_ACTIVE):
                    break
        except NotStartedError as error:
            if not pages:
                raise
            # An incomplete list could miss the runs that the request means.
            raise CallError(NO_ANSWER, "there was no time to read all of the job's runs") from error
        listed = [run for page in pages for run in page if not run.is_over or run.ended_since(ended_since)]
        return ActiveRuns(job_name, complete=True, runs=tuple(listed))

    def _pages(self, job_name: str, budget: CallBudget) -> Iterator[list[RunFacts]]:
        """Yield the pages of a job's runs, the newest runs first."""
        return run_pages(partial(self._call, self.client.get_job_runs, budget), job_name)

    def _stop_runs(self, group: Group, budget: CallBudget, *, is_half: bool = False) -> Group:
        """Stop the runs by one call. Halve a group that Glue refuses as invalid, to find the invalid run."""
        run_ids = [finding.target.run.run_id for finding in group]
        try:
            response = self._call(
                self.client.batch_stop_job_run, budget, JobName=_job_name(group), JobRunIds=run_ids
            )
        except NotStartedError:
            return group
        except CallError as error:
            observation = _OBSERVED_BY_CODE.get(error.code, Observation.CALL_FAILED)
            refused = [replace(f, observation=observation, code=error.code, error=error.text) for f in group]
            if error.code not in INVALID or len(group) == 1:
                return refused
            if not is_half and not self._is_valid_job(_job_name(group), budget):
                return refused
            half = len(group) // 2
            return [
                finding
                for part in (refused[:half], refused[half:])
                for finding in self._stop_runs(part, budget, is_half=True)
            ]
        return read_response(group, response)

    def _is_valid_job(self, job_name: str, budget: CallBudget) -> bool:
        """Return whether Glue accepts the job's name. If not, Glue would refuse each half of a batch too."""
        try:
            self._call(self.client.get_job_runs, budget, JobName=job_name, MaxResults=1)
        except (NotStartedError, CallError) as error:
            return not (isinstance(error, CallError) and error.code in INVALID)
        return True

    def _read_unknown(self, findings: Group, budget: CallBudget) -> Group:
        """Read unknown states: pages of a job while each shows several of its runs, then single runs."""
        unknown, known = split(findings, Observation.UNKNOWN)
        groups = by_job(unknown)
        paged = self._each(self._read_pages, [group for group in groups if len(group) > 1], budget)
        missed, on_pages = split(paged, Observation.UNKNOWN)
        singles = [*(group for group in groups if len(group) == 1), *([finding] for finding in missed)]
        return [*known, *on_pages, *self._each(self._read_run, singles, budget)]

    def _read_pages(self, group: Group, budget: CallBudget) -> Group:
        """Read pages, newest runs first, while a page saves calls because it shows several of the runs."""
        read: Group = []
        try:
            for page in self._pages(_job_name(group), budget):
                on_page = {run.run_id: run for run in page}
                findings = [with_state(finding, on_page.get(finding.target.run.run_id)) for finding in group]
                group, shown = split(findings, Observation.UNKNOWN)
                read += shown
                if min(len(shown), len(group)) < _SEVERAL:
                    break
        except NotStartedError:
            return [*read, *group]
        except CallError as error:
            return [*read, *(unread(finding, error) for finding in group)]
        return [*read, *group]

    def _read_run(self, group: Group, budget: CallBudget) -> Group:
        (finding,) = group
        run = finding.target.run
        try:
            response = self._call(self.client.get_job_run, budget, JobName=run.job_name, RunId=run.run_id)
        except CallError as error:
            return [unread(finding, error)]
        facts = glue_responses.run_facts(response.get("JobRun"))
        return [with_state(finding, facts) if facts else unread(finding, _UNUSABLE_RUN)]

    def _mark_protected(self, group: Group, budget: CallBudget) -> Group:
        try:
            protected = self._is_protected(_job_name(group), budget)
        except CallError as error:
            return group if error.code in DENIED else [unread(finding, error) for finding in group]
        return (
            [replace(finding, observation=Observation.PROTECTED) for finding in group] if protected else group
        )

    def _is_protected(self, job_name: str, budget: CallBudget) -> bool:
        """Return whether the job has the protect tag. IAM compares tag keys without regard to case."""
        response = self._call(self.client.get_tags, budget, ResourceArn=self.job_arn_prefix + job_name)
        return glue_responses.has_tag(response, self.protect_tag)

    def _each(
        self, work: Callable[[Group, CallBudget], Group], groups: Sequence[Group], budget: CallBudget
    ) -> Group:
        done = fan_out(
            lambda group: work(group, budget),
            groups,
            workers=self.calls_at_once,
            seconds=budget.usable_seconds(),
        )
        return [finding for group, future in done for finding in _findings(future, group)]

    def _call(self, operation: Callable[..., Any], budget: CallBudget, **parameters: Any) -> Response:
        budget.start(operation.__name__)
        try:
            response: Response = operation(**parameters)
        except ClientError as error:
            code, text = glue_responses.error(error.response)
            budget.record_response(operation.__name__, error.response, code)
            raise CallError(code, text) from error
        except BotoCoreError as error:
            raise CallError(type(error).__name__, str(error)) from error
        budget.record_response(operation.__name__, response)
        return response


def _findings(future: Future[Group], group: Group) -> Group:
    """Return the findings of a group. If the work did not complete, each finding says why."""
    if future.cancelled() or (future.done() and isinstance(future.exception(), NotStartedError)):
        return [not_called(finding) for finding in group]
    if not future.done():
        return [without_response(finding, _NO_RESPONSE_IN_TIME) for finding in group]
    if error := future.exception():
        return [without_response(finding, repr(error)) for finding in group]
    return future.result()


def _active_runs(job_name: str, future: Future[ActiveRuns]) -> ActiveRuns:
    """Return a job's active runs, or why not all of them could be listed."""
    if future.cancelled():
        return ActiveRuns(job_name)
    if not future.done():
        return ActiveRuns(job_name, code=NO_ANSWER, error=_NO_RESPONSE_IN_TIME)
    match future.exception():
        case None:
            return future.result()
        case NotStartedError():
            return ActiveRuns(job_name)
        case CallError(code=code, text=text):
            return ActiveRuns(job_name, code=code, error=text)
        case error:
            return ActiveRuns(job_name, code=NO_ANSWER, error=repr(error))


def _job_name(group: Group) -> str:
    """Return the name of the job to which all runs of the group belong."""
    return group[0].target.run.job_name
