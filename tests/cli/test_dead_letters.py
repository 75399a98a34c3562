"""Dead letters of every service are parsed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluebrake.model import AwsEnvironment
from gluebrake_cli import reasons
from gluebrake_cli.dead_letters import (
    DeadLetter,
    Filter,
    age,
    dead_letter_json,
    group_by_reason,
    parse,
    redriven,
)
from tests.support.fakes.aws_server import ACCOUNT, REGION

SENT_AT = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
AWS_ENVIRONMENT = AwsEnvironment(ACCOUNT, REGION)
REQUEST = json.dumps({"JobName": "etl", "JobRunIds": ["jr_1", "jr_2"]})


def _text(value: str) -> dict[str, str]:
    return {"DataType": "String", "StringValue": value}


def _dead_letter(
    body: str = REQUEST, attributes: dict[str, Any] | None = None, source_arn: str = ""
) -> DeadLetter:
    system = {"SentTimestamp": str(int(SENT_AT.timestamp() * 1000)), "SenderId": "AROA"}
    moved = {"DeadLetterQueueSourceArn": source_arn} if source_arn else {}
    received = {"MessageId": "m-1", "Body": body, "ReceiptHandle": "r", "Attributes": system | moved}
    return parse(received | ({"MessageAttributes": attributes} if attributes else {}), AWS_ENVIRONMENT)


def _error(code: str, text: str = "", attempts: str = "3") -> dict[str, Any]:
    """Return the attributes that the functions write."""
    texts = {"ERROR_CODE": code, "ERROR_MESSAGE": text, "RETRY_ATTEMPTS": attempts}
    return {name: _text(value) for name, value in texts.items() if value}


def test_a_dead_letter_of_a_function_has_its_reason_and_its_runs() -> None:
    """The code, the error message, the attempts, the job, the runs and the time are parsed."""
    dead_letter = _dead_letter(attributes=_error("ThrottlingException", "Rate exceeded"))
    assert dead_letter.reason == "ThrottlingException"
    assert (dead_letter.error_message, dead_letter.attempts) == ("Rate exceeded", 3)
    assert (dead_letter.job_name, dead_letter.job_run_ids) == ("etl", ("jr_1", "jr_2"))
    assert dead_letter.sent_at == SENT_AT
    assert dead_letter.run_count == "2"


def test_a_message_that_sqs_moved_has_its_source_queue() -> None:
    """SQS writes no reason, and an ERROR_CODE is older: the source queue decides."""
    dead_letter = _dead_letter(
        attributes=_error("NotAllowed"), source_arn=f"arn:aws:sqs:{REGION}:{ACCOUNT}:work"
    )
    assert dead_letter.reason == reasons.CRASHED
    assert "work" in dead_letter.error_message


def test_an_event_of_lambda_has_a_reason() -> None:
    """An event that Lambda gave up has Lambda's own attributes."""
    attributes = {
        "RequestID": _text("c6af"),
        "ErrorCode": {"DataType": "Number", "StringValue": "200"},
        "ErrorMessage": _text("boom"),
    }
    dead_letter = _dead_letter(attributes=attributes)
    assert (dead_letter.reason, dead_letter.error_message) == (reasons.INVOCATION_FAILED, "boom")
    assert redriven(dead_letter) == (REQUEST, {})


def test_a_message_without_a_reason_has_a_code() -> None:
    """A message that was sent to the queue by hand has a code as well, so that a filter can select it."""
    assert _dead_letter("hello").reason == reasons.NO_ERROR_CODE


def test_an_event_is_parsed_as_the_functions_parse_it() -> None:
    """The dead letter of a rule is an event, and the request in it names the job."""
    body = json.dumps({"detail-type": "Glue Job Run Stop Requested", "detail": json.loads(REQUEST)})
    attributes = {
        "ERROR_CODE": _text("NO_PERMISSIONS"),
        "RULE_ARN": _text("r"),
        "TARGET_ARN": _text("t"),
        "EXHAUSTED_RETRY_CONDITION": _text("MaximumEventAgeInSeconds"),
    }
    dead_letter = _dead_letter(body, attributes)
    assert (dead_letter.job_name, dead_letter.reason) == ("etl", "NO_PERMISSIONS")
    assert redriven(dead_letter) == (body, {})


def test_a_notification_is_parsed_as_the_functions_parse_it() -> None:
    """The dead letter of a topic is an SNS envelope, and a redrive sends it unchanged."""
    body = json.dumps({"Type": "Notification", "TopicArn": f"arn:aws:sns:{REGION}:1:t", "Message": REQUEST})
    assert _dead_letter(body).job_name == "etl"
    assert redriven(_dead_letter(body))[0] == body


def test_a_redrive_keeps_foreign_attributes_and_drops_retry_counters() -> None:
    """A redriven message starts over: its attempt and its submission time are removed."""
    foreign = {"trace": _text("abc"), "size": {"DataType": "Number", "StringValue": "4"}}
    names = ("GluebrakeAttempt", "GluebrakeSubmittedAt", "GluebrakeSender", "GluebrakeStage", "GluebrakeVia")
    own = {name: _text("5") for name in names}
    dead_letter = _dead_letter(attributes={**foreign, **own}, source_arn="arn:aws:sqs:r:1:work")
    assert dead_letter.attempts == 5
    assert redriven(dead_letter) == (REQUEST, foreign)


@pytest.mark.parametrize("select", [{}, {"States": ["RUNNING"]}])
def test_a_selection_without_a_date_gets_that_of_the_dead_letter(select: dict[str, Any]) -> None:
    """A selection of yesterday that is redriven today stops no run of today."""
    body, _ = redriven(_dead_letter(json.dumps({"JobName": "etl", "Select": select})))
    assert json.loads(body)["Select"] == {**select, "StartedBefore": "2026-11-24T03:00:00Z"}


def test_attempts_without_a_date_get_that_of_the_dead_letter() -> None:
    """A redrive of today stops no attempt that started after the request of yesterday."""
    fields = {"JobName": "etl", "JobRunIds": ["jr_1"], "IncludeAttempts": True}
    body, _ = redriven(_dead_letter(json.dumps(fields)))
    assert json.loads(body) == {**fields, "AttemptsStartedBefore": "2026-11-24T03:00:00Z"}


TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:signals"
NOTIFICATION = {"Type": "Notification", "MessageId": "n-1", "TopicArn": TOPIC, "Message": REQUEST}


@pytest.mark.parametrize(
    ("body", "attributes", "via"),
    [
        (REQUEST, _error("NotAllowed"), ""),
        (json.dumps(NOTIFICATION), None, f"notification n-1 of {TOPIC}"),
        (REQUEST, {**_error("Failed"), "GluebrakeVia": _text("action of arn")}, "action of arn"),
        (json.dumps(NOTIFICATION), {"GluebrakeVia": _text("action of arn")}, "action of arn"),
    ],
)
def test_a_dead_letter_has_what_carried_its_request(
    body: str, attributes: dict[str, Any] | None, via: str
) -> None:
    """The functions write it as an attribute. A message that another service moved has it in its body."""
    dead_letter = _dead_letter(body, attributes)
    assert (dead_letter.via, dead_letter_json(dead_letter, SENT_AT)["via"]) == (via, via)


def test_an_age_becomes_a_date() -> None:
    """`OlderThanMinutes` counts from the time when the dead letter was sent, not from the redrive."""
    body, _ = redriven(_dead_letter(json.dumps({"JobName": "etl", "Select": {"OlderThanMinutes": 60}})))
    assert json.loads(body)["Select"] == {"StartedBefore": "2026-11-24T02:00:00Z"}


def test_a_redrive_does_not_fix_an_ambiguous_selection() -> None:
    """A body that the function refuses, since a name occurs twice, is sent unchanged and refused again."""
    body = '{"JobName": "etl", "Select": {"States": ["RUNNING"]}, "Select": {}}'
    assert redriven(_dead_letter(body))[0] == body


@given(st.text() | st.recursive(st.none() | st.text(), st.lists).map(json.dumps))
def test_any_other_body_is_redriven_unchanged(body: str) -> None:
    """A body that cannot be parsed is shown and sent as it is."""
    dead_letter = _dead_letter(body)
    assert (dead_letter.body, redriven(dead_letter)[0]) == (body, body)


@pytest.mark.parametrize("attempts", ["many", "-1", "٣"])
def test_attempts_that_are_not_a_number_are_unknown(attempts: str) -> None:
    """Other senders may write anything in that attribute."""
    assert _dead_letter(attributes=_error("X", attempts=attempts)).attempts is None


@pytest.mark.parametrize(
    ("filter_", "matches"),
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
def test_a_filter_matches_if_every_field_does(filter_: Filter, *, matches: bool) -> None:
    """Each field matches if it is empty or if one of its values does."""
    assert filter_.matches(_dead_letter(attributes=_error("NotAllowed"))) is matches


def test_reasons_are_counted_by_job() -> None:
    """The most frequent reason is first. A message that names no job is counted under the empty name."""
    dead_letters = [
        _dead_letter(attributes=_error("NotAllowed")),
        _dead_letter("hello", _error("InvalidRequest")),
        _dead_letter(json.dumps({"JobName": "other", "JobRunIds": ["x"]}), _error("NotAllowed")),
    ]
    groups = [(group.reason, group.count, group.jobs) for group in group_by_reason(dead_letters)]
    assert groups == [("NotAllowed", 2, {"etl": 1, "other": 1}), ("InvalidRequest", 1, {"": 1})]


def test_no_age_is_negative() -> None:
    """A clock that is behind gives an age of zero."""
    assert age(SENT_AT, SENT_AT - timedelta(seconds=5)) == timedelta()
    assert dead_letter_json(_dead_letter(), SENT_AT + timedelta(minutes=2))["age_seconds"] == 120
