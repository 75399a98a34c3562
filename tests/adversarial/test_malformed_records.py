"""Records that SQS never sends, but a caller may: each of them is refused alone."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gluebrake import lambda_event
from tests.support.builders import NOON, bookkeeping, record
from tests.support.simulated_aws import CONFIRM, STOP, SimulatedAws

Json = dict[str, Any]

MISSING: Final = object()


def _changed(path: str, value: Any) -> Json:
    """Return a good record of which one member has another value, or is missing."""
    changed = record()
    *parents, name = path.split(".")
    container = changed
    for parent in parents:
        container = container[parent]
    if value is MISSING:
        del container[name]
    else:
        container[name] = value
    return changed


MALFORMED: Final[dict[str, Json]] = {
    "nothing but its source": {"eventSource": "aws:sqs"},
    "no attributes": _changed("attributes", MISSING),
    "attributes are null": _changed("attributes", None),
    "attributes are a list": _changed("attributes", []),
    "no time": _changed("attributes.SentTimestamp", MISSING),
    "time is text": _changed("attributes.SentTimestamp", "x"),
    "time is empty": _changed("attributes.SentTimestamp", ""),
    "time is null": _changed("attributes.SentTimestamp", None),
    "time has 17 nines": _changed("attributes.SentTimestamp", "9" * 17),
    "time has 400 nines": _changed("attributes.SentTimestamp", "9" * 400),
    "time is long before": _changed("attributes.SentTimestamp", "-" + "9" * 17),
    "time is an object": _changed("attributes.SentTimestamp", {}),
    "sender is null": _changed("attributes.SenderId", None),
    "sender is a number": _changed("attributes.SenderId", 5),
    "receive count is text": _changed("attributes.ApproximateReceiveCount", "x"),
    "receive count is null": _changed("attributes.ApproximateReceiveCount", None),
    "no message id": _changed("messageId", MISSING),
    "message id is null": _changed("messageId", None),
    "message id is a list": _changed("messageId", ["m-1"]),
    "no body": _changed("body", MISSING),
    "body is null": _changed("body", None),
    "body is an object": _changed("body", {"JobName": "etl", "JobRunIds": ["jr_bad"]}),
    "receipt handle is null": _changed("receiptHandle", None),
    "a message attribute is null": _changed("messageAttributes", {"GluebrakeAttempt": None}),
    "a message attribute is text": _changed("messageAttributes", {"GluebrakeAttempt": "1"}),
    "a message attribute is a number": _changed("messageAttributes", {"a": {"stringValue": 5}}),
    "message attributes are a list": _changed("messageAttributes", ["GluebrakeAttempt"]),
}


@pytest.mark.parametrize("malformed", MALFORMED.values(), ids=MALFORMED)
@pytest.mark.parametrize("is_first", [True, False], ids=["first", "last"])
def test_malformed_record_does_not_harm_a_good_one(
    simulation: SimulatedAws, malformed: Json, *, is_first: bool
) -> None:
    """The good record's run is stopped. The malformed record is a dead letter with the reason."""
    simulation.aws.glue.add_run("etl", "jr_1")
    simulation.request_stop("etl", "jr_1")
    (message,) = simulation.stop_queue.take()
    records = [malformed, message.record()] if is_first else [message.record(), malformed]
    answer = simulation.functions[STOP]({"Records": records}, simulation.context)
    assert answer == {"batchItemFailures": []}
    assert simulation.stop_calls() == [("etl", ["jr_1"])]
    ((body, code, error, _),) = simulation.dead_letters()
    assert (body, code) == (malformed, "InvalidRequest")
    assert error.startswith("the record: is not one of SQS")


@pytest.mark.parametrize("malformed", MALFORMED.values(), ids=MALFORMED)
def test_confirm_refuses_a_malformed_record_alone(simulation: SimulatedAws, malformed: Json) -> None:
    """CONFIRM polls the good record's run, and the malformed record is a dead letter."""
    simulation.aws.glue.add_run("etl", "jr_1", state="STOPPED")
    simulation.put_on_confirm_queue("etl", "jr_1", submitted_at=simulation.clock())
    (message,) = simulation.confirm_queue.take()
    event = {"Records": [malformed, message.record()]}
    assert simulation.functions[CONFIRM](event, simulation.context) == {"batchItemFailures": []}
    assert [event["outcome"] for event in simulation.aws.events.details] == ["Stopped"]
    assert [code for _, code, *_ in simulation.dead_letters()] == ["InvalidRequest"]


ODD: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("1"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
PATHS: Final = (
    "messageId",
    "body",
    "receiptHandle",
    "attributes",
    "attributes.SentTimestamp",
    "attributes.SenderId",
    "attributes.ApproximateReceiveCount",
    "messageAttributes",
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(path=st.sampled_from(PATHS), value=ODD, attribute=ODD)
def test_any_record_is_a_message(path: str, value: Any, attribute: Any) -> None:
    """Whatever members a record has, it becomes one message, and so does the record after it."""
    odd = _changed(path, value)
    if path != "messageAttributes":
        odd["messageAttributes"] = {"GluebrakeAttempt": attribute}
    event = {"Records": [odd, record()]}
    parsed = lambda_event.parse(event, request_id="r-1", now=NOON, bookkeeping=bookkeeping())
    first, second = parsed.messages
    assert parsed.from_queue
    assert (type(first.message_id), type(first.body), type(first.sender)) == (str, str, str)
    assert first.rejection == "" or json.loads(first.body).keys() == odd.keys()
    assert (second.rejection, second.message_id) == ("", "m-1")
