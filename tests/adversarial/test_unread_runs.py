"""Runs that CONFIRM could not read: none is given up before a read succeeds, or reads have failed often."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import pytest

from tests.support.fakes.faults import Fault, LostAnswer, Refused, Throttle
from tests.support.simulated_aws import CONFIRM, SimulatedAws, stop_request

DEADLINE: Final = 1800
LEAST_POLLS: Final = 8


@pytest.mark.parametrize("minutes", [31, 61, 600])
@pytest.mark.parametrize("fault", [Throttle(), LostAnswer(), Refused("InternalServiceException", status=500)])
def test_runs_that_waited_for_a_pause_are_confirmed(
    simulation: SimulatedAws, minutes: float, fault: Fault
) -> None:
    """CONFIRM was off for longer than the deadlines, and its first reads fail. All runs are Stopped later."""
    jobs = [f"job-{number}" for number in range(12)]
    _wait_for_confirmation(simulation, jobs, minutes, state="STOPPED")
    simulation.aws.faults.add(fault, operation="GetJobRun", times=3)
    first = simulation.deliver_due(CONFIRM)
    assert {line["outcome"] for line in first.outcomes} <= {"NotYetConfirmed", "Stopped"}
    simulation.run()
    assert {job: simulation.history(job, "jr")[-1] for job in jobs} == dict.fromkeys(jobs, "Stopped")
    assert not simulation.dead_letters()
    assert {event["outcome"] for event in simulation.aws.events.details} == {"Stopped"}


def test_thousand_runs_are_not_given_up_by_one_throttled_invocation(simulation: SimulatedAws) -> None:
    """Reads that no longer start say nothing about their runs, however old the messages are."""
    jobs = [f"job-{number}" for number in range(200)]
    _wait_for_confirmation(simulation, jobs, minutes=600, state="STOPPED")
    simulation.aws.faults.add(Throttle(), operation="GetJobRun")
    first = simulation.deliver_due(CONFIRM)
    assert first.counts["NotYetConfirmed"] == len(jobs)
    assert first.counts["StateReads"] < 30
    assert not simulation.dead_letters()


def test_run_that_was_polled_often_is_not_given_up_without_a_call(simulation: SimulatedAws) -> None:
    """Reads that no longer start are no failed reads, however often the runs were polled before."""
    jobs = [f"job-{number}" for number in range(20)]
    _wait_for_confirmation(simulation, jobs, minutes=600, state="STOPPED", attempt=50)
    simulation.aws.faults.add(Throttle(), operation="GetJobRun")
    first = simulation.deliver_due(CONFIRM)
    called = {call["JobName"] for call in first.called("GetJobRun")}
    assert len(called) < len(jobs)
    outcomes = {line["job_name"]: line["outcome"] for line in first.outcomes}
    assert {outcomes[job] for job in jobs if job not in called} == {"NotYetConfirmed"}


def test_run_that_is_still_stopping_after_a_pause_times_out(simulation: SimulatedAws) -> None:
    """A state that was read after the deadline ends the confirmation at once."""
    _wait_for_confirmation(simulation, ["etl"], minutes=61, state="STOPPING")
    simulation.run()
    assert simulation.history("etl", "jr") == ["StopTimedOut"]


def test_run_whose_reads_fail_after_a_pause_is_polled_several_times(simulation: SimulatedAws) -> None:
    """If no read succeeds, the run is Unconfirmed after the least number of polls, with one dead letter."""
    _wait_for_confirmation(simulation, ["etl"], minutes=600, state="STOPPED")
    simulation.aws.faults.add(LostAnswer(), operation="GetJobRun")
    simulation.run()
    assert simulation.history("etl", "jr") == [*["NotYetConfirmed"] * LEAST_POLLS, "Unconfirmed"]
    assert [code for _, code, *_ in simulation.dead_letters()] == ["ConnectionClosedError"]
    assert [event["outcome"] for event in simulation.aws.events.details] == ["Unconfirmed"]


def _wait_for_confirmation(
    simulation: SimulatedAws, jobs: list[str], minutes: float, *, state: str, attempt: int = 0
) -> None:
    """Put a message for a run of each job on the confirm queue, and let the minutes pass."""
    submitted_at = simulation.clock()
    for job_name in jobs:
        simulation.aws.glue.add_run(
            job_name, "jr", state=state, stopping_seconds=None, started_on=submitted_at - timedelta(hours=1)
        )
        attributes = {"GluebrakeAttempt": str(attempt), "GluebrakeSubmittedAt": submitted_at.isoformat()}
        simulation.confirm_queue.put(
            stop_request(job_name, "jr"),
            attributes={name: {"DataType": "String", "StringValue": v} for name, v in attributes.items()},
            sender_id="AROAGLUEBRAKE:gluebrake",
        )
    simulation.clock.advance(60 * minutes)
