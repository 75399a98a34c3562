"""Dead letters as values, whoever put them into the queue."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluebrake.model import AwsEnvironment
from gluebrake_cli import letters, reasons
from gluebrake_cli.letters import DeadLetter, Filter
from tests.support.fakes.aws_server import ACCOUNT, REGION

SENT_AT = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
AWS_ENVIRONMENT = AwsEnvironment(ACCOUNT, REGION)
NAMED = json.dumps({"JobName": "etl", "JobRunIds": ["jr_1", "jr_2"]})


def _text(value: str) -> dict[str, str]:
    return {"DataType": "String", "StringValue": value}


def _letter(body: str = NAMED, attributes: dict[str, Any] | None = None, source_arn: str = "") -> DeadLetter:
    system = {"SentTimestamp": str(int(SENT_AT.timestamp() * 1000)), "SenderId": "AROA"}
    moved = {"DeadLetterQueueSourceArn": source_arn} if source_arn else {}
    received = {"MessageId": "m-1", "Body": body, "ReceiptHandle": "r", "Attributes": system | moved}
    return letters.read(received | ({"MessageAttributes": attributes} if attributes else {}), AWS_ENVIRONMENT)


def _ours(code: str, text: str = "", attempts: str = "3") -> dict[str, Any]:
    told = {"ERROR_CODE": code, "ERROR_MESSAGE": text, "RETRY_ATTEMPTS": attempts}
    return {name: _text(value) for name, value in told.items() if value}


def test_a_letter_of_ours_tells_its_reason_and_its_runs() -> None:
    """What the functions wrote is read: the code, the text, the attempts, the job, the runs, the time."""
    letter = _letter(attributes=_ours("ThrottlingException", "Rate exceeded"))
    assert (letter.reason, letter.error_message, letter.attempts) == ("ThrottlingException", "Rate exceeded", 3)
    assert (letter.job_name, letter.job_run_ids, letter.sent_at) == ("etl", ("jr_1", "jr_2"), SENT_AT)
    assert letter.runs == "2"


def test_a_letter_that_sqs_moved_says_from_where() -> None:
    """A message that crashed the function bears no reason, or an older one: the queue it came from tells."""
    letter = _letter(attributes=_ours("NotAllowed"), source_arn=f"arn:aws:sqs:{REGION}:{ACCOUNT}:work")
    assert letter.reason == reasons.CRASHED
    assert "work" in letter.error_message


def test_a_letter_of_lambdas_is_told_by_its_attributes() -> None:
    """An event that Lambda gave up bears Lambda's own names."""
    attributes = {
        "RequestID": _text("c6af"),
        "ErrorCode": {"DataType": "Number", "StringValue": "200"},
        "ErrorMessage": _text("boom"),
    }
    letter = _letter(attributes=attributes)
    assert (letter.reason, letter.error_message) == (reasons.INVOCATION_FAILED, "boom")
    assert letters.again(letter) == (NAMED, {})


def test_a_letter_without_a_reason_is_told_as_such() -> None:
    """A message that somebody put there by hand has a code as well, so that it can be filtered for."""
    assert _letter("hello").reason == reasons.UNTOLD


def test_an_event_is_read_as_the_functions_read_it() -> None:
    """A rule's dead letter is an event: the request in it names the job."""
    body = json.dumps({"detail-type": "Glue Job Run Stop Requested", "detail": json.loads(NAMED)})
    attributes = {"ERROR_CODE": _text("NO_PERMISSIONS"), "RULE_ARN": _text("r"), "TARGET_ARN": _text("t")}
    letter = _letter(body, attributes | {"EXHAUSTED_RETRY_CONDITION": _text("MaximumEventAgeInSeconds")})
    assert (letter.job_name, letter.reason) == ("etl", "NO_PERMISSIONS")
    assert letters.again(letter) == (body, {})


def test_a_notification_is_read_as_the_functions_read_it() -> None:
    """A topic's dead letter is an envelope, which is sent again as it is."""
    body = json.dumps({"Type": "Notification", "TopicArn": f"arn:aws:sns:{REGION}:1:t", "Message": NAMED})
    assert _letter(body).job_name == "etl"
    assert letters.again(_letter(body))[0] == body


def test_what_others_wrote_goes_with_it_and_our_bookkeeping_does_not() -> None:
    """A message that SQS moved after crashes begins anew: its attempt and its submission time are over."""
    foreign = {"trace": _text("abc"), "size": {"DataType": "Number", "StringValue": "4"}}
    ours = {name: _text("5") for name in ("GluebrakeAttempt", "GluebrakeSubmittedAt", "GluebrakeSender")}
    letter = _letter(attributes={**foreign, **ours}, source_arn="arn:aws:sqs:r:1:work")
    assert letter.attempts == 5
    assert letters.again(letter) == (NAMED, foreign)


@pytest.mark.parametrize("select", [{}, {"States": ["RUNNING"]}])
def test_a_selection_without_a_date_is_given_the_letters(select: dict[str, Any]) -> None:
    """Redriven tomorrow, a selection that crashed the function yesterday stops none of today's runs."""
    body, _ = letters.again(_letter(json.dumps({"JobName": "etl", "Select": select})))
    assert json.loads(body)["Select"] == {**select, "StartedBefore": "2026-11-24T03:00:00Z"}


def test_an_age_becomes_a_date() -> None:
    """`OlderThanMinutes` counts from when the letter was sent, not from when it is redriven."""
    body, _ = letters.again(_letter(json.dumps({"JobName": "etl", "Select": {"OlderThanMinutes": 60}})))
    assert json.loads(body)["Select"] == {"StartedBefore": "2026-11-24T02:00:00Z"}


@given(st.text() | st.recursive(st.none() | st.text(), st.lists).map(json.dumps))
def test_any_other_body_is_sent_again_word_for_word(body: str) -> None:
    """Whatever cannot be read is shown and sent as it is."""
    letter = _letter(body)
    assert (letter.body, letters.again(letter)[0]) == (body, body)


@pytest.mark.parametrize("attempts", ["many", "-1", "٣"])
def test_attempts_that_are_no_count_are_not_told(attempts: str) -> None:
    """Others may write what they like under that name."""
    assert _letter(attributes=_ours("X", attempts=attempts)).attempts is None


@pytest.mark.parametrize(
    ("wanted", "takes"),
    [
        (Filter(), True),
        (Filter(reasons=("NotAllowed",)), True),
        (Filter(reasons=("notallowed",)), False),
        (Filter(reasons=("Other", "Not*")), True),
        (Filter(jobs=("e*l",)), True),
        (Filter(jobs=("etl-2",)), False),
        (Filter(message_ids=("m-",)), True),
        (Filter(message_ids=("m-2",)), False),
        (Filter(reasons=("NotAllowed",), jobs=("other",)), False),
    ],
)
def test_each_choice_narrows(wanted: Filter, *, takes: bool) -> None:
    """A letter is meant when it has one of the reasons, of the jobs and of the ids, where any are given."""
    assert wanted.takes(_letter(attributes=_ours("NotAllowed"))) is takes


def test_reasons_are_counted_by_job() -> None:
    """The most frequent reason comes first; what names no job is counted as that."""
    those = [
        _letter(attributes=_ours("NotAllowed")),
        _letter("hello", _ours("InvalidRequest")),
        _letter(json.dumps({"JobName": "other", "JobRunIds": ["x"]}), _ours("NotAllowed")),
    ]
    told = [(group.reason, group.count, group.jobs) for group in letters.by_reason(those)]
    assert told == [("NotAllowed", 2, {"etl": 1, "other": 1}), ("InvalidRequest", 1, {"": 1})]


def test_no_letter_is_younger_than_now() -> None:
    """A clock that is behind makes no negative age."""
    assert letters.age(SENT_AT, SENT_AT - timedelta(seconds=5)) == timedelta()
    assert letters.shape(_letter(), SENT_AT + timedelta(minutes=2))["age_seconds"] == 120
