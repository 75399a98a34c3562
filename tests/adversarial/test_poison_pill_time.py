"""Poison pill candidates and the function's time: no candidate costs the other messages their results."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import pytest

from tests.adversarial.virtual_time import limit_time, take_time
from tests.support.fakes.exchange import Answer, Call, Reply
from tests.support.fakes.sqs import Message
from tests.support.simulated_aws import STOP, Delivery, SimulatedAws

SECONDS: Final = 30.0
THIRD_RECEIVE: Final = 3


@pytest.mark.parametrize(
    "limits", [{"jobs": ["etl"]}, {"protected_jobs": ["x"]}], ids=["not allowed", "protected"]
)
def test_candidates_that_need_no_call_to_glue_are_limited_by_time(limits: dict[str, Any]) -> None:
    """When the time is up, the rest of the candidates is processed together, and before the function's end."""
    with SimulatedAws(**limits) as simulation:
        deadline = limit_time(simulation, SECONDS)
        # Each candidate alone takes two of these calls, so that all would take 80 seconds.
        for operation in ("SendMessageBatch", "DeleteMessageBatch", "PutEvents"):
            take_time(simulation, 0.2, operation)
        for _ in range(200):
            simulation.request_stop("x", "a")
        candidates = [Delivery(message, THIRD_RECEIVE) for message in simulation.stop_queue.take()]
        invocation = simulation.deliver(STOP, candidates)
        assert invocation.answer == {"batchItemFailures": []}
        assert deadline.least > 0
        lines = [message_id for line in invocation.outcomes for message_id in line["message_ids"]]
        assert sorted(lines) == sorted(candidate.message_id for candidate in candidates)
        # The first were processed alone.
        assert len(invocation.called("DeleteMessageBatch")) > 40


def test_exhausted_budget_remains_exhausted_for_the_candidates() -> None:
    """After trusted messages have used up the time, no call starts for a candidate, so none can crash."""
    with SimulatedAws(calls_at_once=1) as simulation:
        limit_time(simulation, SECONDS)
        take_time(simulation, 0.35, "BatchStopJobRun")
        for number in range(2):
            names = [f"jr_{number}_{run}" for run in range(1000)]
            for name in names:
                simulation.aws.glue.add_run("etl", name)
            simulation.request_stop("etl", *names)
        trusted = list(map(Delivery, simulation.stop_queue.take()))
        candidates = [Delivery(m, THIRD_RECEIVE) for m in _messages(simulation, "poison", "b", "c")]
        invocation = simulation.deliver(STOP, [*trusted, *candidates])
        assert {call["JobName"] for call in invocation.called("BatchStopJobRun")} == {"etl"}
        assert not invocation.called("DeleteMessageBatch")
        outcomes = {line["job_name"]: line["outcome"] for line in invocation.outcomes}
        assert (outcomes["poison"], outcomes["b"], outcomes["c"]) == ("Deferred",) * 3


def test_candidate_is_processed_alone_while_time_is_left(simulation: SimulatedAws) -> None:
    """The trusted messages leave enough time, so each candidate makes a call of its own."""
    limit_time(simulation, SECONDS)
    take_time(simulation, 0.12, "BatchStopJobRun")
    candidates = [Delivery(m, THIRD_RECEIVE) for m in _messages(simulation, "a", "b", "c")]
    trusted = list(map(Delivery, _messages(simulation, "trusted")))
    invocation = simulation.deliver(STOP, [*trusted, *candidates])
    assert [call["JobName"] for call in invocation.called("BatchStopJobRun")] == ["trusted", "c", "b", "a"]
    assert len(invocation.called("DeleteMessageBatch")) == 3


def test_listing_leaves_the_time_to_dispatch_the_named_runs() -> None:
    """A slow listing ends in time for the results of 3,000 runs that other messages name."""
    with SimulatedAws(protected_jobs=["vip"], outcome_events=False) as simulation:
        deadline = limit_time(simulation, SECONDS)
        left: list[float] = []

        def never_end(_call: Call, _answer: Answer) -> Reply:
            """Answer a page with a token after half a second, and note how much time is left."""
            simulation.clock.advance(0.5)
            left.append(deadline())
            return Reply(payload={"JobRuns": [], "NextToken": f"page {len(left)}"})

        simulation.aws.faults.add(never_end, operation="GetJobRuns")
        for number in range(3):
            simulation.request_stop("vip", *(f"jr_{number}_{run}" for run in range(1000)))
        simulation.put('{"JobName": "etl", "Select": {}}')
        invocation = simulation.deliver_due(STOP)
        assert invocation.counts["Protected"] == 3000
        assert invocation.counts["Retrying"] == 1
        assert min(left) > 5


def _messages(simulation: SimulatedAws, *job_names: str) -> list[Message]:
    """Request to stop a run of each job, and take the messages from the queue."""
    for job_name in job_names:
        simulation.aws.glue.add_run(job_name, "jr", started_on=simulation.clock() - timedelta(hours=1))
        simulation.request_stop(job_name, "jr")
    return simulation.stop_queue.take()
