"""Messages, events and settings that version 0.1 wrote are still read."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import msgspec
import pytest

from gluebrake import lambda_event
from gluebrake.contract import StopOutcome
from gluebrake.model import Message
from gluebrake.outcomes import Outcome
from gluebrake.parsing import dispatcher, stop_request
from gluebrake.settings import ConfirmSettings, StopSettings, load
from tests.golden import golden
from tests.support.builders import (
    AWS_ENVIRONMENT,
    FUNCTION_SENDER_ID,
    NOON,
    bookkeeping,
    parse_requests,
    record,
)

pytestmark = pytest.mark.disable_socket

MESSAGES = golden("messages.json")
OUTCOME_EVENTS = golden("outcome-events.json")


def _received(written: dict[str, Any]) -> Message:
    event = {"Records": [record(written["body"], written["attributes"], SenderId=FUNCTION_SENDER_ID)]}
    parsed_event = lambda_event.parse(
        event,
        request_id="r-1",
        now=NOON,
        bookkeeping=bookkeeping(),
    )
    (message,) = parsed_event.messages
    return message


@pytest.mark.parametrize("written", MESSAGES, ids=lambda written: written["name"])
def test_messages_on_the_queues_are_read(written: dict[str, Any]) -> None:
    """The request and the bookkeeping are read as they were written. An unreadable body is still unreadable."""
    message = _received(written)
    parse = stop_request.parse if written["queue"] == "confirm" else dispatcher.parse
    requests, unusable = parse_requests([message], parse, AWS_ENVIRONMENT)
    if "InvalidRequest" in written["name"]:
        assert requests == []
        assert [result.outcome for result in unusable] == [Outcome.INVALID_REQUEST]
        return
    body, attributes = json.loads(written["body"]), written["attributes"]
    (parsed,) = requests
    assert json.loads(msgspec.json.encode(parsed.request)) == body
    assert parsed.run_ids == tuple(body.get("JobRunIds", ()))
    # A confirm message may count more polls than a stop message counts attempts.
    attempt = int(attributes.get("GluebrakeAttempt", 0))
    assert message.attempt == (attempt if attempt < 8 else 0)
    assert message.sender == attributes.get("GluebrakeSender", FUNCTION_SENDER_ID)
    submitted_at = attributes.get("GluebrakeSubmittedAt")
    assert message.submitted_at == (datetime.fromisoformat(submitted_at) if submitted_at else None)


@pytest.mark.parametrize("event", OUTCOME_EVENTS, ids=lambda event: event["name"])
def test_outcome_events_are_read(event: dict[str, Any]) -> None:
    """Each recorded detail fits the type and is written again without a change. One outcome has a new name."""
    detail = event["detail"]
    if detail["outcome"] == "FinishedFirst":
        detail = {**detail, "outcome": "FinishedBeforeStop"}
    outcome = msgspec.convert(detail, StopOutcome)
    assert msgspec.to_builtins(outcome) == detail


@pytest.mark.parametrize("kind", [StopSettings, ConfirmSettings])
def test_the_environment_is_read(kind: type[StopSettings | ConfirmSettings]) -> None:
    """Lambda runs new code with the old environment for a moment, since it updates the code first."""
    settings = load(kind, golden("environment.json"))
    assert settings.confirm_queue_url == "https://queue/confirm"
    assert settings.trusted_sender_ids == ("AROAGLUEBRAKE",)
    if isinstance(settings, StopSettings):
        assert settings.stop_queue_url == "https://queue/stop"
        assert settings.retry_seconds == (5, 900)
