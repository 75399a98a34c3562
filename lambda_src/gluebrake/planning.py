"""What is asked, merged into demands, held against the limits, and put into the fewest batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from gluebrake.model import (
    MAX_RUNS_PER_CALL,
    Asked,
    Demand,
    JobRun,
    MessageResult,
    Outcome,
    Result,
    StopBatch,
)


class Limits(Struct, frozen=True):
    """What may be stopped: patterns of job names, in which only `*` is special, and the size of a request."""

    jobs: tuple[str, ...]
    protected_jobs: tuple[str, ...]
    max_runs_per_request: int

    def barred(self, job_name: str) -> tuple[Outcome, str, str] | None:
        """Return the outcome, code and reason for a job of which no run may be stopped."""
        if any(matches(pattern, job_name) for pattern in self.protected_jobs):
            return Outcome.PROTECTED, "Protected", "the job matches protectedJobs"
        if not any(matches(pattern, job_name) for pattern in self.jobs):
            return Outcome.NOT_ALLOWED, "NotAllowed", "the job matches none of jobs"
        return None


class Plan(Struct, frozen=True):
    """What is to be called for, and what is settled without a call."""

    stops: tuple[StopBatch, ...]
    looks: tuple[Demand, ...]
    """Dry runs: their states are read, nothing else."""
    results: tuple[Result, ...]
    message_results: tuple[MessageResult, ...]
    demands: int
    requested: int
    """How often the messages name a run, our own re-sends and redeliveries left out."""
    duplicates: int
    """How often a message names a run that was named before."""


def plan(asked: Sequence[Asked], limits: Limits) -> Plan:
    """Plan an invocation's stop calls; the runs of the oldest message come first."""
    too_many = [one for one in asked if len(set(one.run_ids)) > limits.max_runs_per_request]
    fitting = [one for one in asked if len(set(one.run_ids)) <= limits.max_runs_per_request]
    demands = merge(fitting)
    results, remaining = _held_against(limits, demands)
    return Plan(
        stops=tuple(_batches(demand for demand in remaining if not demand.dry_run)),
        looks=tuple(demand for demand in remaining if demand.dry_run),
        results=tuple(results),
        message_results=tuple(_too_many(one, limits.max_runs_per_request) for one in too_many),
        demands=len(demands),
        requested=_mentions(one for one in fitting if one.message.is_first),
        duplicates=_mentions(fitting) - len(demands),
    )


def merge(asked: Iterable[Asked]) -> list[Demand]:
    """Return one demand for each (job name, run id, dry run), those of the earliest message first."""
    behind: dict[tuple[str, str, bool], list[Asked]] = {}
    for one in sorted(asked, key=lambda one: (one.message.sent_at, one.message.message_id)):
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


def _mentions(asked: Iterable[Asked]) -> int:
    return sum(len(one.run_ids) for one in asked)


def _demand(run: JobRun, asked: Sequence[Asked]) -> Demand:
    first, messages = asked[0], [one.message for one in asked]
    submitted = [message.submitted_at for message in messages if message.submitted_at]
    return Demand(
        run=run,
        dry_run=first.request.dry_run,
        attempt=min(message.attempt for message in messages),
        retried=any(message.attempt or message.receive_count > 1 for message in messages),
        submitted_at=min(submitted, default=None),
        reason=first.request.reason or "",
        requested_by=first.request.requested_by or "",
        sender=first.message.sender,
        message_ids=tuple(message.message_id for message in messages),
    )


def _held_against(limits: Limits, demands: Iterable[Demand]) -> tuple[list[Result], list[Demand]]:
    results, remaining = [], []
    for demand in demands:
        if barred := limits.barred(demand.run.job_name):
            results.append(Result(demand, *barred))
        else:
            remaining.append(demand)
    return results, remaining


def _batches(demands: Iterable[Demand]) -> Iterator[StopBatch]:
    by_job: dict[str, list[Demand]] = {}
    for demand in demands:
        by_job.setdefault(demand.run.job_name, []).append(demand)
    for job_name, of_job in by_job.items():
        for start in range(0, len(of_job), MAX_RUNS_PER_CALL):
            yield StopBatch(job_name, tuple(of_job[start : start + MAX_RUNS_PER_CALL]))


def _too_many(one: Asked, limit: int) -> MessageResult:
    means = "JobRunIds: names" if one.request.job_run_ids else "Select: means"
    why = f"{means} {len(set(one.run_ids))} runs, but maxRunsPerRequest is {limit}; none was stopped"
    return MessageResult(one.message, Outcome.TOO_MANY_RUNS, why, request=one.request)
