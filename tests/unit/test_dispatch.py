"""The results of a stage are sent, logged, counted and published."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from gluebrake.aws.call_budget import CallBudget
from gluebrake.dispatch import StageResult, dispatch
from gluebrake.handlers.stop import StopDependencies
from gluebrake.metrics import Count
from gluebrake.outcomes import Outcome
from tests.support.builders import NOON, message_result, result
from tests.support.fakes.aws_server import FakeAws
from tests.support.fakes.faults import EntriesFailed
from tests.unit.conftest import Metrics


def _budget() -> CallBudget:
    return CallBudget(lambda: 30.0)


def test_each_result_is_sent_and_counted(
    aws: FakeAws, dependencies: StopDependencies, metrics: Callable[[], Metrics]
) -> None:
    """The messages that the results lead to are sent, and each outcome is counted."""
    results = [result(Outcome.STOP_SUBMITTED), result(Outcome.FAILED, run_id="jr_2")]
    stage_result = StageResult(NOON, results, [message_result()], {Count.RUNS_REQUESTED: 2})
    assert dispatch(stage_result, dependencies, _budget()) == frozenset()
    dependencies.telemetry.flush({})
    requests = aws.requests("SendMessageBatch")
    assert len(requests) == 2
    sent = sorted(request["QueueUrl"].split("/")[-1] for request in requests for _ in request["Entries"])
    assert sent == ["confirm", "dead_letter", "dead_letter"]
    emitted = metrics()
    assert {name: sum(emitted[name]) for name in ("StopSubmitted", "Failed", "InvalidRequest")} == {
        "StopSubmitted": 1,
        "Failed": 1,
        "InvalidRequest": 1,
    }
    assert emitted["RunsRequested"] == [2]


def test_submission_time_is_the_time_of_the_stage_result(aws: FakeAws, dependencies: StopDependencies) -> None:
    """The time to stop counts from when the run was submitted, and not from when the message is sent."""
    dispatch(StageResult(NOON, [result(Outcome.STOP_SUBMITTED)]), dependencies, _budget())
    (sent,) = aws.requests("SendMessageBatch")
    submitted_at = sent["Entries"][0]["MessageAttributes"]["GluebrakeSubmittedAt"]["StringValue"]
    assert datetime.fromisoformat(submitted_at) == NOON


def test_final_outcome_is_published(aws: FakeAws, dependencies: StopDependencies) -> None:
    """The event has the time of the dispatch, and it is published in the reserved time."""
    budget, later = _budget(), NOON + timedelta(seconds=2)
    budget.reserve_for_dispatch(2000)
    results = [result(Outcome.WOULD_STOP), result(Outcome.RETRYING, run_id="jr_2")]
    dispatch(StageResult(NOON, results), replace(dependencies, clock=lambda: later), budget)
    published = [(detail["jobRunId"], detail["settledAt"]) for detail in aws.events.details]
    assert published == [("jr_1", "2026-11-24T12:00:02Z")]
    (entry,) = aws.events.published
    assert (entry["EventBusName"], entry["Resources"]) == (
        "gluebrake-bus",
        ["arn:aws:glue:eu-west-1:123456789012:job/etl"],
    )


def test_event_without_reserved_time_is_counted_as_lost(
    aws: FakeAws, dependencies: StopDependencies, metrics: Callable[[], Metrics]
) -> None:
    """Without time that is reserved for dispatch no event is published."""
    dispatch(StageResult(NOON, [result(Outcome.WOULD_STOP)]), dependencies, _budget())
    dependencies.telemetry.flush({})
    assert not aws.events.published
    assert metrics()["OutcomeEventsLost"] == [1]


def test_messages_with_failed_sends_are_undelivered(aws: FakeAws, dependencies: StopDependencies) -> None:
    """SQS redelivers each message of which a result could not be sent, and no other."""
    aws.faults.add(EntriesFailed(when=lambda entry: "jr_2" in entry["MessageBody"]))
    results = [
        result(Outcome.FAILED, run_id="jr_1", message_ids=("m-1",)),
        result(Outcome.FAILED, run_id="jr_2", message_ids=("m-2", "m-3")),
    ]
    assert dispatch(StageResult(NOON, results), dependencies, _budget()) == {"m-2", "m-3"}
