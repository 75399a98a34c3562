"""What carried a request is in each log line, outcome event and dead letter that the request leads to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import pytest

from tests.support.fakes.aws_server import ACCOUNT
from tests.support.fakes.faults import Throttle
from tests.support.fakes.sqs import FUNCTION_ROLE_ID
from tests.support.simulated_aws import CONFIRM, EVENT_ID, STOP, SimulatedAws, stop_request, stop_request_event
from tests.unit.parsing.events import (
    ALARM_ARN,
    TOPIC,
    Json,
    alarm_action,
    alarm_data,
    dimensions,
    metric,
    notification,
)

REQUEST: Final = stop_request("etl", "jr_1")
OF_EVENT: Final = f"event {EVENT_ID} of guardrail in account {ACCOUNT}"
OF_NOTIFICATION: Final = f"notification {notification(REQUEST)['MessageId']} of {TOPIC}"
CARRIED: Final = pytest.mark.parametrize(
    ("body", "via"),
    [
        (REQUEST, ""),
        (stop_request_event(REQUEST), OF_EVENT),
        (json.dumps(notification(json.loads(REQUEST))), OF_NOTIFICATION),
        (json.dumps(alarm_action(alarm_data(metric(dimensions("jr_1", "etl"))))), f"action of {ALARM_ARN}"),
    ],
    ids=["request", "event", "notification", "action"],
)


def _reported(simulation: SimulatedAws) -> set[str]:
    """Return what the log lines, and what the outcome events, say of the envelope."""
    lines = [line for invocation in simulation.invocations for line in invocation.outcomes]
    assert lines
    assert simulation.aws.events.details
    return {report.get("via", "") for report in (*lines, *simulation.aws.events.details)}


def _attribute(attributes: Mapping[str, Json]) -> str:
    return str(attributes.get("GluebrakeVia", {}).get("StringValue", ""))


@CARRIED
@pytest.mark.parametrize("operation", ["BatchStopJobRun", "GetJobRun"])
def test_envelope_is_reported_from_the_first_line_to_the_last(
    simulation: SimulatedAws, body: str, via: str, operation: str
) -> None:
    """Retries of the stop, polls and the outcome have the envelope of the first message."""
    simulation.aws.glue.add_run("etl", "jr_1", stopping_seconds=40)
    simulation.put(body)
    simulation.aws.faults.add(Throttle(), operation=operation, times=2)
    simulation.run()
    assert simulation.history("etl", "jr_1")[-1] == "Stopped"
    assert simulation.history("etl", "jr_1").count("NotYetConfirmed") > 0
    assert _reported(simulation) == {via}


@CARRIED
def test_envelope_is_reported_after_a_redrive(simulation: SimulatedAws, body: str, via: str) -> None:
    """A dead letter has the envelope as an attribute, which STOP believes of the functions' own messages."""
    simulation.put(body)
    simulation.run()
    (dead_letter,) = simulation.dead_letter_queue.take()
    assert _attribute(dead_letter.attributes) == via
    simulation.stop_queue.put(
        dead_letter.body, attributes=dead_letter.attributes, sender_id=f"{FUNCTION_ROLE_ID}:gluebrake"
    )
    simulation.aws.glue.add_run("etl", "jr_1")
    simulation.run()
    assert simulation.history("etl", "jr_1")[-1] == "Stopped"
    assert _reported(simulation) == {via}


@pytest.mark.parametrize("queue", [STOP, CONFIRM])
def test_producer_claims_no_envelope(simulation: SimulatedAws, queue: str) -> None:
    """The attribute of a message that no function sent is ignored."""
    simulation.aws.glue.add_run("etl", "jr_1", state="STOPPED")
    attributes = {"GluebrakeVia": {"DataType": "String", "StringValue": OF_EVENT}}
    queues = {STOP: simulation.stop_queue, CONFIRM: simulation.confirm_queue}
    queues[queue].put(REQUEST, attributes=attributes)
    simulation.run()
    assert _reported(simulation) == {""}


@pytest.mark.parametrize("source", ["a\x07b\uffff", "\n", "\N{OCTAGONAL SIGN}" * 500, "x" * 1_000_000])
def test_any_source_of_an_event_is_carried(simulation: SimulatedAws, source: str) -> None:
    """SQS refuses some characters in attributes. A source with them still leads to a stop and an outcome."""
    simulation.aws.glue.add_run("etl", "jr_1")
    simulation.put(json.dumps({**json.loads(stop_request_event(REQUEST)), "source": source}))
    simulation.put(
        json.dumps({**json.loads(stop_request_event(stop_request("etl", "gone"))), "source": source})
    )
    simulation.run()
    assert simulation.history("etl", "jr_1") == ["StopSubmitted", "Stopped"]
    assert simulation.counts["NotFound"] == len(simulation.dead_letter_queue) == 1
    assert all(via.startswith(f"event {EVENT_ID} of ") and len(via) <= 256 for via in _reported(simulation))


def test_source_of_an_event_is_its_requester(simulation: SimulatedAws) -> None:
    """A stop request on the bus that names no requester is requested by the event's source."""
    simulation.aws.glue.add_run("etl", "jr_1")
    simulation.aws.glue.add_run("etl", "jr_2")
    simulation.put(stop_request_event(REQUEST))
    simulation.put(stop_request_event(stop_request("etl", "jr_2", RequestedBy="me")))
    simulation.run()
    requesters: dict[str, Any] = {e["jobRunId"]: e["requestedBy"] for e in simulation.aws.events.details}
    assert requesters == {"jr_1": "guardrail", "jr_2": "me"}


def test_events_share_no_message_if_they_differ(simulation: SimulatedAws) -> None:
    """Runs of two events are confirmed by two messages, each with its own envelope."""
    for run_id in ("jr_1", "jr_2"):
        simulation.aws.glue.add_run("etl", run_id)
        event = json.loads(stop_request_event(stop_request("etl", run_id)))
        simulation.put(json.dumps({**event, "id": run_id}))
    simulation.deliver_due(STOP)
    sent = {json.loads(m.body)["JobRunIds"][0]: _attribute(m.attributes) for m in simulation.confirm_queue}
    assert sent == {run_id: f"event {run_id} of guardrail in account {ACCOUNT}" for run_id in ("jr_1", "jr_2")}
