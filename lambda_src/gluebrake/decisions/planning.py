"""What is asked, merged into demands, held against the limits, and put into the fewest batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from gluebrake.model import (
    MAX_RUNS_PER_CALL,
    JobRun,
    MessageResult,
    ParsedRequest,
    RunResult,
    StopBatch,
    StopTarget,
)
from gluebrake.outcomes import Outcome


class Limits(Struct, frozen=True):
    """What may be stopped: patterns of job names, in which only `*` is special, and the size of a request."""

    jobs: tuple[str, ...]
    protected_jobs: tuple[str, ...]
    max_runs_per_request: int

    def rejection(self, job_name: str) -> tuple[Outcome, str, str] | None:
        """Return the outcome, code and reason for a job of which no run may be stopped."""
        if any(matches(pattern, job_name) for pattern in self.protected_jobs):
            return Outcome.PROTECTED, "Protected", "the job matches protectedJobs"
        if not any(matches(pattern, job_name) for pattern in self.jobs):
            return Outcome.NOT_ALLOWED, "NotAllowed", "the job matches none of jobs"
        return None


class Plan(Struct, frozen=True):
    """What is to be called for, and what is settled without a call."""

    stops: tuple[StopBatch, ...]
    looks: tuple[StopTarget, ...]
    """Dry runs: their states are read, nothing else."""
    results: tuple[RunResult, ...]
    message_results: tuple[MessageResult, ...]
    targets: int
    requested: int
    """How often the messages name a run, our own re-sends and redeliveries left out."""
    duplicates: int
    """How often a message names a run that was named before."""


def plan(parsed: Sequence[ParsedRequest], limits: Limits) -> Plan:
    """Plan an invocation's stop calls; the runs of the oldest message come first."""
    too_many = [one for one in parsed if len(set(one.run_ids)) > limits.max_runs_per_request]
    fitting = [one for one in parsed if len(set(one.run_ids)) <= limits.max_runs_per_request]
    targets = merge(fitting)
    results, remaining = _held_against(limits, targets)
    return Plan(
        stops=tuple(_batches(target for target in remaining if not target.dry_run)),
        looks=tuple(target for target in remaining if target.dry_run),
        results=tuple(results),
        message_results=tuple(_too_many(one, limits.max_runs_per_request) for one in too_many),
        targets=len(targets),
        requested=_mentions(one for one in fitting if one.message.is_first),
        duplicates=_mentions(fitting) - len(targets),
    )


def merge(parsed: Iterable[ParsedRequest]) -> list[StopTarget]:
    """Return one demand for each (job name, run id, dry run), those of the earliest message first."""
    behind: dict[tuple[str, str, bool], list[ParsedRequest]] = {}
    for one in sorted(parsed, key=lambda one: (one.message.sent_at, one.message.message_id)):
        for run_id in dict.fromkeys(one.run_ids):
            behind.setdefault((one.request.job_name, run_id, one.request.dry_run), []).append(one)
    return [_demand(JobRun(job_name, run_id), those) for (job_name, run_id, _), those in behind.items()]


def matches(pattern: str, name: str) -> bool:
    """Return whether `name` matches: `*` is any text, all else is itself."""
    first, *middle, last = pattern.split("*") if "*" in pattern else (pattern, None)
    if last is None:
        return name == first
    end = len(name) - len(last)
    at = len(first)
    for part in middle:
        found = name.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return at <= end and name.startswith(first) and name.endswith(last)


def _mentions(parsed: Iterable[ParsedRequest]) -> int:
    return sum(len(one.run_ids) for one in parsed)


def _demand(run: JobRun, parsed: Sequence[ParsedRequest]) -> StopTarget:
    first, messages = parsed[0], [one.message for one in parsed]
    submitted = [message.submitted_at for message in messages if message.submitted_at]
    return StopTarget(
        run=run,
        dry_run=first.request.dry_run,
        attempt=min(message.attempt for message in messages),
        maybe_already_stopped=any(message.attempt or message.receive_count > 1 for message in messages),
        submitted_at=min(submitted, default=None),
        reason=first.request.reason or "",
        requested_by=first.request.requested_by or "",
        sender=first.message.sender,
        message_ids=tuple(message.message_id for message in messages),
    )


def _held_against(limits: Limits, targets: Iterable[StopTarget]) -> tuple[list[RunResult], list[StopTarget]]:
    results, remaining = [], []
    for target in targets:
        if rejection := limits.rejection(target.run.job_name):
            results.append(RunResult(target, *rejection))
        else:
            remaining.append(target)
    return results, remaining


def _batches(targets: Iterable[StopTarget]) -> Iterator[StopBatch]:
    by_job: dict[str, list[StopTarget]] = {}
    for target in targets:
        by_job.setdefault(target.run.job_name, []).append(target)
    for job_name, of_job in by_job.items():
        for start in range(0, len(of_job), MAX_RUNS_PER_CALL):
            yield StopBatch(job_name, tuple(of_job[start : start + MAX_RUNS_PER_CALL]))


def _too_many(one: ParsedRequest, limit: int) -> MessageResult:
    means = "JobRunIds: names" if one.request.job_run_ids else "Select: means"
    why = f"{means} {len(set(one.run_ids))} runs, but maxRunsPerRequest is {limit}; none was stopped"
    return MessageResult(one.message, Outcome.TOO_MANY_RUNS, why, request=one.request)
