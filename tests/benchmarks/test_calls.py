"""The benchmark of calls: what each contender makes of a stream, and what is said of it."""

from __future__ import annotations

from collections import Counter
from typing import Final

import pytest

from benchmarks.calls import (
    Case,
    Contender,
    Effort,
    Played,
    Scene,
    effort,
    one_call_a_record,
    one_call_a_run,
    ours,
    play,
    targets,
)
from benchmarks.streams import Kind, distinct_runs, fewest_calls, stream
from tests.support.fakes.faults import Throttle
from tests.support.simulated_aws import STOP, World

KIND: Final = Kind(name="some", messages=40, jobs=3, skew=1.0, most_runs=4, repeated=0.3)
SCENE: Final = Scene(KIND)


def _played(*efforts: Effort, running: int = 0) -> dict[Case, Played]:
    return {Case(SCENE, ours, 10): Played(Counter(), efforts, running)}


@pytest.mark.parametrize("contender", [ours, one_call_a_run, one_call_a_record])
@pytest.mark.parametrize("throttled", [0.0, 0.1])
def test_each_contender_stops_all(contender: Contender, throttled: float) -> None:
    """Whoever works a stream off leaves no run running, even when Glue throttles: no call is saved by that."""
    assert play(Case(Scene(KIND, throttled), contender, 10)).running == 0


def test_plays_are_the_same_each_time() -> None:
    """The figures do not change from one run to the next."""
    case = Case(Scene(KIND, throttled=0.2), ours, 10)
    assert play(case) == play(case)


def test_call_a_run_is_a_call_for_each_that_is_named(world: World) -> None:
    """A run that is named twice, even in one record, costs two calls."""
    world.functions[STOP] = one_call_a_run(world)
    world.ask("etl", "jr_1", "jr_2", "jr_1")
    world.aws.glue.add_job("etl")
    world.deliver_due(STOP)
    assert world.stop_calls() == [("etl", ["jr_1"]), ("etl", ["jr_2"]), ("etl", ["jr_1"])]


def test_call_a_record_shares_within_a_record_alone(world: World) -> None:
    """Runs that one record names share calls of 25, those of two records do not."""
    world.functions[STOP] = one_call_a_record(world)
    world.ask("etl", *(f"jr_{number}" for number in range(26)), "jr_0")
    world.ask("etl", "jr_0")
    world.aws.glue.add_job("etl")
    world.deliver_due(STOP)
    assert [len(run_ids) for _, run_ids in world.stop_calls()] == [25, 1, 1]


def test_throttled_record_comes_back(world: World) -> None:
    """A record whose call Glue throttled is answered as failed, and no other is."""
    world.functions[STOP] = one_call_a_record(world)
    world.aws.glue.add_job("etl")
    world.aws.faults.add(Throttle(), times=1)
    first, _ = world.ask("etl", "jr_1"), world.ask("etl", "jr_2")
    assert world.deliver_due(STOP).failures == [first]


def test_calls_of_ours_are_the_fewest_of_each_invocation() -> None:
    """What is counted as an invocation's fewest calls is what ours makes when Glue answers all."""
    efforts = play(Case(SCENE, ours, 10)).efforts
    assert len(efforts) == KIND.messages / 10
    assert all(one.all_answered and one.calls == one.fewest for one in efforts)


def test_effort_is_held_against_the_messages(world: World) -> None:
    """The fewest calls are counted from what came in, and throttling shows as something left to do."""
    world.aws.glue.add_run("etl", "jr_1")
    world.aws.glue.add_run("report", "jr_2")
    for job_name, run_id in (("etl", "jr_1"), ("etl", "jr_1"), ("report", "jr_2")):
        world.ask(job_name, run_id)
    world.aws.faults.add(Throttle(), times=1)
    assert effort(world.deliver_due(STOP)) == Effort(calls=2, fewest=2, all_answered=False)


def test_whole_stream_in_one_invocation_is_as_good_as_knowing_it_beforehand() -> None:
    """With all messages in one invocation ours makes the fewest calls that there are."""
    requests = stream(KIND, 20_261_124)
    assert play(Case(SCENE, ours, len(requests))).calls["BatchStopJobRun"] == fewest_calls(requests)
    assert len(distinct_runs(requests)) > fewest_calls(requests)


class TestTargets:
    """What counts as reached."""

    def test_fewest_calls_everywhere_are_reached(self) -> None:
        """An invocation that Glue did not wholly answer is left out."""
        few, _ = targets(_played(Effort(3, 3, all_answered=True), Effort(9, 3, all_answered=False)))
        assert few.met
        assert few.measured == "that many in 1 of 1 invocations"

    def test_one_call_too_many_is_a_miss(self) -> None:
        """One invocation with one more call is enough to miss."""
        few, _ = targets(_played(Effort(3, 3, all_answered=True), Effort(4, 3, all_answered=True)))
        assert not few.met

    def test_nothing_measured_is_a_miss(self) -> None:
        """No invocation that can be judged proves nothing."""
        few, _ = targets(_played())
        assert not few.met

    @pytest.mark.parametrize(("running", "met"), [(0, True), (1, False)])
    def test_all_must_be_stopped(self, running: int, *, met: bool) -> None:
        """A run that is left running is a miss, however few the calls."""
        _, stopped = targets(_played(running=running))
        assert stopped.met is met
