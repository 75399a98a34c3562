"""Tests of outcome events through both functions: published at most once, and nothing else depends on them."""

from __future__ import annotations

from collections import Counter

import pytest

from gluebrake.metrics import Measure
from tests.support.fakes.exchange import Json
from tests.support.fakes.faults import EntriesFailed, Fault, LostAnswer, Refused, Reset, Throttle
from tests.support.simulated_aws import STOP, Context, Delivery, SimulatedAws


def test_each_run_has_one_event_at_its_end(simulation: SimulatedAws) -> None:
    """From the request to the confirmation each run has one event, which has the requester and the reason."""
    for run_id in ("jr_1", "jr_2"):
        simulation.aws.glue.add_run("etl", run_id)
    simulation.aws.glue.add_run("etl", "done", state="SUCCEEDED")
    simulation.request_stop(
        "etl", "jr_1", "jr_2", "done", "unknown", Reason="over budget", RequestedBy="guardrail"
    )
    simulation.run()
    assert _published(simulation) == {
        ("etl", "jr_1", "Stopped"): 1,
        ("etl", "jr_2", "Stopped"): 1,
        ("etl", "done", "AlreadyFinished"): 1,
        ("etl", "unknown", "NotFound"): 1,
    }
    assert {
        (event["reason"], event["requestedBy"], event["sender"]) for event in simulation.aws.events.details
    } == {("over budget", "guardrail", "AROAEXAMPLE:producer")}
    assert simulation.counts["OutcomeEventsLost"] == 0


def test_event_of_a_stop_has_the_values_of_the_log(simulation: SimulatedAws) -> None:
    """The times and measures in the event are those of the log line."""
    simulation.aws.glue.add_run("etl", "jr", stopping_seconds=7)
    simulation.request_stop("etl", "jr")
    simulation.run()
    (event,) = simulation.aws.events.details
    (line,) = [
        line
        for invocation in simulation.invocations
        for line in invocation.outcomes
        if line["outcome"] == "Stopped"
    ]
    assert event["timeToStopSeconds"] == line[Measure.TIME_TO_STOP] == 7
    assert event["state"] == line["state"] == "STOPPED"
    assert event["submittedAt"] < event["settledAt"]


def test_without_a_bus_no_event_is_published() -> None:
    """Without a bus the functions do everything else."""
    with SimulatedAws(outcome_events=False) as simulation:
        simulation.aws.glue.add_run("etl", "jr")
        simulation.request_stop("etl", "jr")
        simulation.run()
        assert simulation.history("etl", "jr") == ["StopSubmitted", "Stopped"]
        assert simulation.aws.requests("PutEvents") == []


@pytest.mark.parametrize("fault", [Throttle(), Refused("InternalException", status=500), Reset(), LostAnswer()])
def test_failed_event_causes_no_repetition(simulation: SimulatedAws, fault: Fault) -> None:
    """The message is completed, no call is repeated, and the lost event is counted."""
    simulation.aws.faults.add(fault, operation="PutEvents")
    simulation.request_stop("etl", "unknown")
    simulation.request_stop("", "jr")
    simulation.run()
    assert simulation.history("etl", "unknown") == ["Retrying", "NotFound"]
    assert [invocation.failures for invocation in simulation.invocations] == [[]] * len(simulation.invocations)
    assert len(simulation.aws.requests("PutEvents")) == simulation.counts["OutcomeEventsLost"] == 1
    (line,) = [
        line for i in simulation.invocations for line in i.lines if line["message"] == "OutcomeEventsLost"
    ]
    assert (line["level"], line["events"]) == ("WARNING", 1)


def test_redelivered_message_has_its_event_when_it_is_completed(simulation: SimulatedAws) -> None:
    """A failure is published after its dead letter was sent, and not before."""
    simulation.aws.faults.add(Refused("AccessDeniedException"), operation="BatchStopJobRun")
    simulation.aws.faults.add(Refused("AccessDeniedException"), operation="GetTags")
    simulation.aws.faults.add(EntriesFailed(), times=1)
    simulation.request_stop("etl", "jr")
    simulation.deliver_due(STOP)
    assert simulation.aws.events.published == []
    simulation.run()
    assert _published(simulation) == {("etl", "jr", "Failed"): 1}


def test_no_event_is_published_with_little_time_left() -> None:
    """Close to its deadline the function publishes nothing, and counts the lost events."""
    with SimulatedAws(protected_jobs=["etl"], context=Context(lambda: 1.2)) as simulation:
        simulation.request_stop("etl", "jr")
        invocation = simulation.deliver_due(STOP)
        assert invocation.called("PutEvents") == []
        assert invocation.counts["OutcomeEventsLost"] == invocation.counts["Protected"] == 1


def test_trusted_messages_have_their_events_before_a_poison_pill_candidate_is_processed(
    simulation: SimulatedAws,
) -> None:
    """A poison pill that crashes the function does not lose the events of other messages."""
    for run_id in ("jr_1", "jr_2"):
        simulation.aws.glue.add_run("etl", run_id, state="SUCCEEDED")
        simulation.request_stop("etl", run_id)
    candidate, trusted = simulation.stop_queue.take()
    invocation = simulation.deliver(STOP, [Delivery(candidate, 3), Delivery(trusted)])
    details = [entry["Detail"] for call in invocation.called("PutEvents") for entry in call["Entries"]]
    assert ["jr_2" in details[0], "jr_1" in details[1]] == [True, True]


def _published(simulation: SimulatedAws) -> Counter[tuple[str, str, str]]:
    return Counter(map(_run_and_outcome, simulation.aws.events.details))


def _run_and_outcome(event: Json) -> tuple[str, str, str]:
    return event["jobName"], event["jobRunId"], event["outcome"]
