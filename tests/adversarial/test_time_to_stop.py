"""The time to stop counts from the submission, and not from the start of the invocation."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from tests.adversarial.virtual_time import take_time
from tests.support.fakes.faults import EntriesFailed
from tests.support.simulated_aws import STOP, Delivery, SimulatedAws

HOUR: Final = timedelta(hours=1)


def test_time_to_stop_is_without_the_listing(simulation: SimulatedAws) -> None:
    """The listing of a selection takes ten seconds, and the run stops five seconds after its submission."""
    simulation.aws.glue.add_run("etl", "jr", stopping_seconds=5, started_on=simulation.clock() - HOUR)
    simulation.put('{"JobName": "etl", "Select": {}}')
    take_time(simulation, 10, "GetJobRuns")
    simulation.run()
    assert simulation.history("etl", "jr") == ["StopSubmitted", "Stopped"]
    assert simulation.invocations[-1].values["TimeToStop"] == [5]


def test_time_to_stop_is_without_an_earlier_group(simulation: SimulatedAws) -> None:
    """A poison pill candidate is submitted after the trusted messages, whose calls took their time."""
    for job_name in ("etl", "candidate"):
        simulation.aws.glue.add_run(job_name, "jr", stopping_seconds=5)
        simulation.request_stop(job_name, "jr")
    trusted, candidate = simulation.stop_queue.take()
    take_time(simulation, 8, "SendMessageBatch")
    simulation.deliver(STOP, [Delivery(trusted), Delivery(candidate, 3)])
    simulation.run()
    times = [invocation.values.get("TimeToStop", []) for invocation in simulation.invocations]
    assert [seconds for values in times for seconds in values] == [5, 5]


def test_time_to_stop_of_a_redelivered_selection_is_not_negative(simulation: SimulatedAws) -> None:
    """When a run was submitted by a delivery whose result was lost, its time to stop is not invented."""
    simulation.aws.glue.add_run("etl", "jr", stopping_seconds=5, started_on=simulation.clock() - HOUR)
    simulation.put('{"JobName": "etl", "Select": {}}')
    simulation.aws.faults.add(EntriesFailed(), operation="SendMessageBatch", times=1)
    simulation.run()
    assert simulation.history("etl", "jr")[-1] == "Stopped"
    assert simulation.invocations[-1].values["TimeToStop"] == [0]
