"""Runs for which an invocation makes few calls or none: each attempt counts, and retries end."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest

from tests.adversarial.virtual_time import limit_time, take_time
from tests.support.fakes.exchange import Answer, Call, Reply, ServiceError
from tests.support.fakes.faults import Refused, naming
from tests.support.simulated_aws import SimulatedAws

MAX_ATTEMPTS: Final = 8


def test_refused_batch_whose_halves_are_not_called_uses_an_attempt(simulation: SimulatedAws) -> None:
    """Glue refuses the batch, and no time is left to halve it: the runs fail after the last attempt."""
    limit_time(simulation, 2.5)
    for operation in ("BatchStopJobRun", "GetJobRuns", "GetJobRun"):
        take_time(simulation, 0.3, operation)
    for run_id in ("bad", "good"):
        simulation.aws.glue.add_run("etl", run_id)
    simulation.request_stop("etl", "bad", "good")
    simulation.aws.faults.add(Refused("InvalidInputException"), operation="BatchStopJobRun")
    simulation.run()
    assert len(simulation.invocations) == MAX_ATTEMPTS
    for run_id in ("bad", "good"):
        assert simulation.history("etl", run_id) == [*["Retrying"] * (MAX_ATTEMPTS - 1), "Failed"]
    assert len(simulation.dead_letter_queue) == 2


@pytest.mark.parametrize("code", [None, ""])
def test_listing_whose_error_has_no_code_uses_an_attempt(simulation: SimulatedAws, code: Any) -> None:
    """A listing that Glue refuses without a code fails after the last attempt, and is not deferred."""
    refusal = replace(ServiceError("").reply, payload={"__type": code, "message": "Oh"})
    simulation.aws.faults.add(lambda _call, _answer: refusal, operation="GetJobRuns")
    simulation.put('{"JobName": "etl", "Select": {}}')
    simulation.run()
    assert (simulation.counts["Retrying"], simulation.counts["Failed"]) == (MAX_ATTEMPTS - 1, 1)
    assert simulation.counts["Deferred"] == 0
    assert len(simulation.dead_letter_queue) == 1


def test_job_name_that_glue_refuses_costs_two_calls_a_batch(simulation: SimulatedAws) -> None:
    """If Glue refuses the job's name, halving its batches would not help."""
    run_ids = [f"jr_{number}" for number in range(100)]
    for operation in ("BatchStopJobRun", "GetJobRuns", "GetJobRun"):
        simulation.aws.faults.add(Refused("InvalidInputException", "JobName: no"), operation=operation)
    simulation.request_stop("etl", *run_ids)
    simulation.run()
    assert {simulation.history("etl", run_id)[-1] for run_id in run_ids} == {"Failed"}
    assert len(simulation.aws.requests("BatchStopJobRun")) == 4
    assert len(simulation.dead_letter_queue) == 100
    # For each batch one call checks the name. Then the states are read.
    assert len(simulation.aws.requests("GetJobRuns")) + len(simulation.aws.requests("GetJobRun")) <= 4 + 1


def test_run_id_that_glue_refuses_does_not_keep_the_others_from_being_stopped(
    simulation: SimulatedAws,
) -> None:
    """A batch with one id that Glue refuses is halved until that id is alone."""
    run_ids = [f"jr_{number}" for number in range(25)]
    for run_id in run_ids:
        simulation.aws.glue.add_run("etl", run_id, started_on=simulation.clock() - timedelta(hours=1))
    for operation in ("BatchStopJobRun", "GetJobRun"):
        simulation.aws.faults.add(Refused("InvalidInputException"), operation=operation, when=naming("jr_7"))
    simulation.aws.faults.add(_without("jr_7"), operation="GetJobRuns")
    simulation.request_stop("etl", *run_ids)
    simulation.run()
    assert simulation.history("etl", "jr_7") == ["Failed"]
    rest = {run_id: simulation.history("etl", run_id) for run_id in run_ids if run_id != "jr_7"}
    assert rest == {run_id: ["StopSubmitted", "Stopped"] for run_id in rest}


def _without(run_id: str) -> Any:
    """Return a fault that leaves a run out of the pages."""

    def leave_out(call: Call, answer: Answer) -> Reply:
        """Perform the call and shorten the reply."""
        reply = answer(call)
        runs = [run for run in reply.payload["JobRuns"] if run["Id"] != run_id]
        return replace(reply, payload={**reply.payload, "JobRuns": runs})

    return leave_out
