"""The only module that talks to Glue: stop and look. It returns findings, one for each demand, not outcomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from msgspec.structs import replace

from gluebrake.model import ActiveRuns, Finding, Observation, RunFacts, StopBatch, StopTarget

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_glue.type_defs import (
        BatchStopJobRunResponseTypeDef,
        ErrorDetailTypeDef,
        GetJobRunsResponseTypeDef,
        JobRunTypeDef,
    )

T = TypeVar("T")
R = TypeVar("R")
Group = list[Finding]
"""Findings of runs of one job."""
Work = Callable[[Group, "CallBudget"], Group]

# The codes by which AWS says "slower": https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
THROTTLED: Final = frozenset(
    {"ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown"}
)
_DENIED: Final = frozenset({"AccessDeniedException", "AccessDenied"})
_INVALID: Final = frozenset({"InvalidInputException", "ValidationException"})
_NOT_FOUND: Final = "EntityNotFoundException"
_NO_ANSWER: Final = "NoAnswer"
_THROTTLED_ENOUGH: Final = 3
_SEVERAL: Final = 2
_SHORTEST_CALL_SECONDS: Final = 1.0
_CLOSING_SECONDS: Final = 1.0
# A run lasts seven days at most: https://docs.aws.amazon.com/glue/latest/webapi/API_JobRun.html, Timeout.
_OLDEST_ACTIVE: Final = timedelta(days=8)

# What the refusal of a whole call says of its runs. An invalid or unknown one is looked at: which run was it?
_REFUSED_AS: Final = {
    **dict.fromkeys(_DENIED, Observation.DENIED),
    **dict.fromkeys({*_INVALID, _NOT_FOUND}, Observation.UNKNOWN),
}

PAGE: Final = 200
"""The most runs that one GetJobRuns call returns, the newest first."""


class CallError(Exception):
    """A call to Glue that did not succeed: Glue's error code, or the exception's name."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(code, text)
        self.code, self.text = code, text


class NotStartedError(Exception):
    """A call that the pace did not let start."""


@dataclass(slots=True)
class CallBudget:
    """Which calls of an invocation may start, and how many did.

    The first always may, so that each invocation gets something done. After it, none starts once the
    seconds left have come down to what is reserved for settling, or Glue has throttled several calls.
    """

    seconds_left: Callable[[], float]
    reserved: float = field(default=0.0, init=False)
    calls: Counter[str] = field(default_factory=Counter, init=False)
    throttled: int = field(default=0, init=False)
    _lock: Lock = field(default_factory=Lock, init=False, repr=False)

    def reserve_for_dispatch(self, seconds: float) -> None:
        """Keep so much time for settling, but never more than half of what is left."""
        self.reserved = min(seconds, self.seconds_left() / 2)

    def start(self, operation: str) -> None:
        """Count a call, or raise NotStartedError."""
        with self._lock:
            if self.is_exhausted():
                raise NotStartedError
            self.calls[operation] += 1

    def is_exhausted(self) -> bool:
        """Return whether no more call will start."""
        slow_down = self.throttled >= _THROTTLED_ENOUGH or self.usable_seconds() < _SHORTEST_CALL_SECONDS
        return slow_down and bool(self.calls)

    def record_response(self, operation: str, answer: Any, error_code: str = "") -> None:
        """Take note of an answer: how often botocore had to ask for it, and whether Glue is throttling."""
        with self._lock:
            self.calls[operation] += _retries(answer)
            self.throttled += error_code in THROTTLED

    def usable_seconds(self) -> float:
        """Return how long answers may still be waited for."""
        return max(0.0, self.seconds_left() - self.reserved)

    def leftover_seconds(self) -> float:
        """Return how much of what was reserved may go to what nothing depends on."""
        return min(self.reserved, self.seconds_left() - _CLOSING_SECONDS)


@dataclass(frozen=True, slots=True)
class Glue:
    """Glue, as far as stopping needs it."""

    client: GlueClient
    calls_at_once: int
    protect_tag: str
    job_arn_prefix: str

    def stop(self, batches: Sequence[StopBatch], budget: CallBudget) -> list[Finding]:
        """Stop the runs, one call a batch; read back those in doubt, and ask why a job's were denied."""
        groups = [[Finding(target, Observation.NOT_CALLED) for target in batch.targets] for batch in batches]
        findings = self._look_into(self._at_once(self._stop_runs, groups, budget), budget)
        denied, others = _parted(findings, Observation.DENIED)
        return [*others, *self._at_once(self._explain_denial, _by_job(denied), budget)]

    def look(self, targets: Sequence[StopTarget], budget: CallBudget) -> list[Finding]:
        """Read the states of the runs, and call nothing else."""
        return self._look_into([Finding(target, Observation.UNKNOWN) for target in targets], budget)

    def find(self, job_names: Collection[str], budget: CallBudget, now: datetime) -> dict[str, ActiveRuns]:
        """Search each job for its active runs."""
        searches = self._pooled(lambda name: self._search(name, budget, now), list(job_names), budget)
        return {name: _searched(name, future) for name, future in searches}

    def _search(self, job_name: str, budget: CallBudget, now: datetime) -> ActiveRuns:
        runs: list[RunFacts] = []
        parameters: dict[str, Any] = {"JobName": job_name, "MaxResults": PAGE}
        while True:
            page = self._next_page(budget, parameters)
            facts = [_facts(run) for run in page["JobRuns"]]
            runs += [run for run in facts if run.is_active]
            if "NextToken" not in page or _ends_the_search(facts, now):
                return ActiveRuns(job_name, complete=True, runs=tuple(runs))
            parameters["NextToken"] = page["NextToken"]

    def _next_page(self, budget: CallBudget, parameters: dict[str, Any]) -> GetJobRunsResponseTypeDef:
        """Read a page; to have no time for a further one is an error, since the search was begun in vain."""
        try:
            return self._call(self.client.get_job_runs, budget, **parameters)
        except NotStartedError as error:
            if "NextToken" in parameters:
                raise CallError(_NO_ANSWER, "there was no time to read all of the job's runs") from error
            raise

    def _stop_runs(self, group: Group, budget: CallBudget) -> Group:
        run_ids = [finding.target.run.run_id for finding in group]
        try:
            answer = self._call(
                self.client.batch_stop_job_run, budget, JobName=_job_name(group), JobRunIds=run_ids
            )
        except NotStartedError:
            return group
        except CallError as error:
            if error.code in _INVALID and len(group) > 1:
                half = len(group) // 2
                return [*self._stop_runs(group[:half], budget), *self._stop_runs(group[half:], budget)]
            observation = _REFUSED_AS.get(error.code, Observation.CALL_FAILED)
            return [replace(f, observation=observation, code=error.code, error=error.text) for f in group]
        return _read_answer(group, answer, repeated=_retries(answer) > 0)

    def _look_into(self, findings: Group, budget: CallBudget) -> Group:
        """Read the states of the runs in doubt: pages of a job while they show several, then run by run."""
        doubts, clear = _parted(findings, Observation.UNKNOWN)
        groups = _by_job(doubts)
        paged = self._at_once(self._look_at_pages, [group for group in groups if len(group) > 1], budget)
        unseen, on_page = _parted(paged, Observation.UNKNOWN)
        singles = [*(group for group in groups if len(group) == 1), *([finding] for finding in unseen)]
        return [*clear, *on_page, *self._at_once(self._look_at_run, singles, budget)]

    def _look_at_pages(self, group: Group, budget: CallBudget) -> Group:
        """Read pages, the newest runs first: after one that shows several of the runs the next spares calls."""
        parameters: dict[str, Any] = {"JobName": _job_name(group), "MaxResults": PAGE}
        observation: Group = []
        while True:
            try:
                page = self._call(self.client.get_job_runs, budget, **parameters)
            except NotStartedError:
                return [*observation, *group]
            except CallError as error:
                return [*observation, *(_unread(finding, error) for finding in group)]
            on_page = {run["Id"]: run for run in page["JobRuns"]}
            looked = [_looked_at(finding, on_page.get(finding.target.run.run_id)) for finding in group]
            group, shown = _parted(looked, Observation.UNKNOWN)
            observation += shown
            if min(len(shown), len(group)) < _SEVERAL or "NextToken" not in page:
                return [*observation, *group]
            parameters["NextToken"] = page["NextToken"]

    def _look_at_run(self, group: Group, budget: CallBudget) -> Group:
        (finding,) = group
        run = finding.target.run
        try:
            answer = self._call(self.client.get_job_run, budget, JobName=run.job_name, RunId=run.run_id)
        except CallError as error:
            return [_unread(finding, error)]
        return [_looked_at(finding, answer["JobRun"])]

    def _explain_denial(self, group: Group, budget: CallBudget) -> Group:
        try:
            answer = self._call(
                self.client.get_tags, budget, ResourceArn=self.job_arn_prefix + _job_name(group)
            )
        except CallError as error:
            return group if error.code in _DENIED else [_unread(finding, error) for finding in group]
        if self.protect_tag not in answer["Tags"]:
            return group
        return [replace(finding, observation=Observation.PROTECTED) for finding in group]

    def _at_once(self, work: Work, groups: Sequence[Group], budget: CallBudget) -> Group:
        pooled = self._pooled(lambda group: work(group, budget), groups, budget)
        return [finding for group, future in pooled for finding in _worked(future, group)]

    def _pooled(
        self, work: Callable[[T], R], items: Sequence[T], budget: CallBudget
    ) -> list[tuple[T, Future[R]]]:
        """Work on the items, `calls_at_once` of them at a time, while the pace leaves time to wait."""
        if not items:
            return []
        pool = ThreadPoolExecutor(self.calls_at_once)
        futures = [pool.submit(work, item) for item in items]
        wait(futures, timeout=budget.usable_seconds())
        pool.shutdown(wait=False, cancel_futures=True)
        return list(zip(items, futures, strict=True))

    def _call(self, operation: Callable[..., T], budget: CallBudget, **parameters: Any) -> T:
        budget.start(operation.__name__)
        try:
            answer = operation(**parameters)
        except ClientError as error:
            told = error.response["Error"]
            budget.record_response(operation.__name__, error.response, told["Code"])
            raise CallError(told["Code"], told["Message"]) from error
        except BotoCoreError as error:
            raise CallError(type(error).__name__, str(error)) from error
        budget.record_response(operation.__name__, answer)
        return answer


def _worked(future: Future[Group], group: Group) -> Group:
    """Return what became of the work."""
    if future.cancelled() or (future.done() and isinstance(future.exception(), NotStartedError)):
        return [_not_begun(finding) for finding in group]
    if not future.done():
        return [_in_doubt(finding, "no answer came before the function's deadline") for finding in group]
    if error := future.exception():
        return [_in_doubt(finding, repr(error)) for finding in group]
    return future.result()


def _searched(job_name: str, future: Future[ActiveRuns]) -> ActiveRuns:
    """Return what was found; a search that did not get to its end found nothing."""
    if future.cancelled():
        return ActiveRuns(job_name)
    if not future.done():
        return ActiveRuns(job_name, code=_NO_ANSWER, error="no answer came before the function's deadline")
    match future.exception():
        case None:
            return future.result()
        case NotStartedError():
            return ActiveRuns(job_name)
        case CallError(code=code, text=text):
            return ActiveRuns(job_name, code=code, error=text)
        case error:
            return ActiveRuns(job_name, code=_NO_ANSWER, error=repr(error))


def _ends_the_search(page: Sequence[RunFacts], now: datetime) -> bool:
    """Return whether no run after this page, the newest first, can be active any more."""
    started = [run.started_on for run in page if run.started_on]
    return not page or (bool(started) and min(started) < now - _OLDEST_ACTIVE)


def _not_begun(finding: Finding) -> Finding:
    return replace(finding, observation=Observation.UNKNOWN if finding.code else Observation.NOT_CALLED)


def _in_doubt(finding: Finding, error: str) -> Finding:
    code, error = finding.code or _NO_ANSWER, finding.error or error
    return replace(finding, observation=Observation.UNKNOWN, code=code, error=error, response_lost=True)


def _read_answer(group: Group, answer: BatchStopJobRunResponseTypeDef, *, repeated: bool) -> Group:
    submitted = {run["JobRunId"] for run in answer.get("SuccessfulSubmissions", [])}
    refused = {run["JobRunId"]: run.get("ErrorDetail", {}) for run in answer.get("Errors", [])}
    parsed = [replace(finding, response_lost=repeated) for finding in group]
    return [_answered(finding, submitted, refused) for finding in parsed]


def _retries(answer: Any) -> int:
    """Return how often botocore asked again by itself before it got this answer."""
    return int(answer.get("ResponseMetadata", {}).get("RetryAttempts", 0))


def _answered(
    finding: Finding, submitted: AbstractSet[str], refused: Mapping[str, ErrorDetailTypeDef]
) -> Finding:
    run_id = finding.target.run.run_id
    if detail := refused.get(run_id):
        code, error = detail.get("ErrorCode") or _NO_ANSWER, detail.get("ErrorMessage", "")
        observation = Observation.DENIED if code in _DENIED else Observation.UNKNOWN
        return replace(finding, observation=observation, code=code, error=error)
    if run_id in submitted:
        return replace(finding, observation=Observation.SUBMITTED)
    return _in_doubt(finding, "Glue's answer names the run neither as submitted nor as refused")


def _unread(finding: Finding, error: CallError) -> Finding:
    observation = Observation.NOT_FOUND if error.code == _NOT_FOUND else Observation.CALL_FAILED
    return replace(finding, observation=observation, code=error.code, error=error.text)


def _looked_at(finding: Finding, run: JobRunTypeDef | None) -> Finding:
    return replace(finding, observation=Observation.STATE, run=_facts(run)) if run else finding


def _facts(run: JobRunTypeDef) -> RunFacts:
    return RunFacts(
        run_id=run["Id"],
        state=run["JobRunState"],
        started_on=run.get("StartedOn"),
        completed_on=run.get("CompletedOn"),
        execution_seconds=run.get("ExecutionTime") or 0,
        dpu_seconds=run.get("DPUSeconds"),
        max_capacity=run.get("MaxCapacity"),
        worker_type=run.get("WorkerType") or "",
        number_of_workers=run.get("NumberOfWorkers"),
    )


def _job_name(group: Group) -> str:
    return group[0].target.run.job_name


def _parted(findings: Group, observation: Observation) -> tuple[Group, Group]:
    return [f for f in findings if f.observation is observation], [
        f for f in findings if f.observation is not observation
    ]


def _by_job(findings: Group) -> list[Group]:
    groups: dict[str, Group] = {}
    for finding in findings:
        groups.setdefault(finding.target.run.job_name, []).append(finding)
    return list(groups.values())
