"""Tests of the benchmark of calls: the variants, the counts and the targets."""

from __future__ import annotations

from collections import Counter
from typing import Final

import pytest

from benchmarks.calls import (
    SEED,
    Case,
    CaseResult,
    StopCalls,
    Variant,
    Workload,
    gluebrake,
    one_call_per_record,
    one_call_per_run,
    run_case,
    stop_calls,
    targets,
)
from benchmarks.streams import StreamShape, distinct_runs, fewest_calls, generate
from tests.support.fakes.faults import Throttle
from tests.support.simulated_aws import STOP, SimulatedAws

SHAPE: Final = StreamShape(name="test", messages=40, jobs=3, skew=1.0, max_runs=4, repeat_share=0.3)
WORKLOAD: Final = Workload(SHAPE)


def _results(*calls: StopCalls, running: int = 0) -> dict[Case, CaseResult]:
    return {Case(WORKLOAD, gluebrake, 10): CaseResult(Counter(), calls, running)}


@pytest.mark.parametrize("variant", [gluebrake, one_call_per_run, one_call_per_record])
@pytest.mark.parametrize("throttled", [0.0, 0.1])
def test_each_variant_stops_all_runs(variant: Variant, throttled: float) -> None:
    """No variant leaves a run running, even when Glue throttles, so the calls are comparable."""
    assert run_case(Case(Workload(SHAPE, throttled), variant, 10)).running == 0


def test_case_is_reproducible() -> None:
    """The figures are the same in each run of the benchmark."""
    case = Case(Workload(SHAPE, throttled=0.2), gluebrake, 10)
    assert run_case(case) == run_case(case)


def test_one_call_per_run_repeats_calls_for_repeated_runs(simulation: SimulatedAws) -> None:
    """A run that is named twice, even in one record, takes two calls."""
    simulation.functions[STOP] = one_call_per_run(simulation)
    simulation.request_stop("etl", "jr_1", "jr_2", "jr_1")
    simulation.aws.glue.add_job("etl")
    simulation.deliver_due(STOP)
    assert simulation.stop_calls() == [("etl", ["jr_1"]), ("etl", ["jr_2"]), ("etl", ["jr_1"])]


def test_one_call_per_record_batches_within_a_record_only(simulation: SimulatedAws) -> None:
    """Runs of one record share calls of 25, and runs of two records do not."""
    simulation.functions[STOP] = one_call_per_record(simulation)
    simulation.request_stop("etl", *(f"jr_{number}" for number in range(26)), "jr_0")
    simulation.request_stop("etl", "jr_0")
    simulation.aws.glue.add_job("etl")
    simulation.deliver_due(STOP)
    assert [len(run_ids) for _, run_ids in simulation.stop_calls()] == [25, 1, 1]


def test_throttled_record_is_reported_as_failed(simulation: SimulatedAws) -> None:
    """Only the record whose call was throttled is in batchItemFailures."""
    simulation.functions[STOP] = one_call_per_record(simulation)
    simulation.aws.glue.add_job("etl")
    simulation.aws.faults.add(Throttle(), times=1)
    first, _ = simulation.request_stop("etl", "jr_1"), simulation.request_stop("etl", "jr_2")
    assert simulation.deliver_due(STOP).failures == [first]


def test_gluebrake_makes_the_fewest_calls_of_each_invocation() -> None:
    """When Glue answers every call, each invocation makes exactly the fewest possible calls."""
    calls = run_case(Case(WORKLOAD, gluebrake, 10)).stop_calls
    assert len(calls) == SHAPE.messages / 10
    assert all(each.all_answered and each.made == each.fewest for each in calls)


def test_fewest_calls_are_counted_from_the_messages(simulation: SimulatedAws) -> None:
    """The fewest calls depend on the messages alone, and a throttled call leaves a run to try again."""
    simulation.aws.glue.add_run("etl", "jr_1")
    simulation.aws.glue.add_run("report", "jr_2")
    for job_name, run_id in (("etl", "jr_1"), ("etl", "jr_1"), ("report", "jr_2")):
        simulation.request_stop(job_name, run_id)
    simulation.aws.faults.add(Throttle(), times=1)
    assert stop_calls(simulation.deliver_due(STOP)) == StopCalls(made=2, fewest=2, all_answered=False)


def test_one_invocation_with_the_whole_stream_reaches_the_minimum() -> None:
    """With all messages in one invocation, Gluebrake makes the fewest calls for the whole stream."""
    requests = generate(SHAPE, SEED)
    assert run_case(Case(WORKLOAD, gluebrake, len(requests))).calls["BatchStopJobRun"] == fewest_calls(requests)
    assert len(distinct_runs(requests)) > fewest_calls(requests)


class TestTargets:
    """The targets of the benchmark."""

    def test_fewest_calls_in_all_answered_invocations_meet_the_target(self) -> None:
        """An invocation with an unanswered call is not counted."""
        fewest, _ = targets(_results(StopCalls(3, 3, all_answered=True), StopCalls(9, 3, all_answered=False)))
        assert fewest.met
        assert fewest.measured == "1 of 1"

    def test_one_call_too_many_misses_the_target(self) -> None:
        """One invocation with one call too many is a miss."""
        fewest, _ = targets(_results(StopCalls(3, 3, all_answered=True), StopCalls(4, 3, all_answered=True)))
        assert not fewest.met

    def test_no_measurement_misses_the_target(self) -> None:
        """Without an invocation that counts, the target is not met."""
        fewest, _ = targets(_results())
        assert not fewest.met

    @pytest.mark.parametrize(("running", "met"), [(0, True), (1, False)])
    def test_all_runs_must_be_stopped(self, running: int, *, met: bool) -> None:
        """One run that is still running is a miss."""
        _, stopped = targets(_results(running=running))
        assert stopped.met is met
