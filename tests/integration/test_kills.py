"""The real function process is killed before and after each kind of call to AWS, and nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

import pytest

from tests.support.fakes.clock import VirtualClock
from tests.support.fakes.exchange import Call
from tests.support.process_kill import in_a_process
from tests.support.scenarios import set_up_all_kinds
from tests.support.simulated_aws import CONFIRM, STOP, Delivery, World

FINAL: Final = frozenset(
    {"AlreadyFinished", "NotFound", "Protected", "Failed", "Stopped", "FinishedBeforeStop", "StopTimedOut"}
)


@pytest.fixture
def world() -> Iterator[World]:
    """Run an AWS whose clock starts now, since the processes read the real one."""
    with World(clock=VirtualClock(datetime.now(UTC))) as world:
        yield world


MOMENTS: Final = pytest.mark.parametrize("after", [False, True], ids=["before", "after"])


@MOMENTS
@pytest.mark.parametrize(
    "operation", ["BatchStopJobRun", "GetJobRuns", "GetJobRun", "GetTags", "SendMessageBatch", "PutEvents"]
)
def test_killed_stop_function_loses_nothing(world: World, operation: str, *, after: bool) -> None:
    """The stop function is killed around a call; delivered again, its messages end as if it had not been."""
    _ask_for_all_kinds(world)
    in_process = world.functions[STOP]
    killer = in_a_process(world, STOP, after=after)
    world.aws.faults.add(killer, operation=operation, times=1)
    invocation = world.deliver_due(STOP)
    assert invocation.answer is None
    assert invocation.called(operation)
    world.functions[STOP] = in_process
    world.run()
    _check_ends(world)


@MOMENTS
@pytest.mark.parametrize("operation", ["GetJobRuns", "GetJobRun", "SendMessageBatch", "PutEvents"])
def test_killed_confirm_function_loses_nothing(world: World, operation: str, *, after: bool) -> None:
    """The confirm function is killed around a call; delivered again, each run is confirmed all the same."""
    _ask_for_all_kinds(world)
    world.deliver_due(STOP)
    world.clock.advance(15)
    in_process = world.functions[CONFIRM]
    killer = in_a_process(world, CONFIRM, after=after)
    world.aws.faults.add(killer, operation=operation, times=1)
    invocation = world.deliver_due(CONFIRM)
    assert invocation.answer is None
    assert invocation.called(operation)
    world.functions[CONFIRM] = in_process
    world.run()
    _check_ends(world)


def test_process_that_is_not_killed_does_the_same_as_the_handler(world: World) -> None:
    """Wired by its environment alone, the function answers, calls and sends as it does in the other tests."""
    _ask_for_all_kinds(world)
    in_a_process(world, STOP)
    invocation = world.deliver_due(STOP)
    assert invocation.answer == {"batchItemFailures": []}
    with World() as other:
        _ask_for_all_kinds(other)
        expected = other.deliver_due(STOP)
        assert invocation.counts == expected.counts
        assert _operations(invocation.calls) == _operations(expected.calls)
        for ours, theirs in (
            (world.stop_queue, other.stop_queue),
            (world.confirm_queue, other.confirm_queue),
            (world.dead_letter_queue, other.dead_letter_queue),
        ):
            assert sorted(message.body for message in ours) == sorted(message.body for message in theirs)


def test_message_that_kills_the_function_spares_those_that_come_later(world: World) -> None:
    """A poisonous message that was received twice before is worked on last: the others are stopped before."""
    poison, *others = _deliveries_with_poison(world, 2)
    killer = in_a_process(world, STOP)
    world.aws.faults.add(killer, operation="BatchStopJobRun", when=_names_poison)
    invocation = world.deliver(STOP, [Delivery(poison.message, 3), *others])
    assert invocation.answer is None
    assert [run.state for run in world.aws.glue if run.run_id != "poison"] == ["STOPPING"] * 2
    assert sorted(json.loads(m.body)["JobName"] for m in world.confirm_queue) == ["job-0", "job-1"]
    world.run()
    assert [delivery.message.body for delivery in world.moved] == [poison.message.body]
    assert world.history("job-0", "jr")[-1] == world.history("job-1", "jr")[-1] == "Stopped"


def test_message_that_kills_the_function_spares_those_that_came_with_it(world: World) -> None:
    """A poisonous message and its neighbours are suspects alike; the neighbours are stopped all the same."""
    _deliveries_with_poison(world, 2, put=True)
    killer = in_a_process(world, STOP)
    world.aws.faults.add(killer, operation="BatchStopJobRun", when=_names_poison)
    world.run()
    assert ["poison" in delivery.message.body for delivery in world.moved] == [True]


def test_message_that_kills_the_function_spares_one_that_was_received_more_often(world: World) -> None:
    """Whatever the counts of suspects are, the next time they come in the opposite order."""
    world.aws.glue.add_run("etl", "jr")
    world.aws.glue.add_run("etl", "poison")
    world.ask("etl", "jr")
    world.ask("etl", "poison")
    killer = in_a_process(world, STOP)
    world.aws.faults.add(killer, operation="BatchStopJobRun", when=_names_poison)
    neighbour, poison = world.stop_queue.take()
    world.deliver(STOP, [Delivery(neighbour, 4), Delivery(poison, 3)])
    world.run()
    assert [delivery.message for delivery in world.moved] == [poison]
    assert world.aws.glue.run("etl", "jr").state == "STOPPED"


def _names_poison(call: Call) -> bool:
    return "poison" in call.parameters["JobRunIds"]


def _ask_for_all_kinds(world: World) -> None:
    """Ask for runs that make the stop function call every operation, and the confirm function two."""
    set_up_all_kinds(world)
    world.aws.glue.add_run("nightly", "hangs", stopping_seconds=None)
    world.ask("etl", "jr_1", "done", "unknown")
    world.ask("etl", "jr_2", "jr_1", Reason="over budget")
    for job_name, run_id in (("nightly", "hangs"), ("tagged", "jr"), ("denied", "jr")):
        world.ask(job_name, run_id)


def _check_ends(world: World) -> None:
    """Expect what was asked to have come to its end, at least once, and nothing to be left or moved."""
    ends = {(job, run_id): set[str]() for job, run_id, _ in world.outcomes}
    for job, run_id, outcome in world.outcomes:
        ends[job, run_id] |= {outcome} & FINAL
    assert ends == {
        ("etl", "jr_1"): {"Stopped"},
        ("etl", "jr_2"): {"Stopped"},
        ("etl", "done"): {"AlreadyFinished"},
        ("etl", "unknown"): {"NotFound"},
        ("nightly", "hangs"): {"StopTimedOut"},
        ("tagged", "jr"): {"Protected"},
        ("denied", "jr"): {"Failed"},
    }
    assert {body["JobName"] for body, *_ in world.dead_letters()} == {"etl", "nightly", "denied"}
    assert not world.moved


def _operations(calls: Sequence[Call]) -> list[str]:
    return sorted(call.operation for call in calls)


def _deliveries_with_poison(world: World, others: int, *, put: bool = False) -> list[Delivery]:
    """Ask for the poison first and then for so many other runs, each of a job of its own."""
    names = [("poisoned", "poison"), *((f"job-{number}", "jr") for number in range(others))]
    for job_name, run_id in names:
        world.aws.glue.add_run(job_name, run_id)
        world.ask(job_name, run_id)
        world.clock.advance(0.001)
    return [] if put else [Delivery(message) for message in world.stop_queue.take()]
