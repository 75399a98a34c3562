"""For any account and any policies, a sweep requests to stop what the policies mean, and nothing else."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any, Final, cast

import boto3
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from gluebrake.aws.job_reader import JobReader, Pace
from gluebrake.decisions.sweep_conclusion import Conclusion
from gluebrake.prices import Prices
from gluebrake.sweeping import Sweep, sweep
from tests.support.builders import NOON
from tests.support.fakes.aws_server import ACCOUNT, REGION, FakeAws
from tests.support.fakes.faults import Decide, EmptyBody, Fault, LostAnswer, Refused, Throttle
from tests.support.sweep_worlds import Job, Named, World, WorldReader, is_stoppable, worlds
from tests.support.sweeps import Stopwatch

IDS_IN_A_REQUEST: Final = 3
FAULTS: Final[tuple[Fault, ...]] = (
    Throttle(),
    Refused("AccessDeniedException"),
    Refused("InternalServiceException", status=500),
    LostAnswer(),
    EmptyBody(),
)


def _sweep(world: World, reader: JobReader, *, turned: bool = False) -> Sweep:
    def shuffle(names: list[str]) -> None:
        names.sort(reverse=turned)

    return sweep(
        world.policies,
        reader,
        limits=world.limits,
        ids_in_a_request=IDS_IN_A_REQUEST,
        prices=Prices(),
        shuffle=shuffle,
    )


def _named(conclusion: Conclusion) -> list[Named]:
    """List the runs that the stop requests name."""
    assert all(len(sent.request.job_run_ids or ()) <= IDS_IN_A_REQUEST for sent in conclusion.requests)
    return [
        ((sent.request.requested_by or "").removeprefix("policy/"), sent.request.job_name, run_id)
        for sent in conclusion.requests
        for run_id in sent.request.job_run_ids or ()
    ]


def _check_that_nothing_else_is_named(world: World, named: list[Named]) -> None:
    """Expect each named run once, meant by its policy, within the policy's cap."""
    due = {due.policy.name: due for due in world.policies}
    assert max(Counter((job_name, run_id) for _, job_name, run_id in named).values(), default=1) == 1
    for policy, count in Counter(policy for policy, _, _ in named).items():
        assert due[policy].policy.mode == "stop"
        assert count <= due[policy].policy.max_runs
    for policy, job_name, run_id in named:
        job, run = world.find(job_name, run_id)
        assert world.means(due[policy], job, run)
        assert is_stoppable(due[policy], job, run)
        assert run.started_on is not None
        assert run.started_on <= due[policy].due
        assert not job.protected
        assert job.command in {"glueetl", "pythonshell"} or job.command in due[policy].policy.types


def _check_that_each_run_is_explained(world: World, conclusion: Conclusion) -> None:
    """Expect each active run once for each policy that considers its job: reported, or left with a reason."""
    explained = Counter(
        [(run.policy, run.job_name, run.job_run_id) for run in conclusion.runs]
        + [(left.policy, left.job_name, left.run.run_id) for left in conclusion.left]
    )
    active = Counter(
        (due.policy.name, job.name, run.run_id)
        for due in world.policies
        for job in world.jobs
        if world.considers(due, job)
        for run in [run for run in job.runs if not run.is_over][: None if job.runs_are_readable else -1]
    )
    assert explained == active


@given(worlds(), st.booleans())
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_sweep_names_exactly_what_the_policies_mean(world: World, turned: bool) -> None:  # noqa: FBT001 - drawn
    """Each run is named once, by the first policy that stops within its cap, in any order of the jobs."""
    swept = _sweep(world, cast("JobReader", WorldReader(world)), turned=turned)
    named = _named(swept.conclusion)
    event(f"named: {min(len(named), 3)}")
    assert sorted(named) == sorted(world.expected())
    _check_that_nothing_else_is_named(world, named)
    _check_that_each_run_is_explained(world, swept.conclusion)


@given(worlds())
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_reports_count_what_the_policies_mean(world: World) -> None:
    """Each policy's report has its matches, and those that it would stop, whether or not it stops them."""
    swept = _sweep(world, cast("JobReader", WorldReader(world)))
    for due, report in zip(world.policies, swept.conclusion.reports, strict=True):
        considered = [job for job in world.jobs if world.considers(due, job)]
        matches = [(job, run) for job in considered for run in job.runs if world.means(due, job, run)]
        stoppable = world.stoppable(due)
        assert report.policy == due.policy.name
        assert (report.jobs, report.jobs_not_read) == (
            len(considered),
            sum(not job.runs_are_readable for job in considered),
        )
        assert (report.matched, report.stoppable) == (len(matches), len(stoppable))
        assert report.over_cap is (len(stoppable) > due.policy.max_runs)
    assert set(swept.jobs_not_read) == {
        job.name
        for job in world.jobs
        if not job.runs_are_readable and any(world.considers(due, job) for due in world.policies)
    }


@given(worlds(), st.lists(st.sampled_from([*[None] * 8, *FAULTS]), min_size=3, max_size=14))
@settings(max_examples=min(30, settings().max_examples), suppress_health_check=[HealthCheck.too_slow])
def test_failing_calls_only_make_a_sweep_stop_less(world: World, faults: list[Fault | None]) -> None:
    """A call to Glue that fails leaves runs alone and is reported. It never widens what is named."""
    in_glue = World(
        jobs=tuple(_readable(job) for job in world.jobs), policies=world.policies, limits=world.limits
    )
    with FakeAws() as aws:
        for job in in_glue.jobs:
            _add(aws, job)
        script = iter(faults)
        aws.faults.add(Decide(lambda _: next(script, None)))
        swept = _sweep(in_glue, _reader(aws))
    named = _named(swept.conclusion)
    event(f"complete: {swept.is_complete}, named: {min(len(named), 1)}")
    _check_that_nothing_else_is_named(in_glue, named)
    if not any(faults[: len(aws.calls)]):
        assert (sorted(named), swept.is_complete) == (sorted(in_glue.expected()), True)
    assert swept.is_complete or swept.errors


def _reader(aws: FakeAws) -> JobReader:
    watch = Stopwatch()
    pace, closing_pace = (Pace(watch.seconds_left, watch.sleep, watch) for _ in range(2))
    client = boto3.client("glue", **aws.client_options)
    return JobReader(client, f"arn:aws:glue:{REGION}:{ACCOUNT}:job/", "protect", pace, closing_pace)


def _add(aws: FakeAws, job: Job) -> None:
    aws.glue.add_job(
        job.name,
        tags={**job.tags, **({"protect": ""} if job.protected else {})},
        command=job.command,
        DefaultArguments=job.default_arguments,
        NonOverridableArguments=job.fixed_arguments,
    )
    for number, seconds in enumerate(job.succeeded_seconds):
        aws.glue.add_run(job.name, f"ok_{number}", state="SUCCEEDED", ExecutionTime=seconds)
    for run in job.runs:
        details: dict[str, Any] = {
            "WorkerType": None,
            "NumberOfWorkers": None,
            "MaxCapacity": run.max_capacity,
            "ExecutionClass": run.execution_class or None,
            "ExecutionTime": 0,
            "Arguments": run.arguments,
            **({} if run.started_on else {"StartedOn": None}),
        }
        aws.glue.add_run(
            job.name,
            run.run_id,
            state=run.state,
            started_on=run.started_on or NOON,
            stopping_seconds=None,
            **details,
        )


def _readable(job: Job) -> Job:
    """Return the job with everything that Glue can answer of it."""
    return dataclasses.replace(job, runs_are_readable=True, definition_is_readable=True, tags_are_readable=True)
