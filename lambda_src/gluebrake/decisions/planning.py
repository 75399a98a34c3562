"""Merge stop requests into targets, apply the limits, and form the fewest batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter

import msgspec
from msgspec import UNSET, Struct

from gluebrake.contract import StopRequest
from gluebrake.grouping import chunked, grouped
from gluebrake.model import (
    MAX_RUNS_PER_CALL,
    JobRun,
    Message,
    MessageResult,
    ParsedRequest,
    RunResult,
    StopBatch,
    StopTarget,
)
from gluebrake.outcomes import Outcome
from gluebrake.patterns import matches_any

_attempt = attrgetter("attempt")
_message_id = attrgetter("message_id")
_receive_count = attrgetter("receive_count")
_submitted_at = attrgetter("submitted_at")


class Limits(Struct, frozen=True):
    """What may be stopped: patterns of job names, in which only `*` is special, and the runs of a request."""

    jobs: tuple[str, ...]
    protected_jobs: tuple[str, ...]
    max_runs_per_request: int

    def rejection(self, job_name: str) -> tuple[Outcome, str, str] | None:
        """Return the outcome, code and reason if no run of the job may be stopped, else None."""
        if matches_any(self.protected_jobs, job_name):
            return Outcome.PROTECTED, "Protected", "the job matches protectedJobs"
        if not matches_any(self.jobs, job_name):
            return Outcome.NOT_ALLOWED, "NotAllowed", "the job matches none of jobs"
        return None


class Plan(Struct, frozen=True):
    """The calls to make, and the results that need no call."""

    stops: tuple[StopBatch, ...]
    dry_runs: tuple[StopTarget, ...]
    """Targets whose states are read, and whose runs are not stopped."""
    results: tuple[RunResult, ...]
    message_results: tuple[MessageResult, ...]
    targets: int
    requested: int
    """How many times all messages together name a run. Retries and redeliveries do not count."""
    duplicates: int
    """How many times a message names a run that was named before."""


def plan(requests: Sequence[ParsedRequest], limits: Limits) -> Plan:
    """Plan the stop calls of an invocation. The runs of the oldest message come first."""
    limit = limits.max_runs_per_request
    too_large = [parsed for parsed in requests if _runs_to_stop(parsed) > limit]
    fitting = [parsed for parsed in requests if _runs_to_stop(parsed) <= limit]
    requested = _mentions(parsed for parsed in fitting if parsed.message.is_first)
    targets = merge(fitting)
    results, allowed = _apply_limits(limits, targets)
    return Plan(
        dry_runs=tuple(target for target in allowed if target.request.dry_run),
        results=tuple(results),
        message_results=tuple(_too_many_runs(parsed, limit) for parsed in too_large),
        targets=len(targets),
        requested=requested,
        duplicates=_mentions(fitting) - len(targets),
        stops=tuple(_batches(target for target in allowed if not target.request.dry_run)),
    )


def as_dry_run(parsed: ParsedRequest) -> ParsedRequest:
    """Return the request as a dry run, which stops nothing."""
    return msgspec.structs.replace(parsed, request=msgspec.structs.replace(parsed.request, dry_run=True))


def merge(requests: Iterable[ParsedRequest]) -> list[StopTarget]:
    """Return one target for each (job name, run id, dry run), in the order of the messages."""
    by_target: dict[tuple[str, str, bool], list[ParsedRequest]] = {}
    for parsed in sorted(requests, key=attrgetter("message.sent_at", "message.message_id")):
        for run_id in dict.fromkeys(parsed.run_ids):
            key = (parsed.request.job_name, run_id, parsed.request.dry_run)
            by_target.setdefault(key, []).append(parsed)
    return [_target(JobRun(job_name, run_id), merged) for (job_name, run_id, _), merged in by_target.items()]


def _runs_to_stop(parsed: ParsedRequest) -> int:
    return len(set(parsed.run_ids)) - parsed.inactive


def _mentions(requests: Iterable[ParsedRequest]) -> int:
    return sum(len(parsed.run_ids) for parsed in requests)


def _target(run: JobRun, merged: Sequence[ParsedRequest]) -> StopTarget:
    earliest, messages = merged[0], [parsed.message for parsed in merged]
    believed = _believed(messages)
    return StopTarget(
        request=_without_runs(earliest.request),
        run=run,
        attempt=min(map(_attempt, messages)),
        maybe_already_stopped=any(map(_attempt, believed)) or max(map(_receive_count, messages)) > 1,
        submitted_at=min(filter(None, map(_submitted_at, believed)), default=None),
        sender=earliest.message.sender,
        via=earliest.message.via,
        message_ids=tuple(map(_message_id, messages)),
    )


def _believed(messages: Sequence[Message]) -> list[Message]:
    """Return the messages whose attributes are believed: retries by the functions, else one message.

    Without a retry, it is the message that claims no submission time and the fewest attempts. So a sender with
    false attributes shortens the retries of its own message only.
    """
    own = [message for message in messages if message.is_retry]
    return own or [min(messages, key=lambda message: (message.submitted_at is not None, message.attempt))]


def _without_runs(request: StopRequest) -> StopRequest:
    """Return the request without the fields that say which runs it means."""
    return msgspec.structs.replace(
        request, job_run_ids=UNSET, select=UNSET, include_attempts=False, attempts_started_before=UNSET
    )


def _apply_limits(limits: Limits, targets: Iterable[StopTarget]) -> tuple[list[RunResult], list[StopTarget]]:
    """Return the results of the targets that the limits reject, and the targets that they allow."""
    results, allowed = [], []
    for target in targets:
        if rejection := limits.rejection(target.run.job_name):
            results.append(RunResult(target, *rejection))
        else:
            allowed.append(target)
    return results, allowed


def _batches(targets: Iterable[StopTarget]) -> Iterator[StopBatch]:
    for job_name, of_job in grouped(targets, attrgetter("run.job_name")).items():
        for batch in chunked(of_job, MAX_RUNS_PER_CALL):
            yield StopBatch(job_name, tuple(batch))


def _too_many_runs(parsed: ParsedRequest, limit: int) -> MessageResult:
    request = parsed.request
    named = "IncludeAttempts: means" if request.include_attempts else "JobRunIds: names"
    which = "Select: matches" if request.select else named
    why = f"{which} {_runs_to_stop(parsed)} runs, but maxRunsPerRequest is {limit}; none was stopped"
    return MessageResult(parsed.message, Outcome.TOO_MANY_RUNS, why, request=request)
