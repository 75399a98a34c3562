"""Tests that a message costs no more time, calls and messages than its size justifies."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, Final

import pytest
from msgspec import UNSET

from gluebrake.handlers import stop
from gluebrake.handlers.stop import StopDependencies
from gluebrake.model import ParsedRequest
from gluebrake.patterns import matches
from tests.integration.conftest import MakeDependencies
from tests.support.builders import Invalid, parse_one
from tests.support.fakes.aws_server import FakeAws
from tests.support.fakes.sqs import Queue
from tests.unit.parsing import events
from tests.unit.parsing.events import RUN, SENT_AT, message, sqs_record

CONTEXT: Final = SimpleNamespace(aws_request_id="request-1", get_remaining_time_in_millis=lambda: 29_500)
MESSAGE_BYTES: Final = 1_048_576
"""The largest message that SQS accepts."""

HUGE: Final = {
    "5,000 digits": "9" * 5_000,
    "a million digits": "9" * 1_000_000,
    "too large a float": "1e999999",
    "too small a float": "-1e999999",
    "a long fraction": "0." + "9" * 100_000,
    "a round number": "1" + "0" * 400,
}


@pytest.fixture
def dependencies(make_dependencies: MakeDependencies) -> StopDependencies:
    """Make STOP's dependencies with default settings and a clock at the time of the messages."""
    return replace(make_dependencies(), clock=lambda: SENT_AT, jitter=lambda: 0.0)


def _nested(levels: int) -> str:
    text = json.dumps(events.request())
    for _ in range(levels):
        text = json.dumps({"TopicArn": events.TOPIC, "Message": text})
    return text


def test_nested_notifications_are_limited_by_the_message_size() -> None:
    """Each notification escapes the quotes of those in it, so that a message holds few. All are parsed."""
    levels = next(level for level in range(1, 40) if len(_nested(level)) > MESSAGE_BYTES) - 1
    assert levels < 20
    assert isinstance(parse_one(message(_nested(levels))), ParsedRequest)


@pytest.mark.parametrize("levels", [10_000, 500_000])
@pytest.mark.parametrize(("opened", "closed"), [("[", "]"), ('{"a":', "}")])
@pytest.mark.parametrize(
    "template", ['{"JobName": %s}', '{"TopicArn": "a", "Message": %s}', '{"X": %s, "detail-type": "a"}']
)
def test_deeply_nested_body_is_invalid(template: str, opened: str, closed: str, levels: int) -> None:
    """A body that is nested more deeply than the parser allows is invalid, wherever it is nested."""
    body = template % (opened * levels + "1" + closed * levels)
    assert isinstance(parse_one(message(body)), Invalid)


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
def test_huge_number_makes_a_message_invalid(template: str, number: str) -> None:
    """A message with a huge number, in any member, is invalid."""
    assert isinstance(parse_one(message(template % number)), Invalid)


@pytest.mark.parametrize(
    "time",
    ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "1970-01-01T00:00:00Z"],
)
def test_extreme_date_is_handled_or_refused(time: str) -> None:
    """The first and last dates that Python has select no run that started after the message was sent."""
    request = events.request(Select={"StartedBefore": time, "OlderThanMinutes": 10_080})
    for body in (request, events.stop_request_event(request, time=time)):
        parsed = parse_one(message(body))
        if isinstance(parsed, ParsedRequest):
            assert parsed.request.select is not UNSET
            assert parsed.request.select.started_before is not UNSET
            assert parsed.request.select.started_before <= SENT_AT


def test_pattern_of_many_wildcards_is_matched_without_backtracking() -> None:
    """Each part of a pattern is searched once, after the part before it, so that no pattern is slow."""
    assert matches("*a" * 127 + "*", "a" * 255)
    assert not matches("*a" * 127 + "*b", "a" * 255)
    assert not matches("a*" * 127 + "b", "a" * 254 + "c")


def _handle(dependencies: StopDependencies, body: Any) -> None:
    stop.handler({"Records": [sqs_record(body)]}, CONTEXT, dependencies)


def test_run_that_is_named_a_hundred_thousand_times_needs_one_call(
    aws: FakeAws, dependencies: StopDependencies, queues: dict[str, Queue]
) -> None:
    """A message with one run id many times needs one call and one message."""
    aws.glue.add_run("etl", "jr_1", state="RUNNING", started_on=SENT_AT - timedelta(hours=1))
    body = json.dumps({"JobName": "etl", "JobRunIds": ["jr_1"] * 100_000})
    assert len(body) < MESSAGE_BYTES
    _handle(dependencies, body)
    assert [call.operation for call in aws.calls] == ["BatchStopJobRun", "SendMessageBatch"]
    assert [json.loads(sent.body)["JobRunIds"] for sent in queues["confirm"]] == [["jr_1"]]


def test_request_for_too_many_runs_is_one_dead_letter_and_no_call(
    aws: FakeAws, dependencies: StopDependencies, queues: dict[str, Queue]
) -> None:
    """A message with too many run ids stops none of them, and becomes an unchanged dead letter."""
    body = json.dumps({"JobName": "etl", "JobRunIds": [f"jr_{number}" for number in range(60_000)]})
    _handle(dependencies, body)
    assert [call.operation for call in aws.calls] == ["SendMessageBatch"]
    assert [dead_letter.body for dead_letter in queues["dead_letter"]] == [body]


def test_selection_of_thousands_of_runs_needs_a_page_for_each_two_hundred(
    aws: FakeAws, dependencies: StopDependencies, queues: dict[str, Queue]
) -> None:
    """If a selection matches too many runs, their pages are read, and none of them is stopped."""
    for number in range(2_000):
        aws.glue.add_run("etl", f"jr_{number}", state="RUNNING", started_on=SENT_AT - timedelta(hours=1))
    _handle(dependencies, {"JobName": "etl", "Select": {}})
    operations = [call.operation for call in aws.calls]
    assert operations == [*["GetJobRuns"] * operations.count("GetJobRuns"), "SendMessageBatch"]
    assert operations.count("GetJobRuns") <= 2_000 / 200 + 1
    (dead_letter,) = queues["dead_letter"]
    assert dead_letter.attributes["ERROR_CODE"]["StringValue"] == "TooManyRuns"


def test_long_name_in_an_error_is_cut() -> None:
    """However long a name or a value is, the error of a dead letter fits into an attribute."""
    long = "`" * 900_000
    for body in ({**events.request(), long: 1}, {**events.request(), "JobName": long}, {long: RUN}):
        parsed = parse_one(message(body))
        assert isinstance(parsed, Invalid)
        assert len(parsed.why) <= 1024
