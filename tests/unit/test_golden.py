"""Messages, events and settings that version 0.1 wrote are still read."""

import json
from datetime import datetime
from typing import Any

import msgspec
import pytest

from gluebrake import lambda_event
from gluebrake.contract import StopOutcome
from gluebrake.model import Invalid, ParsedRequest
from gluebrake.parsing.dispatcher import read
from gluebrake.settings import settings
from tests.golden import golden
from tests.support.builders import AWS_ENVIRONMENT, NOON, OUR_SENDER_ID, SETTINGS, record

MESSAGES = golden("messages.json")
OUTCOME_EVENTS = golden("outcome-events.json")


def _read(written: dict[str, Any]) -> Any:
    event = {"Records": [record(written["body"], written["attributes"], SenderId=OUR_SENDER_ID)]}
    arrival = lambda_event.arrival(
        event,
        request_id="r-1",
        now=NOON,
        max_attempts=8,
        trusted_sender_ids=frozenset(SETTINGS["trusted_sender_ids"]),
    )
    (message,) = arrival.messages
    return read(message, AWS_ENVIRONMENT)


@pytest.mark.parametrize("written", MESSAGES, ids=lambda written: written["name"])
def test_messages_on_the_queues_are_read(written: dict[str, Any]) -> None:
    """The request and its bookkeeping read as they were written; an unreadable one is still unreadable."""
    got = _read(written)
    if "InvalidRequest" in written["name"]:
        assert isinstance(got, Invalid)
        return
    body, attributes = json.loads(written["body"]), written["attributes"]
    assert isinstance(got, ParsedRequest)
    assert json.loads(msgspec.json.encode(got.request)) == body
    assert got.run_ids == tuple(body.get("JobRunIds", ()))
    # A confirm message may count more polls than a stop message counts attempts.
    attempt = int(attributes.get("GluebrakeAttempt", 0))
    assert got.message.attempt == (attempt if attempt < 8 else 0)
    assert got.message.sender == attributes.get("GluebrakeSender", OUR_SENDER_ID)
    submitted_at = attributes.get("GluebrakeSubmittedAt")
    assert got.message.submitted_at == (datetime.fromisoformat(submitted_at) if submitted_at else None)


@pytest.mark.parametrize("event", OUTCOME_EVENTS, ids=lambda event: event["name"])
def test_outcome_events_are_read(event: dict[str, Any]) -> None:
    """Each recorded detail fits the type and is written back without a change; one outcome has a new name."""
    detail = event["detail"]
    if detail["outcome"] == "FinishedFirst":
        detail = {**detail, "outcome": "FinishedBeforeStop"}
    outcome = msgspec.convert(detail, StopOutcome)
    assert msgspec.to_builtins(outcome) == detail


def test_the_environment_is_read() -> None:
    """Lambda gives new code the old environment for a moment, since it updates the two one after the other."""
    values = settings(golden("environment.json"))
    assert values.stop_queue_url == "https://queue/stop"
    assert values.retry_seconds == (5, 900)
