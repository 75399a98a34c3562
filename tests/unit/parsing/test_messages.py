"""Messages become requests, or results that explain why they do not."""

from __future__ import annotations

import json

import pytest

from gluebrake.contract import NOTICE
from gluebrake.model import ParsedRequest
from gluebrake.outcomes import Outcome
from gluebrake.parsing import dispatcher
from tests.support.builders import AWS_ENVIRONMENT, body, message, parse_requests, request
from tests.unit.parsing.events import alarm_action, run_status

pytestmark = pytest.mark.disable_socket


def test_message_that_cannot_be_used_becomes_a_result() -> None:
    """The requests of the other messages are returned, and the result has the reason."""
    valid, broken = message(message_id="valid"), message("{", message_id="broken")
    requests, results = parse_requests([broken, valid], dispatcher.parse, AWS_ENVIRONMENT)
    assert requests == [ParsedRequest(valid, request(), ("jr_1",))]
    assert [(result.message, result.outcome) for result in results] == [(broken, Outcome.INVALID_REQUEST)]
    assert results[0].why.startswith("the body: is not JSON")


def test_message_that_requests_nothing_is_ignored() -> None:
    """A known event that requests no stop becomes a result with the reason."""
    foreign = message(json.dumps(run_status(envelope={"account": "999999999999"})))
    requests, results = parse_requests([foreign], dispatcher.parse, AWS_ENVIRONMENT)
    assert requests == []
    assert [(result.message.body, result.outcome) for result in results] == [(foreign.body, Outcome.IGNORED)]
    assert results[0].why.startswith("it is of account 999999999999")


def test_notice_of_gluebrake_is_ignored() -> None:
    """A notice that is sent to a queue requests nothing, whatever its text names."""
    notice = {"source": "custom", "metadata": {"eventType": NOTICE}, "content": {"description": body()}}
    requests, results = parse_requests([message(json.dumps(notice))], dispatcher.parse, AWS_ENVIRONMENT)
    assert requests == []
    assert [(result.outcome, result.why) for result in results] == [
        (Outcome.IGNORED, "this is a notice of Gluebrake")
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (json.dumps(run_status())[:-1] + ', "source": "aws.glue"}', "source: occurs twice in one object"),
        (json.dumps(run_status(envelope={"dryRun": True})), "dryRun: is outside the stop request"),
        (json.dumps(run_status() | alarm_action()), "the body: has the fields of two event types"),
    ],
)
def test_unclear_event_is_invalid(text: str, why: str) -> None:
    """The reason names the member that could be read in two ways."""
    _, (result,) = parse_requests([message(text)], dispatcher.parse, AWS_ENVIRONMENT)
    assert result.why.startswith(why)


def test_default_body_of_the_builders_is_a_request() -> None:
    """The example that other tests use is valid."""
    requests, _ = parse_requests([message(body())], dispatcher.parse, AWS_ENVIRONMENT)
    assert len(requests) == 1
