"""Whatever is done to an event, reading ends, and nothing is stopped that it does not ask for."""

from __future__ import annotations

import json
from collections import Counter
from random import Random
from typing import Any, Final

import pytest
from msgspec import UNSET

from gluebrake import lambda_event
from gluebrake.model import Ignored, Invalid, ParsedRequest
from gluebrake.parsing import dispatcher
from tests.unit.parsing import events
from tests.unit.parsing.events import AWS_ENVIRONMENT, RUN, SENT_AT, alarm_data, dimensions, message, metric
from tests.unit.parsing.mutations import garbled, mutated
from tests.unit.parsing.oracle import SELECTED, Meant, at_most

pytestmark = pytest.mark.disable_socket

CASES: Final = 1_400
"""Of each event: more than 20,000 in all."""

ON_A_RUN: Final = alarm_data(events.EXPRESSION, metric(dimensions(RUN)), metric({}, "Own"))
ON_TWO_METRICS: Final = events.reckoning(
    events.TRIGGER_EXPRESSION, *[events.trigger_metric(dimensions(RUN))] * 2
)

EVENTS: Final[dict[str, Any]] = {
    "run status": events.run_status(),
    "run stopping": events.run_status("STOPPING"),
    "run stopped": events.job_state(),
    "alarm on all runs": events.alarm_event(),
    "alarm on a run": events.alarm_event(ON_A_RUN),
    "alarm that is over": events.alarm_event(alarm_data(state="OK")),
    "suppressed alarm": events.alarm_event(events.composite_data(actionsSuppressedBy="Alarm")),
    "action": events.alarm_action(ON_A_RUN),
    "notification": events.alarm_notification(),
    "notification through a topic": events.notification(events.alarm_notification(ON_TWO_METRICS)),
    "notification that is over": events.notification(events.alarm_notification(state="OK")),
    "composite notification": events.composite_notification(),
    "request": events.request(RUN, "jr_2", Reason="over budget", DryRun=False),
    "selection": events.request(Select={"States": ["RUNNING"], "OlderThanMinutes": 60}),
    "request on the bus": events.stop_requested(events.request()),
    "request through a topic": events.notification(events.request()),
    "destination": events.destination_record(requestPayload=events.alarm_action()),
    "S3": events.S3_RECORDS,
}


def read(text: str) -> ParsedRequest | Ignored | Invalid:
    """Read a body; what asks for runs asks for those that the second reader found, and for none after now."""
    result = dispatcher.read(message(text), AWS_ENVIRONMENT)
    if not isinstance(result, ParsedRequest):
        assert 0 < len(result.why) <= 1024
        return result
    request = result.request
    assert Meant(request.job_name, request.job_run_ids or SELECTED) == at_most(text, AWS_ENVIRONMENT)
    assert result.run_ids == (request.job_run_ids or ())
    if request.select is not UNSET:
        assert request.select.older_than_minutes is UNSET
        assert request.select.started_before is not UNSET
        assert request.select.started_before <= SENT_AT
    return result


@pytest.mark.parametrize("name", EVENTS)
def test_nothing_else_is_stopped_whatever_is_wrong_with_an_event(name: str) -> None:
    """An event that was changed asks for what it says now, or for nothing; no change crashes reading."""
    random = Random(name)  # noqa: S311 - the same cases each time, and no secret
    became = Counter[type]()
    for _ in range(CASES):
        event = mutated(EVENTS[name], random)
        text = json.dumps(event)
        became[type(read(text))] += 1
        read(garbled(text, random))
        came = lambda_event.arrival(
            event, request_id="r", now=SENT_AT, max_attempts=8, trusted_sender_ids=frozenset()
        )
        assert not came.from_queue
        assert [one.body for one in came.messages] == [text]
    assert became[Invalid]


@pytest.mark.parametrize(
    "name", ["run status", "alarm on a run", "action", "notification", "request", "selection"]
)
def test_enough_events_survive_their_mutations(name: str) -> None:
    """Many changed events still ask for runs, so that the second reader has something to object to."""
    random = Random(name)  # noqa: S311 - the same cases each time, and no secret
    asked = [read(json.dumps(mutated(EVENTS[name], random))) for _ in range(200)]
    assert sum(isinstance(one, ParsedRequest) for one in asked) > 10


@pytest.mark.parametrize("state", ["OK", "INSUFFICIENT_DATA", "alarm", "STOPPING", ""])
@pytest.mark.parametrize("name", ["alarm on a run", "action", "notification", "notification through a topic"])
def test_alarm_that_is_in_no_alarm_stops_nothing_whatever_else_is_wrong(name: str, state: str) -> None:
    """Without the word ALARM and without our own request no mutation of an alarm stops a run."""
    random = Random(name + state)  # noqa: S311 - the same cases each time, and no secret
    calm = json.loads(
        json.dumps(EVENTS[name]).replace('"ALARM', f'"{state}').replace('\\"ALARM', f'\\"{state}')
    )
    for _ in range(200):
        text = json.dumps(mutated(calm, random))
        if "ALARM" not in text and "JobRunIds" not in text and "Select" not in text:
            assert not isinstance(read(text), ParsedRequest)
