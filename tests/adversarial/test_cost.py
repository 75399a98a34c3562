"""One small message never costs more than its size allows."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, Final

import pytest
from msgspec import UNSET

from gluebrake.decisions.planning import matches
from gluebrake.handlers import stop
from gluebrake.model import Invalid, ParsedRequest
from gluebrake.parsing import dispatcher
from gluebrake.runtime import Dependencies
from tests.support.fakes.aws_server import FakeAws
from tests.support.fakes.sqs import Queue
from tests.unit.parsing import events
from tests.unit.parsing.conftest import Wire
from tests.unit.parsing.events import AWS_ENVIRONMENT, RUN, SENT_AT, message, sqs_record

CONTEXT: Final = SimpleNamespace(aws_request_id="request-1", get_remaining_time_in_millis=lambda: 29_500)
MESSAGE_BYTES: Final = 1_048_576
"""The most that SQS takes."""

HUGE: Final = {
    "5,000 digits": "9" * 5_000,
    "a million digits": "9" * 1_000_000,
    "too large a float": "1e999999",
    "too small a float": "-1e999999",
    "a long fraction": "0." + "9" * 100_000,
    "a round number": "1" + "0" * 400,
}


@pytest.fixture
def parts(wire: Wire) -> Dependencies:
    """Wire the function with the usual settings, a moment after the messages were sent."""
    return replace(wire(), clock=lambda: SENT_AT, jitter=lambda: 0.0)


def _nested(levels: int) -> str:
    text = json.dumps(events.request())
    for _ in range(levels):
        text = json.dumps({"TopicArn": events.TOPIC, "Message": text})
    return text


def test_notifications_within_notifications_end_with_the_message() -> None:
    """Each envelope doubles the quotes of those in it, so a message holds few: all are read."""
    levels = next(level for level in range(1, 40) if len(_nested(level)) > MESSAGE_BYTES) - 1
    assert levels < 20
    assert isinstance(dispatcher.read(message(_nested(levels)), AWS_ENVIRONMENT), ParsedRequest)


@pytest.mark.parametrize("levels", [10_000, 500_000])
@pytest.mark.parametrize(("opened", "closed"), [("[", "]"), ('{"a":', "}")])
@pytest.mark.parametrize(
    "template", ['{"JobName": %s}', '{"TopicArn": "a", "Message": %s}', '{"X": %s, "detail-type": "a"}']
)
def test_deep_nesting_ends_at_once(template: str, opened: str, closed: str, levels: int) -> None:
    """A body that is nested deeper than the reader goes is unusable, wherever that is."""
    body = template % (opened * levels + "1" + closed * levels)
    assert isinstance(dispatcher.read(message(body), AWS_ENVIRONMENT), Invalid)


@pytest.mark.parametrize("number", HUGE.values(), ids=HUGE)
@pytest.mark.parametrize(
    "template",
    [
        '{"JobName": "etl", "Select": {"OlderThanMinutes": %s}}',
        '{"JobName": "etl", "JobRunIds": ["jr_1"], "DryRun": %s}',
        '{"JobName": %s, "JobRunIds": ["jr_1"]}',
        '{"detail-type": %s, "detail": {}}',
        '{"JobName": "etl", "JobRunIds": ["jr_1"], "Extra": %s}',
    ],
)
def test_a_huge_number_is_no_number_of_ours(template: str, number: str) -> None:
    """A number of any length, where it is or is not looked for, makes a message unusable and nothing else."""
    assert isinstance(dispatcher.read(message(template % number), AWS_ENVIRONMENT), Invalid)


@pytest.mark.parametrize(
    "time",
    ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "1970-01-01T00:00:00Z"],
)
def test_a_date_far_away_is_reckoned_with_or_refused(time: str) -> None:
    """The first and last moments that a date can tell mean no run that started after the message was sent."""
    asked = events.request(Select={"StartedBefore": time, "OlderThanMinutes": 10_080})
    for body in (asked, events.stop_requested(asked, time=time)):
        read = dispatcher.read(message(body), AWS_ENVIRONMENT)
        if isinstance(read, ParsedRequest):
            assert read.request.select is not UNSET
            assert read.request.select.started_before is not UNSET
            assert read.request.select.started_before <= SENT_AT


def test_a_pattern_of_nothing_but_wildcards_is_matched_without_going_back() -> None:
    """Each part of a pattern is looked for once, after the part before it: no pattern explodes."""
    assert matches("*a" * 127 + "*", "a" * 255)
    assert not matches("*a" * 127 + "*b", "a" * 255)
    assert not matches("a*" * 127 + "b", "a" * 254 + "c")


def _ask(parts: Dependencies, body: Any) -> None:
    stop.handler({"Records": [sqs_record(body)]}, CONTEXT, parts)


def test_one_run_named_a_hundred_thousand_times_is_one_call(
    aws: FakeAws, parts: Dependencies, queues: dict[str, Queue]
) -> None:
    """A message that is full of one run id costs one call and one message."""
    aws.glue.add_run("etl", "jr_1", state="RUNNING", started_on=SENT_AT - timedelta(hours=1))
    body = json.dumps({"JobName": "etl", "JobRunIds": ["jr_1"] * 100_000})
    assert len(body) < MESSAGE_BYTES
    _ask(parts, body)
    assert [call.operation for call in aws.calls] == ["BatchStopJobRun", "SendMessageBatch"]
    assert [json.loads(one.body)["JobRunIds"] for one in queues["confirm"]] == [["jr_1"]]


def test_a_request_for_more_runs_than_allowed_is_one_dead_letter_and_no_call(
    aws: FakeAws, parts: Dependencies, queues: dict[str, Queue]
) -> None:
    """A message that is full of run ids stops none of them, and comes out as it went in."""
    body = json.dumps({"JobName": "etl", "JobRunIds": [f"jr_{number}" for number in range(60_000)]})
    _ask(parts, body)
    assert [call.operation for call in aws.calls] == ["SendMessageBatch"]
    assert [one.body for one in queues["dead_letter"]] == [body]


def test_a_selection_of_thousands_of_runs_costs_a_page_for_each_two_hundred(
    aws: FakeAws, parts: Dependencies, queues: dict[str, Queue]
) -> None:
    """More active runs than one request may mean are found page by page, and none of them is stopped."""
    for number in range(2_000):
        aws.glue.add_run("etl", f"jr_{number}", state="RUNNING", started_on=SENT_AT - timedelta(hours=1))
    _ask(parts, {"JobName": "etl", "Select": {}})
    operations = [call.operation for call in aws.calls]
    assert operations == [*["GetJobRuns"] * operations.count("GetJobRuns"), "SendMessageBatch"]
    assert operations.count("GetJobRuns") <= 2_000 / 200 + 1
    (letter,) = queues["dead_letter"]
    assert letter.attributes["ERROR_CODE"]["StringValue"] == "TooManyRuns"


def test_what_is_named_in_an_error_is_cut() -> None:
    """However long a name or a value is, what a dead letter says of it fits into an attribute."""
    long = "`" * 900_000
    for body in ({**events.request(), long: 1}, {**events.request(), "JobName": long}, {long: RUN}):
        read = dispatcher.read(message(body), AWS_ENVIRONMENT)
        assert isinstance(read, Invalid)
        assert len(read.why) <= 1024
