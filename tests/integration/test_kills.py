"""Tests that kill a function's process before and after each kind of call to AWS: nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

import pytest

from tests.support.fakes.clock import VirtualClock
from tests.support.fakes.exchange import Call
from tests.support.process_kill import run_in_process
from tests.support.scenarios import SELECTION, WITH_ATTEMPTS, set_up_all_kinds
from tests.support.simulated_aws import CONFIRM, STOP, Delivery, SimulatedAws

FINAL: Final = frozenset(
    {
        "AlreadyFinished",
        "NotFound",
        "Protected",
        "Failed",
        "Stopped",
        "FinishedBeforeStop",
        "StopTimedOut",
        "Unconfirmed",
    }
)


@pytest.fixture
def simulation() -> Iterator[SimulatedAws]:
    """Run an AWS whose clock starts now, since the processes use the real clock."""
    with SimulatedAws(clock=VirtualClock(datetime.now(UTC))) as simulation:
        yield simulation


BEFORE_AND_AFTER: Final = pytest.mark.parametrize("after", [False, True], ids=["before", "after"])


@BEFORE_AND_AFTER
@pytest.mark.parametrize(
    "operation",
    ["BatchStopJobRun", "GetJobRuns", "GetJobRun", "GetTags", "SendMessageBatch", "PutEvents", "Publish"],
)
def test_killed_stop_function_loses_nothing(simulation: SimulatedAws, operation: str, *, after: bool) -> None:
    """STOP is killed before or after a call. Its messages are redelivered, and have the same results."""
    _request_all_kinds(simulation)
    handler = simulation.functions[STOP]
    killer = run_in_process(simulation, STOP, after=after)
    simulation.aws.faults.add(killer, operation=operation, times=1)
    invocation = simulation.deliver_due(STOP)
    assert invocation.answer is None
    assert invocation.called(operation)
    simulation.functions[STOP] = handler
    simulation.run()
    _check_ends(simulation)


@BEFORE_AND_AFTER
@pytest.mark.parametrize("operation", ["GetJobRuns", "GetJobRun", "SendMessageBatch", "PutEvents", "Publish"])
def test_killed_confirm_function_loses_nothing(
    simulation: SimulatedAws, operation: str, *, after: bool
) -> None:
    """CONFIRM is killed before or after a call. Its messages are redelivered, and each run is confirmed."""
    _request_all_kinds(simulation)
    simulation.deliver_due(STOP)
    simulation.clock.advance(15)
    handler = simulation.functions[CONFIRM]
    killer = run_in_process(simulation, CONFIRM, after=after)
    simulation.aws.faults.add(killer, operation=operation, times=1)
    invocation = simulation.deliver_due(CONFIRM)
    assert invocation.answer is None
    assert invocation.called(operation)
    simulation.functions[CONFIRM] = handler
    simulation.run()
    _check_ends(simulation)


def test_process_does_the_same_as_the_handler(simulation: SimulatedAws) -> None:
    """Configured by environment variables, the function answers, calls and sends as in the other tests."""
    _request_all_kinds(simulation)
    run_in_process(simulation, STOP)
    invocation = simulation.deliver_due(STOP)
    assert invocation.answer == {"batchItemFailures": []}
    with SimulatedAws() as in_process:
        _request_all_kinds(in_process)
        expected = in_process.deliver_due(STOP)
        assert invocation.counts == expected.counts
        assert _operations(invocation.calls) == _operations(expected.calls)
        for actual, reference in (
            (simulation.stop_queue, in_process.stop_queue),
            (simulation.confirm_queue, in_process.confirm_queue),
            (simulation.dead_letter_queue, in_process.dead_letter_queue),
        ):
            assert sorted(message.body for message in actual) == sorted(message.body for message in reference)


def test_poison_pill_does_not_harm_later_messages(simulation: SimulatedAws) -> None:
    """A poison pill that was received twice before is processed last: the other runs are stopped before."""
    poison, *fresh = _deliveries_with_poison(simulation, 2)
    killer = run_in_process(simulation, STOP)
    simulation.aws.faults.add(killer, operation="BatchStopJobRun", when=_names_poison)
    invocation = simulation.deliver(STOP, [Delivery(poison.message, 3), *fresh])
    assert invocation.answer is None
    assert [run.state for run in simulation.aws.glue if run.run_id != "poison"] == ["STOPPING"] * 2
    assert sorted(json.loads(m.body)["JobName"] for m in simulation.confirm_queue) == ["job-0", "job-1"]
    simulation.run()
    assert [delivery.message.body for delivery in simulation.moved] == [poison.message.body]
    assert simulation.history("job-0", "jr")[-1] == simulation.history("job-1", "jr")[-1] == "Stopped"


def test_poison_pill_does_not_harm_messages_of_the_same_batch(simulation: SimulatedAws) -> None:
    """A poison pill and its neighbours are all candidates, and the neighbours' runs are stopped."""
    _deliveries_with_poison(simulation, 2, put=True)
    killer = run_in_process(simulation, STOP)
    simulation.aws.faults.add(killer, operation="BatchStopJobRun", when=_names_poison)
    simulation.run()
    assert ["poison" in delivery.message.body for delivery in simulation.moved] == [True]


def test_poison_pill_does_not_harm_a_message_with_more_receives(
    simulation: SimulatedAws,
) -> None:
    """Whatever the candidates' receive counts are, their order is reversed at the next delivery."""
    simulation.aws.glue.add_run("etl", "jr")
    simulation.aws.glue.add_run("etl", "poison")
    simulation.request_stop("etl", "jr")
    simulation.request_stop("etl", "poison")
    killer = run_in_process(simulation, STOP)
    simulation.aws.faults.add(killer, operation="BatchStopJobRun", when=_names_poison)
    neighbour, poison = simulation.stop_queue.take()
    simulation.deliver(STOP, [Delivery(neighbour, 4), Delivery(poison, 3)])
    simulation.run()
    assert [delivery.message for delivery in simulation.moved] == [poison]
    assert simulation.aws.glue.run("etl", "jr").state == "STOPPED"


def _names_poison(call: Call) -> bool:
    return "poison" in call.parameters["JobRunIds"]


def _request_all_kinds(simulation: SimulatedAws) -> None:
    """Request to stop runs for which STOP calls every operation, and CONFIRM two."""
    set_up_all_kinds(simulation)
    simulation.aws.glue.add_run("nightly", "hangs", stopping_seconds=None)
    simulation.request_stop("etl", "jr_1", "done", "unknown")
    simulation.request_stop("etl", "jr_2", "jr_1", Reason="over budget")
    for job_name, run_id in (("nightly", "hangs"), ("tagged", "jr"), ("denied", "jr")):
        simulation.request_stop(job_name, run_id)
    simulation.put(SELECTION)
    simulation.put(WITH_ATTEMPTS)


def _check_ends(simulation: SimulatedAws) -> None:
    """Expect a final outcome of each target, and no message that SQS moved."""
    ends = {(job, run_id): set[str]() for job, run_id, _ in simulation.outcomes}
    for job, run_id, outcome in simulation.outcomes:
        ends[job, run_id] |= {outcome} & FINAL
    assert ends == {
        ("etl", "jr_1"): {"Stopped"},
        ("etl", "jr_2"): {"Stopped"},
        ("etl", "done"): {"AlreadyFinished"},
        ("etl", "unknown"): {"NotFound"},
        ("nightly", "hangs"): {"StopTimedOut"},
        ("tagged", "jr"): {"Protected"},
        ("denied", "jr"): {"Failed"},
        ("selected", "jr_1"): {"Stopped"},
        ("selected", "jr_2"): {"Stopped"},
        ("retried", "jr_1"): {"AlreadyFinished"},
        ("retried", "jr_3"): {"Stopped"},
    }
    assert {body["JobName"] for body, *_ in simulation.dead_letters()} == {"etl", "nightly", "denied"}
    assert not simulation.moved


def _operations(calls: Sequence[Call]) -> list[str]:
    return sorted(call.operation for call in calls)


def _deliveries_with_poison(simulation: SimulatedAws, neighbours: int, *, put: bool = False) -> list[Delivery]:
    """Request to stop the poison pill's run first, and then runs of so many other jobs."""
    names = [("poisoned", "poison"), *((f"job-{number}", "jr") for number in range(neighbours))]
    for job_name, run_id in names:
        simulation.aws.glue.add_run(job_name, run_id)
        simulation.request_stop(job_name, run_id)
        simulation.clock.advance(0.001)
    return [] if put else [Delivery(message) for message in simulation.stop_queue.take()]
