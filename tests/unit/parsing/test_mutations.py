"""Tests with mutated events: parsing never raises, and requests no more than a second parser allows."""

from __future__ import annotations

import json
from collections import Counter
from random import Random
from typing import Any, Final

import pytest
from msgspec import UNSET

from gluebrake import lambda_event
from gluebrake.model import ParsedRequest
from tests.support.builders import AWS_ENVIRONMENT, Ignored, Invalid, bookkeeping, parse_one
from tests.unit.parsing import events
from tests.unit.parsing.events import RUN, SENT_AT, alarm_data, dimensions, message, metric
from tests.unit.parsing.mutations import garbled, mutated
from tests.unit.parsing.oracle import SELECTED, Allowed, at_most
from tests.unit.parsing.silenced import ELSEWHERE, SILENCED, TRUSTING, parse_silenced

# Coverage would double the time. Other tests cover each branch.
pytestmark = [pytest.mark.disable_socket, pytest.mark.unmeasured]

CASES: Final = 900
"""The mutations of each event: more than 20,000 in all."""

MONITORING_ALARM: Final = alarm_data(metric(dimensions(RUN), accountId=AWS_ENVIRONMENT.account))

ON_A_RUN: Final = alarm_data(events.EXPRESSION, metric(dimensions(RUN)), metric({}, "Own"))
ON_TWO_METRICS: Final = events.metric_math_trigger(
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
    "contributor": events.contributor_event(),
    "contributor of a job": events.contributor_event(events.contributor_data(events.attributes(None))),
    "sum over runs": events.contributor_event(events.contributor_data(events.attributes("ALL"))),
    "contributor's action": events.alarm_action(events.contributor_data()),
    "contributor's notification": events.notification(events.contributor_notification()),
    "alarm with contributors": events.alarm_event(alarm_data(events.query())),
    "muted alarm": events.alarm_event(alarm_data(muteDetail=events.MUTED)),
    "alarm of a monitoring account": events.alarm_event(MONITORING_ALARM, account=ELSEWHERE),
    "contributor of a monitoring account": events.contributor_event(
        events.contributor_data(events.attributes(**{"AWS.AccountId": AWS_ENVIRONMENT.account})),
        account=ELSEWHERE,
    ),
    "request": events.request(RUN, "jr_2", Reason="over budget", DryRun=False),
    "selection": events.request(Select={"States": ["RUNNING"], "OlderThanMinutes": 60}),
    "request on the bus": events.stop_request_event(events.request()),
    "request through a topic": events.notification(events.request()),
    "destination": events.destination_record(requestPayload=events.alarm_action()),
    "S3": events.S3_RECORDS,
}


def parse(text: str) -> ParsedRequest | Ignored | Invalid:
    """Parse a body. Check that a request equals the second parser's, and selects no run that starts later."""
    parsed = parse_one(message(text), TRUSTING)
    if not isinstance(parsed, ParsedRequest):
        assert 0 < len(parsed.why) <= 1024
        return parsed
    request = parsed.request
    assert Allowed(request.job_name, request.job_run_ids or SELECTED) == at_most(text, TRUSTING)
    assert parsed.run_ids == (request.job_run_ids or ())
    if request.select is not UNSET:
        assert request.select.older_than_minutes is UNSET
        assert request.select.started_before is not UNSET
        assert request.select.started_before <= SENT_AT
    return parsed


@pytest.mark.parametrize("name", EVENTS)
def test_mutated_event_requests_at_most_what_it_now_has(name: str) -> None:
    """A mutated event requests what the second parser finds in it, or nothing. No mutation raises."""
    random = Random(name)  # noqa: S311 - repeatable, and not a secret
    results = Counter[type]()
    for _ in range(CASES):
        event = mutated(EVENTS[name], random)
        text = json.dumps(event)
        results[type(parse(text))] += 1
        parse(garbled(text, random))
        parsed = lambda_event.parse(event, request_id="r", now=SENT_AT, bookkeeping=bookkeeping())
        assert not parsed.from_queue
        (direct,) = parsed.messages
        assert direct.body == text or direct.rejection
    assert results[Invalid]


@pytest.mark.parametrize(
    "name",
    [
        *("run status", "alarm on a run", "action", "notification", "request", "selection"),
        *("contributor", "contributor of a job", "contributor's action", "contributor's notification"),
        *("alarm of a monitoring account", "contributor of a monitoring account"),
    ],
)
def test_enough_mutated_events_are_requests(name: str) -> None:
    """Many mutated events still request a stop, so that the comparison with the second parser is effective."""
    random = Random(name)  # noqa: S311 - repeatable, and not a secret
    results = [parse(json.dumps(mutated(EVENTS[name], random))) for _ in range(200)]
    assert sum(isinstance(result, ParsedRequest) for result in results) > 10


@pytest.mark.parametrize("state", ["OK", "INSUFFICIENT_DATA", "alarm", "STOPPING", ""])
@pytest.mark.parametrize("name", ["alarm on a run", "action", "notification", "notification through a topic"])
def test_mutated_alarm_in_another_state_requests_nothing(name: str, state: str) -> None:
    """Without the word ALARM and the fields of a stop request, no mutation of an alarm requests a stop."""
    random = Random(name + state)  # noqa: S311 - repeatable, and not a secret
    event = json.loads(
        json.dumps(EVENTS[name]).replace('"ALARM', f'"{state}').replace('\\"ALARM', f'\\"{state}')
    )
    for _ in range(200):
        text = json.dumps(mutated(event, random))
        if "ALARM" not in text and "JobRunIds" not in text and "Select" not in text:
            assert not isinstance(parse(text), ParsedRequest)


@pytest.mark.parametrize("name", SILENCED)
def test_mutated_alarm_that_is_silenced_requests_nothing(name: str) -> None:
    """No mutation of a muted or foreign alarm stops a run, while what silences it is still there."""
    random = Random(name)  # noqa: S311 - repeatable, and not a secret
    results = [parse_silenced(name, random) for _ in range(300)]
    assert sum(isinstance(result, Ignored | Invalid) for result in results) > 100
