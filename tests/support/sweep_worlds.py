"""Accounts for sweeps, with an oracle: which runs the policies mean, in the words of the documentation.

The oracle shares no code with the decisions. It counts in whole seconds and exact fractions.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import combinations
from statistics import median
from typing import Any, Final

from hypothesis import strategies as st
from msgspec.structs import replace

from gluebrake.aws.call_budget import NotStartedError
from gluebrake.aws.findings import CallError
from gluebrake.decisions.planning import Limits
from gluebrake.model import TERMINAL_STATES, JobDefinition, JobReading, RunFacts
from gluebrake.policies import DuePolicy, Trigger
from tests.support.builders import NOON, limits
from tests.support.sweeps import policy

SUCCESSES_NEEDED: Final = 10
AUTO_SCALING: Final = "--enable-auto-scaling"
Named = tuple[str, str, str]
"""A policy, a job and a run."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job as it is in Glue, and what of it can be read."""

    name: str
    command: str = "glueetl"
    tags: Mapping[str, str] = field(default_factory=dict)
    protected: bool = False
    default_arguments: Mapping[str, str] = field(default_factory=dict)
    fixed_arguments: Mapping[str, str] = field(default_factory=dict)
    runs: tuple[RunFacts, ...] = ()
    succeeded_seconds: tuple[int, ...] = ()
    runs_are_readable: bool = True
    definition_is_readable: bool = True
    tags_are_readable: bool = True

    def scales(self, run: RunFacts) -> bool:
        """Return whether the run may have auto scaling."""
        for arguments in (self.fixed_arguments, run.arguments, self.default_arguments):
            if AUTO_SCALING in arguments:
                return bool(arguments[AUTO_SCALING] != "false")
        return False


@dataclass(frozen=True, kw_only=True)
class World:
    """An account, the policies that are due in their order, and what the configuration allows."""

    jobs: tuple[Job, ...]
    policies: tuple[DuePolicy, ...]
    limits: Limits
    unlisted_tags: tuple[Mapping[str, str], ...] = ()
    """The tags by which Glue cannot list jobs now."""

    def stoppable(self, due: DuePolicy) -> list[tuple[str, str]]:
        """List the runs that the policy would request to stop, each as job and run."""
        return [
            (job.name, run.run_id)
            for job in self.jobs
            for run in job.runs
            if self.means(due, job, run) and is_stoppable(due, job, run)
        ]

    def expected(self) -> list[Named]:
        """List what a sweep requests: each run once, by the first policy that stops within its cap."""
        named: dict[tuple[str, str], Named] = {}
        for due in self.policies:
            stoppable = self.stoppable(due)
            if due.policy.mode == "stop" and len(stoppable) <= due.policy.max_runs:
                for job_name, run_id in stoppable:
                    named.setdefault((job_name, run_id), (due.policy.name, job_name, run_id))
        return list(named.values())

    def considers(self, due: DuePolicy, job: Job) -> bool:
        """Return whether the policy's names and tags mean the job, and Glue lists it."""
        names, tags = due.policy, due.policy.tags
        return (
            _matches_any(names.jobs, job.name)
            and not _matches_any(names.exclude, job.name)
            and _matches_any(self.limits.jobs, job.name)
            and not _matches_any(self.limits.protected_jobs, job.name)
            and all(job.tags.get(key) == value for key, value in tags.items())
            and tags not in self.unlisted_tags
        )

    def means(self, due: DuePolicy, job: Job, run: RunFacts) -> bool:
        """Return whether the policy matches the run, stoppable or not."""
        wanted = due.policy
        return (
            self.considers(due, job)
            and job.runs_are_readable
            and job.definition_is_readable
            and job.command in wanted.types
            and run.state in {"STARTING", "RUNNING", "WAITING"}
            and run.state in wanted.states
            and run.started_on is not None
            and run.started_on <= due.due
            and wanted.execution_class in {None, run.execution_class or "STANDARD"}
            and exceeds_every_limit(due, job, run)
        )

    def find(self, job_name: str, run_id: str) -> tuple[Job, RunFacts]:
        """Return a run and its job."""
        (job,) = [job for job in self.jobs if job.name == job_name]
        (run,) = [run for run in job.runs if run.run_id == run_id]
        return job, run


def is_stoppable(due: DuePolicy, job: Job, run: RunFacts) -> bool:
    """Return whether nothing protects a run that the policy matches."""
    by_dpu_hours = due.policy.max_dpu_hours is not None
    return job.tags_are_readable and not job.protected and not (by_dpu_hours and job.scales(run))


def exceeds_every_limit(due: DuePolicy, job: Job, run: RunFacts) -> bool:
    """Return whether the run exceeds each limit that the policy has, by what is known at the due time."""
    assert run.started_on is not None
    limit, age = due.policy, Fraction((due.due - run.started_on) // timedelta(seconds=1))
    if limit.max_minutes is not None and age <= limit.max_minutes * 60:
        return False
    if limit.max_times_usual is not None:
        if len(job.succeeded_seconds) < SUCCESSES_NEEDED:
            return False
        if age <= Fraction(limit.max_times_usual) * Fraction(median(job.succeeded_seconds)):
            return False
    if limit.max_dpu_hours is not None:
        return bool(run.max_capacity) and age * Fraction(run.max_capacity or 0) > limit.max_dpu_hours * 3600
    return True


def _matches_any(patterns: Iterable[str], name: str) -> bool:
    return any(re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), name) for pattern in patterns)


class WorldReader:
    """Reads a world as JobReader reads Glue."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._jobs = {job.name: job for job in world.jobs}

    def job_names(self, tags: Mapping[str, str]) -> list[str]:
        """List the jobs with the tags."""
        if tags in self._world.unlisted_tags:
            raise CallError("ThrottlingException", "Rate exceeded") if tags else NotStartedError("no time")
        return [job.name for job in self._world.jobs if tags.items() <= job.tags.items()]

    def read(self, job_name: str, _oldest_active: datetime) -> JobReading:
        """Read the runs of a job, or all but the last if they cannot be read whole."""
        job = self._jobs[job_name]
        runs = tuple(run for run in job.runs if not run.is_over)
        if not job.runs_are_readable:
            return JobReading(job_name, not_over=runs[:-1], error="AccessDeniedException: no")
        return JobReading(job_name, complete=True, not_over=runs, succeeded_seconds=job.succeeded_seconds)

    def definitions(self, job_names: Sequence[str]) -> tuple[dict[str, JobDefinition], list[str]]:
        """Return the definitions that can be read."""
        jobs = [self._jobs[name] for name in job_names]
        return {
            job.name: JobDefinition(job.command, job.default_arguments, job.fixed_arguments)
            for job in jobs
            if job.definition_is_readable
        }, []

    def protected(self, job_names: Iterable[str]) -> tuple[dict[str, bool], list[str]]:
        """Return which jobs are protected, of those whose tags can be read."""
        jobs = [self._jobs[name] for name in job_names]
        return {job.name: job.protected for job in jobs if job.tags_are_readable}, []


_JOB_NAMES: Final = ("etl-a", "etl-b", "load", "etl")
_PATTERNS: Final = ("*", "*", "*", "etl-*", "etl", "*-a", "load", "none")
_STATES: Final = ("STARTING", "RUNNING", "WAITING")
# Hypothesis draws each value of a list equally often, so a list repeats what shall be usual.
_USUALLY: Final = st.sampled_from([True] * 11 + [False])
_RARELY: Final = _USUALLY.map(lambda value: not value)
_SCALING: Final = st.sampled_from([{}] * 5 + [{AUTO_SCALING: "true"}, {AUTO_SCALING: "false"}])
_TAGS: Final = st.sampled_from([{}, {"env": "dev"}, {"env": "dev", "team": "x"}, {"env": "prod"}])
_AGES: Final = st.sampled_from([120, 90, 60, 45, 20, 1, 0, -5, None])
_HISTORIES: Final = st.sampled_from([(600,) * 10, (60,) * 5 + (1200,) * 6, (600,) * 9, ()])
_LIMITS: Final[dict[str, st.SearchStrategy[Any]]] = {
    "max_minutes": st.sampled_from([1, 20, 45, 90]),
    "max_times_usual": st.sampled_from([1.5, 2.0, 6.0]),
    "max_dpu_hours": st.sampled_from([0.125, 7.5, 10.0]),
}
_CONDITIONS: Final[dict[str, st.SearchStrategy[Any]]] = {
    "exclude": st.sampled_from([("etl-*",), ("load", "etl"), ("*-a",)]),
    "tags": _TAGS,
    "types": st.sampled_from([("glueetl",), ("gluestreaming", "glueetl"), ("glueray",)]),
    "states": st.sampled_from([("RUNNING",), ("WAITING", "STARTING")]),
    "execution_class": st.sampled_from(["STANDARD", "FLEX"]),
}


def _runs() -> st.SearchStrategy[tuple[RunFacts, ...]]:
    run = st.builds(
        RunFacts,
        st.just(""),
        st.sampled_from(["RUNNING"] * 8 + [*_STATES, "STOPPING", "PAUSED", *sorted(TERMINAL_STATES)[:2]]),
        started_on=_AGES.map(lambda minutes: None if minutes is None else NOON - timedelta(minutes=minutes)),
        max_capacity=st.sampled_from([10.0] * 5 + [2.0, 0.0625, 0, None]),
        execution_class=st.sampled_from(["", "STANDARD", "FLEX"]),
        arguments=_SCALING,
    )
    # The ids repeat in every job: a run is a job and an id.
    return st.lists(run, min_size=2, max_size=4).map(
        lambda runs: tuple(replace(run, run_id=f"jr_{number}") for number, run in enumerate(runs))
    )


def _jobs() -> st.SearchStrategy[tuple[Job, ...]]:
    job = st.builds(
        Job,
        name=st.just(""),
        command=st.sampled_from(["glueetl"] * 9 + ["pythonshell", "gluestreaming", "glueray"]),
        tags=_TAGS,
        protected=_RARELY,
        default_arguments=_SCALING,
        fixed_arguments=_SCALING,
        runs=_runs(),
        succeeded_seconds=_HISTORIES,
        runs_are_readable=_USUALLY,
        definition_is_readable=_USUALLY,
        tags_are_readable=_USUALLY,
    )
    return st.lists(job, min_size=2, max_size=len(_JOB_NAMES)).map(
        lambda jobs: tuple(
            dataclasses.replace(job, name=name) for job, name in zip(jobs, _JOB_NAMES, strict=False)
        )
    )


@st.composite
def _fields(draw: st.DrawFn) -> dict[str, Any]:
    limits = draw(st.sampled_from([(), *combinations(sorted(_LIMITS), 1), *combinations(sorted(_LIMITS), 2)]))
    conditions = draw(st.sampled_from([(), (), *combinations(sorted(_CONDITIONS), 1)]))
    return {name: draw((_LIMITS | _CONDITIONS)[name]) for name in (*limits, *conditions)}


def _policies() -> st.SearchStrategy[tuple[DuePolicy, ...]]:
    due = st.builds(
        lambda fields, minutes, trigger, **more: DuePolicy(
            policy("", **fields, **more), NOON - timedelta(minutes=minutes), trigger
        ),
        _fields(),
        st.sampled_from([0, 0, 0, 5, 30]),
        st.sampled_from(Trigger),
        jobs=st.lists(st.sampled_from(_PATTERNS), min_size=1, max_size=2).map(tuple),
        mode=st.sampled_from(["stop"] * 4 + ["report"]),
        max_runs=st.sampled_from([8, 6, 4, 3, 2, 1]),
        schedule=st.sampled_from(["rate(1 hour)", None]),
        warn_at_percent=st.sampled_from([50, None]),
    )
    return st.lists(due, min_size=1, max_size=4).map(
        lambda policies: tuple(
            replace(due, policy=replace(due.policy, name=f"policy-{number}"))
            for number, due in enumerate(policies)
        )
    )


def worlds() -> st.SearchStrategy[World]:
    """Return accounts with few jobs and runs, and policies that often mean the same ones."""
    return st.builds(
        World,
        jobs=_jobs(),
        policies=_policies(),
        limits=st.builds(
            limits,
            jobs=st.sampled_from([("*",), ("*",), ("*",), ("etl*",)]),
            protected_jobs=st.sampled_from([(), (), (), ("*-b",)]),
        ),
        unlisted_tags=st.sampled_from([()] * 9 + [({},), ({"env": "dev"},)]),
    )
