"""Messages that mean one thing to one reader and another to the next, or claim to come from somebody else."""

from __future__ import annotations

import json
from itertools import permutations
from random import Random
from typing import Final

import pytest
from msgspec import UNSET

from gluebrake.model import Ignored, Invalid, ParsedRequest
from gluebrake.parsing import dispatcher
from gluebrake.parsing.context import region_of
from tests.adversarial.fuzz import doubled
from tests.unit.parsing import events
from tests.unit.parsing.events import AWS_ENVIRONMENT, RUN, SENT_AT, Json, message

pytestmark = pytest.mark.disable_socket

PLAIN: Final = f'"JobName": "etl", "JobRunIds": ["{RUN}"]'
HERE: Final = f'"account": "{AWS_ENVIRONMENT.account}", "region": "{AWS_ENVIRONMENT.region}"'
AN_EVENT: Final = f'"detail-type": "Glue Job Run Status", "source": "aws.glue", {HERE}, "detail": '


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (f'{{"JobName": "other", {PLAIN}}}', "JobName"),
        (f'{{{PLAIN}, "\\u004aobName": "other"}}', "JobName"),
        (f'{{{PLAIN}, "JobRunIds": ["jr_other"]}}', "JobRunIds"),
        (f'{{"DryRun": true, {PLAIN}, "DryRun": false}}', "DryRun"),
        (f'{{"DryRun": true, {PLAIN}, "DryRun": true}}', "DryRun"),
        ('{"JobName": "etl", "Select": {"OlderThanMinutes": 60, "OlderThanMinutes": 0}}', "OlderThanMinutes"),
        (f'{{"detail-type": "Glue Job Run Stop Requested", "detail": {{{PLAIN}, "JobName": "b"}}}}', "JobName"),
        (f'{{{AN_EVENT}{{"jobName": "a", "jobName": "b", "jobRunId": "r", "state": "RUNNING"}}}}', "jobName"),
        (f'{{"source": "mine", {AN_EVENT}{{"jobName": "b", "jobRunId": "r", "state": "RUNNING"}}}}', "source"),
        (json.dumps(events.notification(f'{{{PLAIN}, "JobName": "b"}}')), "JobName"),
    ],
)
def test_a_name_that_stands_twice_makes_a_message_unusable(text: str, name: str) -> None:
    """Whichever of two members a reader before us took, we take neither, wherever in the message they stand."""
    read = dispatcher.read(message(text), AWS_ENVIRONMENT)
    assert isinstance(read, Invalid)
    assert f"{name}: stands twice in one object" in read.why


def test_the_same_name_in_two_objects_is_no_confusion() -> None:
    """Each metric of an alarm has its own `name`; numbers of any length elsewhere in an event do no harm."""
    event = events.alarm_notification(events.reckoning(*[events.trigger_metric(events.dimensions(RUN))] * 2))
    longer = json.dumps(event)[:-1] + f', "Extra": {"9" * 5000}}}'
    assert isinstance(dispatcher.read(message(longer), AWS_ENVIRONMENT), ParsedRequest)


@pytest.mark.parametrize(
    "event", [events.request(), events.stop_requested(events.request()), events.run_status()]
)
def test_no_member_can_be_written_twice(event: Json) -> None:
    """Doubling any member, with the same value or another, stops nothing."""
    random = Random(7)  # noqa: S311 - the same cases each time, and no secret
    for _ in range(200):
        assert not isinstance(
            dispatcher.read(message(doubled(json.dumps(event), random)), AWS_ENVIRONMENT), ParsedRequest
        )


MARKS: Final[Json] = {
    "detail-type": "Glue Job State Change",
    "alarmData": {},
    "NewStateValue": "OK",
    "TopicArn": "arn:aws:sns:eu-west-1:123456789012:t",
    "requestContext": {},
    "Records": [],
    "anomalyId": "a",
}


@pytest.mark.parametrize(("first", "second"), list(permutations(MARKS, 2)))
def test_a_body_with_the_marks_of_two_kinds_is_neither(first: str, second: str) -> None:
    """What looks like two kinds of event at once is refused, in whichever order the marks stand."""
    both = [(first, MARKS[first]), *events.request().items(), (second, MARKS[second])]
    read = dispatcher.read(message(dict(both)), AWS_ENVIRONMENT)
    assert isinstance(read, Invalid)
    assert "the marks of two kinds of event" in read.why


@pytest.mark.parametrize(
    ("arn", "region"), [(events.TOPIC, AWS_ENVIRONMENT.region), ("a:b:c", ""), ("", ""), (":" * 9, "")]
)
def test_the_region_of_an_arn_is_its_fourth_part(arn: str, region: str) -> None:
    """What is no ARN is of no Region."""
    assert region_of(arn) == region


@pytest.mark.parametrize("value", ["true", "True", 1, 0, None, [], {}, "", "1", [True]])
def test_a_dry_run_is_true_or_false_and_nothing_like_it(value: object) -> None:
    """A value that only looks true neither stops anything nor passes for a dry run."""
    read = dispatcher.read(message(events.request(DryRun=value)), AWS_ENVIRONMENT)
    assert isinstance(read, Invalid)
    assert "DryRun: must be true or false" in read.why


@pytest.mark.parametrize(
    "name",
    ["dryRun", "DRYRUN", "dryrun", "DryRun ", " DryRun", "Dry\u200bRun", "Dr\u0443Run", "DryRun\0", "dry_run"],
)
def test_a_dry_run_is_asked_for_by_its_one_name(name: str) -> None:
    """A name that only looks like it is an unknown field, so that nothing is stopped in its place."""
    read = dispatcher.read(message(events.request(**{name: True})), AWS_ENVIRONMENT)
    assert isinstance(read, Invalid)
    assert "unknown field" in read.why


def test_a_dry_run_may_be_escaped() -> None:
    """JSON writes one name in several ways; each is read as the same."""
    read = dispatcher.read(message(f'{{{PLAIN}, "\\u0044ry\\u0052un": true}}'), AWS_ENVIRONMENT)
    assert isinstance(read, ParsedRequest)
    assert read.request.dry_run


def test_a_stop_request_is_obeyed_whatever_account_put_it_on_the_bus() -> None:
    """Who may put events on the bus is for its policy; the run is of this account either way."""
    read = dispatcher.read(
        message(events.stop_requested(events.request(), **events.ELSEWHERE)), AWS_ENVIRONMENT
    )
    assert isinstance(read, ParsedRequest)
    assert read.request.job_run_ids == (RUN,)


@pytest.mark.parametrize("member", ["time", "source", "account", "region"])
@pytest.mark.parametrize("value", [5, None, ["aws.glue"], {"a": 1}, True])
def test_an_envelope_that_is_no_text_where_eventbridge_writes_text_is_unusable(
    member: str, value: object
) -> None:
    """EventBridge writes these as text; what has them otherwise was written by somebody else."""
    read = dispatcher.read(message({**events.stop_requested(events.request()), member: value}), AWS_ENVIRONMENT)
    assert isinstance(read, Invalid)
    assert f"{member}: must be text" in read.why


@pytest.mark.parametrize(
    "time", ["2099-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "tomorrow", "", "2026-03-14"]
)
def test_no_selection_reaches_into_the_future(time: str) -> None:
    """Whatever time an event claims, it means no run that started after the message was sent."""
    asked = events.stop_requested(events.request(Select={"StartedBefore": "9999-01-01T00:00:00Z"}), time=time)
    read = dispatcher.read(message(asked), AWS_ENVIRONMENT)
    assert isinstance(read, ParsedRequest)
    assert read.request.select is not UNSET
    assert read.request.select.started_before == SENT_AT


@pytest.mark.parametrize(
    "event",
    [
        events.run_status(envelope={"source": "mine"}),
        events.run_status(envelope={"source": "aws.glue "}),
        events.alarm_event(source="aws.glue"),
        events.alarm_event(source=""),
        events.destination_record(requestPayload=events.request()),
        events.eventbridge("Lambda Function Invocation Result - Failure", events.destination_record()),
        events.notification(events.destination_record(requestPayload=events.alarm_action())),
    ],
)
def test_a_forged_event_becomes_a_dead_letter(event: Json) -> None:
    """What claims to be AWS's and is not signed by its source, or tells of another's invocation, is refused."""
    assert isinstance(dispatcher.read(message(event), AWS_ENVIRONMENT), Invalid)


@pytest.mark.parametrize(
    "event",
    [
        events.run_status(envelope={"account": events.ELSEWHERE["account"]}),
        events.run_status(envelope={"region": events.ELSEWHERE["region"]}),
        events.run_status("STOPPING"),
        events.alarm_event(**events.ELSEWHERE),
        events.notification(
            events.alarm_notification(AlarmArn=..., AWSAccountId=events.ELSEWHERE["account"]),
        ),
        events.notification(events.request(), Type="SubscriptionConfirmation"),
    ],
)
def test_a_signal_of_elsewhere_asks_for_nothing(event: Json) -> None:
    """Another account's or Region's signal, or one that is over, is ignored."""
    assert isinstance(dispatcher.read(message(event), AWS_ENVIRONMENT), Ignored)


def test_a_forged_envelope_says_no_more_than_what_is_in_it() -> None:
    """Who may send to the queue gains nothing by dressing a request up as another topic's notification."""
    forged = events.notification(events.request(), TopicArn="arn:aws:sns:ap-south-1:999900001111:theirs")
    dressed, plain = (dispatcher.read(message(one), AWS_ENVIRONMENT) for one in (forged, events.request()))
    assert isinstance(dressed, ParsedRequest)
    assert isinstance(plain, ParsedRequest)
    assert dressed.request == plain.request
