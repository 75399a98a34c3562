"""Reading: what asks for runs to be stopped, and why everything else does not."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import jsonschema
import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gluebrake import sqs_record
from gluebrake.contract import ATTEMPT, SENDER, STOP_REQUESTED, SUBMITTED_AT, StopRequest
from gluebrake.model import Ignored, Invalid, Message, ParsedRequest
from gluebrake.parsing import dispatcher
from tests.support.builders import (
    AWS_ENVIRONMENT,
    NOON,
    OUR_SENDER_ID,
    SENDER_ID,
    body,
    event,
    message,
    names,
    notes,
    record,
    request,
)

pytestmark = pytest.mark.disable_socket

LONGEST: Final = "é" * 255
SUPPLEMENTARY: Final = "\U0001f6d1"
NOT_ONE_LINE: Final = "must be one line of text without control characters; character "
FIELDS: Final = "JobName, JobRunIds, Select, Reason, RequestedBy, DryRun"

# One field that is wrong, the path that the error names, and the rule.
WRONG_FIELDS: Final[list[tuple[dict[str, Any], str, str]]] = [
    ({"Dryrun": True}, "Dryrun", f"unknown field; allowed: {FIELDS}"),
    ({"jobName": "etl"}, "jobName", f"unknown field; allowed: {FIELDS}"),
    ({"": 1}, "", f"unknown field; allowed: {FIELDS}"),
    (
        {"Select": {"State": ["RUNNING"]}, "JobRunIds": None},
        "Select.State",
        "unknown field; allowed: States, OlderThanMinutes, StartedBefore",
    ),
    ({"JobName": 1}, "JobName", "must be text, not a whole number"),
    ({"JobName": ["etl"]}, "JobName", "must be text, not a list"),
    ({"JobName": {"Name": "etl"}}, "JobName", "must be text, not a JSON object"),
    ({"JobName": True}, "JobName", "must be text, not true or false"),
    ({"JobName": ""}, "JobName", "must be text of length >= 1"),
    ({"JobName": LONGEST + "x"}, "JobName", "must be text of length <= 255"),
    ({"JobName": "etl\n"}, "JobName", NOT_ONE_LINE + "4 is U+000A"),
    ({"JobName": "e\rtl"}, "JobName", NOT_ONE_LINE + "2 is U+000D"),
    ({"JobName": "\0"}, "JobName", NOT_ONE_LINE + "1 is U+0000"),
    ({"JobName": "\ufffe"}, "JobName", NOT_ONE_LINE + "1 is U+FFFE"),
    ({"JobName": "\uffff"}, "JobName", NOT_ONE_LINE + "1 is U+FFFF"),
    ({"JobRunIds": "jr_1"}, "JobRunIds", "must be a list, not text"),
    ({"JobRunIds": {"0": "jr_1"}}, "JobRunIds", "must be a list, not a JSON object"),
    ({"JobRunIds": []}, "JobRunIds", "must be a list of length >= 1"),
    ({"JobRunIds": ["jr_1", 7]}, "JobRunIds[1]", "must be text, not a whole number"),
    ({"JobRunIds": ["jr_1", None]}, "JobRunIds[1]", "must be text, not null"),
    ({"JobRunIds": ["jr_1", ["jr_2"]]}, "JobRunIds[1]", "must be text, not a list"),
    ({"JobRunIds": ["jr_1", ""]}, "JobRunIds[1]", "must be text of length >= 1"),
    ({"JobRunIds": [LONGEST + "x"]}, "JobRunIds[0]", "must be text of length <= 255"),
    (
        {"JobRunIds": ["jr_1", "jr_2\n"]},
        "JobRunIds[1]",
        NOT_ONE_LINE + "5 is U+000A",
    ),
    ({"Select": {}}, "Select", "must not stand beside JobRunIds; give one of the two"),
    ({"Select": []}, "Select", "must be a JSON object, not a list"),
    ({"Reason": 5}, "Reason", "must be text, not a whole number"),
    ({"Reason": ""}, "Reason", "must be text of length >= 1"),
    ({"Reason": "x" * 1025}, "Reason", "must be text of length <= 1024"),
    ({"Reason": "a\x07"}, "Reason", "must be text without control characters; character 2 is U+0007"),
    ({"RequestedBy": ["me"]}, "RequestedBy", "must be text, not a list"),
    ({"RequestedBy": ""}, "RequestedBy", "must be text of length >= 1"),
    ({"RequestedBy": "x" * 1025}, "RequestedBy", "must be text of length <= 1024"),
    ({"RequestedBy": "\0"}, "RequestedBy", "must be text without control characters; character 1 is U+0000"),
    ({"DryRun": "yes"}, "DryRun", "must be true or false, not text"),
    ({"DryRun": "true"}, "DryRun", "must be true or false, not text"),
    ({"DryRun": 0}, "DryRun", "must be true or false, not a whole number"),
    ({"DryRun": 1}, "DryRun", "must be true or false, not a whole number"),
    ({"DryRun": []}, "DryRun", "must be true or false, not a list"),
]

# Bodies that are no JSON object at all, and what is said of them.
UNUSABLE: Final = {
    "empty": ("", "is empty; a stop request is a JSON object"),
    "blank": (" \r\n\t", "is empty; a stop request is a JSON object"),
    "prose": ("please stop etl", "is not JSON"),
    "not a number": ("NaN", "is not JSON"),
    "NUL": ("\0", "is not JSON"),
    "truncated": (body()[:-1], "is not JSON (Input data was truncated)"),
    "two values": (body() + body(), "is not JSON"),
    "a comment": (body() + " // all of them", "is not JSON"),
    "single quotes": (body().replace('"', "'"), "is not JSON"),
    "escaped half of a pair": (r'{"JobName": "\ud800", "JobRunIds": ["jr_1"]}', "is not JSON"),
    "escaped other half": (r'{"JobName": "etl", "JobRunIds": ["\udc00"]}', "is not JSON"),
    "number": ("5", "must be a JSON object, not a whole number"),
    "huge number": ("9" * 5000, "Number out of range"),
    "true": ("true", "must be a JSON object, not true or false"),
    "null": ("null", "must be a JSON object, not null"),
    "list": (f"[{body()}]", "must be a JSON object, not a list"),
    "text": ('"etl"', "must be a JSON object, not text"),
    "text of a number": ('"5"', "must be a JSON object, not text"),
    "encoded twice": (json.dumps(body()), "is JSON inside a JSON string; send the object itself"),
    "byte-order mark": ("\ufeff" + body(), "starts with a byte-order mark; send plain UTF-8 JSON without one"),
    "half of a pair": (body(Reason="?").replace("?", "\ud800"), "half of a surrogate pair"),
    "nothing but half a pair": ("\udfff", "half of a surrogate pair"),
}

OPEN: Final = "[" * 500_000
CLOSED: Final = "]" * 500_000
DEEP: Final = {
    "open lists": OPEN,
    "closed lists": OPEN + CLOSED,
    "open objects": '{"a":' * 500_000,
    "in an unknown field": f'{{"Unknown": {OPEN}{CLOSED}}}',
    "open in an unknown field": f'{{"Unknown": {OPEN}',
    "as JobName": f'{{"JobName": {OPEN}{CLOSED}}}',
    "as JobRunIds": f'{{"JobName": "etl", "JobRunIds": {OPEN}{CLOSED}}}',
    "as DryRun": f'{{"JobName": "etl", "JobRunIds": ["jr_1"], "DryRun": {OPEN}{CLOSED}}}',
    "as Select": f'{{"JobName": "etl", "Select": {OPEN}{CLOSED}}}',
    "as an event's detail": f'{{"detail-type": "{STOP_REQUESTED}", "detail": {OPEN}{CLOSED}}}',
    "as an event's type": f'{{"detail-type": {OPEN}{CLOSED}, "detail": {{}}}}',
    "beside an event's detail": event({})[:-1] + f', "x": {OPEN}{CLOSED}}}',
    "in text": json.dumps(OPEN + CLOSED),
}

ONE_LINE: Final = re.compile("[\t\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")
SEVERAL_LINES: Final = re.compile("[\t\r\n\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")


def _refusal(text: str) -> str:
    """Read a body that cannot be used, and return why not."""
    read = dispatcher.read(message(text), AWS_ENVIRONMENT)
    assert isinstance(read, Invalid), f"{text[:200]!r} is not invalid"
    assert 0 < len(read.why) <= 1024
    assert read.message.body == text
    return read.why


class TestStopRequests:
    """Our own message, as it stands."""

    def test_smallest_request_is_read(self) -> None:
        """A job and its runs are all that a request needs; it is no dry run unless it says so."""
        text = '{"JobName": "etl", "JobRunIds": ["jr_1", "jr_2"]}'
        assert dispatcher.read(message(text), AWS_ENVIRONMENT) == ParsedRequest(
            message(text), request("jr_1", "jr_2"), ("jr_1", "jr_2")
        )

    def test_every_field_is_read(self) -> None:
        """What a request says of itself is taken over as it is."""
        text = body("jr_1", Reason="over\nbudget", RequestedBy="guardrail", DryRun=True)
        read = dispatcher.read(message(text), AWS_ENVIRONMENT)
        wanted = request("jr_1", reason="over\nbudget", requested_by="guardrail", dry_run=True)
        assert read == ParsedRequest(message(text), wanted, ("jr_1",))

    @pytest.mark.parametrize("name", ["x", LONGEST, "\t ", "\x7f\x80\u2028", "\ufffd", SUPPLEMENTARY, '"\\'])
    def test_whatever_glue_names_things_is_read(self, name: str) -> None:
        """Every character of Glue's pattern is taken, up to 255 of them."""
        escaped = body(name, JobName=name)
        for text in (escaped, json.dumps(json.loads(escaped), ensure_ascii=False)):
            read = dispatcher.read(message(text), AWS_ENVIRONMENT)
            assert isinstance(read, ParsedRequest)
            assert (read.request.job_name, read.request.job_run_ids) == (name, (name,))

    def test_ten_thousand_runs_are_read(self) -> None:
        """Batching is ours: a request may name as many runs as fit into a message."""
        run_ids = [f"jr_{number}" for number in range(10_000)]
        read = dispatcher.read(message(body(*run_ids)), AWS_ENVIRONMENT)
        assert isinstance(read, ParsedRequest)
        assert read.request.job_run_ids == tuple(run_ids)

    @given(names(), st.lists(names(), min_size=1, max_size=5), notes(), notes(), st.booleans())
    def test_what_is_encoded_is_read_back(
        self, job_name: str, run_ids: list[str], reason: str, requested_by: str, dry_run: object
    ) -> None:
        """Any request that is valid says the same after it was written and read."""
        wanted = StopRequest(
            job_name, tuple(run_ids), reason=reason, requested_by=requested_by, dry_run=bool(dry_run)
        )
        read = dispatcher.read(message(msgspec.json.encode(wanted).decode()), AWS_ENVIRONMENT)
        assert isinstance(read, ParsedRequest)
        assert read.request == wanted

    @pytest.mark.parametrize(("fields", "path", "rule"), WRONG_FIELDS)
    def test_wrong_field_is_named_with_its_rule(self, fields: dict[str, Any], path: str, rule: str) -> None:
        """A field that breaks a rule is named by its path, and the rule is told in words."""
        assert _refusal(body(**fields)) == f"{path}: {rule}"

    @pytest.mark.parametrize("name", ["JobName", "JobRunIds", "Select", "Reason", "RequestedBy", "DryRun"])
    def test_null_is_no_value(self, name: str) -> None:
        """A field that is null is wrong; leaving it out is how to leave it out."""
        text = json.dumps({**json.loads(body()), name: None})
        assert re.fullmatch(f"{name}: must be .*, not null", _refusal(text))

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("{}", "JobName: missing; it is required"),
            ('{"JobRunIds": ["jr_1"]}', "JobName: missing; it is required"),
            ('{"JobName": "etl"}', "JobRunIds: missing; name the runs, or say which with Select"),
        ],
    )
    def test_missing_field_is_named(self, text: str, why: str) -> None:
        """A request that names no job, or no runs, says what is missing."""
        assert _refusal(text) == why

    @pytest.mark.parametrize(("text", "rule"), UNUSABLE.values(), ids=UNUSABLE.keys())
    def test_body_that_is_no_object_is_explained(self, text: str, rule: str) -> None:
        """What is no JSON object at all gets the reason for which people send such a thing."""
        why = _refusal(text)
        assert why.startswith("the body: ")
        assert rule in why

    @pytest.mark.parametrize("text", DEEP.values(), ids=DEEP.keys())
    def test_half_a_million_brackets_crash_nothing(self, text: str) -> None:
        """However deep a body is nested, it is merely invalid, for that or for what was wrong before it."""
        known = ("the body: nested too deeply to be read", "the body: must be a JSON object, not a list")
        assert _refusal(text) in known

    @pytest.mark.parametrize("name", ["x" * 1_000_000, SUPPLEMENTARY * 200_000])
    def test_huge_field_name_is_cut(self, name: str) -> None:
        """An unknown field of a megabyte is shown by its beginning."""
        assert _refusal(json.dumps({name: 1})).startswith(f"{name[:128]}: unknown field")
        assert _refusal(event({name: 1})).startswith(f"detail.{name[:128]}: unknown field")

    @pytest.mark.parametrize(
        "fields",
        [
            {"JobName": 1.5},
            {"JobRunIds": None, "Select": {"StartedBefore": "2026-11-24T03:00:00"}},
        ],
    )
    def test_rule_is_told_in_words(self, fields: dict[str, Any]) -> None:
        """No rule shows the name of a type of Python's."""
        assert "`" not in _refusal(body(**fields))


class TestEvents:
    """A stop request in an EventBridge event."""

    def test_detail_is_the_stop_request(self) -> None:
        """An event that asks for a stop means the same as its detail does as a message."""
        detail = json.loads(body("jr_1", "jr_2", Reason="over budget"))
        read = dispatcher.read(message(event(detail)), AWS_ENVIRONMENT)
        assert isinstance(read, ParsedRequest)
        assert read.request == request("jr_1", "jr_2", reason="over budget")

    def test_new_members_of_the_envelope_are_tolerated(self) -> None:
        """AWS may add members to its envelope, also such as are named like fields of a request."""
        envelope = json.loads(event(json.loads(body()), STOP_REQUESTED))
        more = {"new": {"nested": [None]}, "DryRun": "yes", "JobName": 5}
        read = dispatcher.read(message(json.dumps({**envelope, **more})), AWS_ENVIRONMENT)
        assert isinstance(read, ParsedRequest)
        assert read.request == request()

    @pytest.mark.parametrize(("fields", "path", "rule"), WRONG_FIELDS)
    def test_paths_start_at_the_detail(self, fields: dict[str, Any], path: str, rule: str) -> None:
        """The request in an event is read as strictly, and its errors name the place in the event."""
        assert _refusal(event(json.loads(body(**fields)))) == f"detail.{path}: {rule}"

    @pytest.mark.parametrize(
        ("detail", "why"),
        [
            ({}, "detail.JobName: missing; it is required"),
            ({"JobName": "etl"}, "detail.JobRunIds: missing; name the runs, .*"),
            ({"JobName": "etl", "Select": None}, "detail.Select: must be a JSON object, not null"),
            (None, "detail: must be a JSON object, not null"),
            ([], "detail: must be a JSON object, not a list"),
            (body(), "detail: must be a JSON object, not text"),
        ],
    )
    def test_detail_that_is_no_request_is_explained(self, detail: Any, why: str) -> None:
        """A detail that is missing something, or is no object, is named."""
        assert re.fullmatch(why, _refusal(event(detail)))

    def test_missing_detail_is_named(self) -> None:
        """An event without a detail says that it is required."""
        assert _refusal(json.dumps({"detail-type": STOP_REQUESTED})) == "detail: missing; it is required"

    @pytest.mark.parametrize("detail_type", ["Something Else", "glue job run stop requested", ""])
    def test_other_event_is_invalid(self, detail_type: str) -> None:
        """An event of another type stops nothing, even around a valid request."""
        why = _refusal(event(json.loads(body()), detail_type))
        advice = "it names no Glue job; send a stop request that names the job instead"
        assert why == f"detail-type {detail_type!r}: {advice}"

    def test_long_type_of_an_event_is_cut(self) -> None:
        """A type of a megabyte is shown by its beginning."""
        assert _refusal(event({}, "x" * 1_000_000)).startswith(f"detail-type '{'x' * 128}':")

    @pytest.mark.parametrize(("detail_type", "kind"), [(None, "null"), (5, "a whole number"), ([], "a list")])
    def test_type_that_is_no_text_is_named(self, detail_type: Any, kind: str) -> None:
        """The type of an event is text."""
        assert _refusal(event({}, detail_type)) == f"detail-type: must be text, not {kind}"

    @pytest.mark.parametrize(
        "text",
        [
            pytest.param(event(json.loads(body()))[:-1], id="truncated"),
            pytest.param(event(json.loads(body(Reason="\ud800"))), id="escaped half of a pair"),
        ],
    )
    def test_event_that_is_no_json_is_explained(self, text: str) -> None:
        """An event that is cut off is no JSON; it is not `detail-type` that is wrong with it."""
        assert _refusal(text).startswith("the body: is not JSON")


SCHEMA: Final = jsonschema.Draft202012Validator(
    json.loads(re.sub(r'"pattern": "[^"]*", ', "", json.dumps(msgspec.json.schema(StopRequest))))
)


def _says(text: str) -> Any:
    """Decode JSON with Python's own decoder, as strictly as the standard is."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    value = json.loads(text, parse_constant=refuse)
    json.dumps(value, ensure_ascii=False).encode()
    return value


def _is_request(value: Any) -> bool:
    """Hold a value against the schema and the rules that no schema tells, independently of the reader."""
    if not SCHEMA.is_valid(value) or ("JobRunIds" in value) == ("Select" in value):
        return False
    one_line = (value["JobName"], *value.get("JobRunIds", ()))
    texts = (value.get("Reason", ""), value.get("RequestedBy", ""))
    return (
        all(map(ONE_LINE.fullmatch, one_line))
        and all(map(SEVERAL_LINES.fullmatch, texts))
        and _is_selection(value.get("Select", {}))
    )


def _is_selection(value: dict[str, Any]) -> bool:
    """Hold a selection against what no validator checks: a count has no fraction, a time has an offset."""
    return isinstance(value.get("OlderThanMinutes", 0), int) and _has_offset(value.get("StartedBefore", "Z"))


def _has_offset(text: str) -> bool:
    return text.endswith("Z") or "+" in text


def _may_be_asked(text: str) -> bool:
    try:
        value = _says(text)
    except ValueError:
        return False
    if isinstance(value, dict) and value.get("detail-type") == STOP_REQUESTED:
        return isinstance(value.get("time", ""), str) and _is_request(value.get("detail"))
    return _is_request(value)


any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
some_names = st.one_of(names(), st.text(max_size=3), st.sampled_from([LONGEST, LONGEST + "x", "a\n", "\ud800"]))
some_ids = st.lists(some_names, max_size=3)
some_fields = st.fixed_dictionaries(
    {"JobName": some_names},
    optional={
        "JobRunIds": st.one_of(some_ids, some_ids, some_ids, any_json),
        "Reason": st.one_of(notes(), st.text(), any_json),
        "RequestedBy": st.one_of(notes(), any_json),
        "DryRun": st.one_of(st.booleans(), st.booleans(), any_json),
    },
)
rarely = st.fixed_dictionaries({}, optional={"Select": any_json, "DryRunn": st.just(value=True)})
some_moments = st.sampled_from(["2026-11-24T03:00:00Z", "2026-11-24T03:00:00+05:00", "2026-11-24T03:00:00"])
some_selections = st.fixed_dictionaries(
    {},
    optional={
        "States": st.lists(st.sampled_from(["STARTING", "RUNNING", "WAITING", "STOPPING"]), max_size=2),
        "OlderThanMinutes": st.sampled_from([0, 10_080, 10_081, -1, 5.0, 0.5, True]),
        "StartedBefore": some_moments,
    },
)
selecting = st.fixed_dictionaries({"JobName": some_names, "Select": some_selections})
some_requests = st.one_of(
    some_fields, some_fields, selecting, st.builds(lambda a, b: {**a, **b}, some_fields, rarely)
)
some_types = st.sampled_from([STOP_REQUESTED, STOP_REQUESTED, "Glue Job State Change", "", None])
some_events = st.fixed_dictionaries(
    {"detail-type": some_types, "detail": st.one_of(some_requests, some_requests, any_json)},
    optional={"time": any_json, "JobName": any_json},
)
some_json = st.one_of(some_requests, some_events, any_json)
bodies = st.one_of(
    st.text(),
    st.builds(lambda value, ascii_: json.dumps(value, ensure_ascii=bool(ascii_)), some_json, st.booleans()),
    some_json.map(lambda value: json.dumps(json.dumps(value))),
    st.builds(lambda value, end: json.dumps(value)[:-end], some_json, st.integers(1, 9)),
)


class TestAnything:
    """Whatever is in a body."""

    @given(bodies)
    @example("")
    @example('{"JobName": "a", "Select": {}}')
    @example('{"JobName": "a", "JobRunIds": ["a"], "Select": {}}')
    @example('{"JobName": "a", "Select": {"OlderThanMinutes": 5.0}}')
    @example('{"JobName": "a", "Select": {"StartedBefore": "2026-11-24T03:00:00"}}')
    @example(
        '{"detail-type": "Glue Job Run Stop Requested", "time": null,'
        ' "detail": {"JobName": "a", "JobRunIds": ["a"]}}'
    )
    @example('{"JobName": "a", "JobRunIds": ["a"]}')
    @example('{"JobName": "a", "JobRunIds": ["a"], "DryRun": 1e999}')
    @example('{"x": 1e999, "detail-type": "Glue Job Run Stop Requested", "detail": {}}')
    def test_any_body_is_read_and_asks_only_when_an_independent_check_agrees(self, text: str) -> None:
        """Reading never raises, explains itself, and takes exactly what the schema and the rules allow."""
        read = dispatcher.read(message(text), AWS_ENVIRONMENT)
        assert read.message.body == text
        assert isinstance(read, ParsedRequest) == _may_be_asked(text), read
        if isinstance(read, Ignored | Invalid):
            assert 0 < len(read.why) <= 1024

    def test_schema_is_one_that_validators_take(self) -> None:
        """The JSON Schema of a request can be used as it is, patterns included."""
        schema = msgspec.json.schema(StopRequest)
        validator = jsonschema.Draft202012Validator(schema)
        assert validator.is_valid({"JobName": SUPPLEMENTARY, "JobRunIds": ["jr_1"]})


def _received(given: dict[str, Any], *, max_attempts: int = 8) -> Message:
    return sqs_record.message(given, max_attempts=max_attempts, trusted_sender_ids={"AROAGLUEBRAKE"})


class TestRecords:
    """What Lambda says of a message."""

    def test_record_without_our_attributes_is_a_first_message(self) -> None:
        """A producer's message is at attempt 0, and its sender is the one that SQS names."""
        read = _received(record("{}"))
        assert read == message("{}")
        assert read.is_first

    def test_our_attributes_are_read(self) -> None:
        """Attempt, sender and submission time travel with a message that we sent."""
        attributes = {ATTEMPT: "3", SENDER: "AIDAEXAMPLE:first", SUBMITTED_AT: "2026-11-24T11:00:00+00:00"}
        read = _received(record("{}", attributes, SenderId=OUR_SENDER_ID))
        assert read == message(
            "{}",
            sender="AIDAEXAMPLE:first",
            is_retry=True,
            attempt=3,
            submitted_at=datetime(2026, 11, 24, 11, tzinfo=UTC),
        )
        assert not read.is_first

    @pytest.mark.parametrize(
        "sender_id",
        ["AROAANOTHER:stop", "AROAGLUEBRAK:stop", "xAROAGLUEBRAKE", "", ":AROAGLUEBRAKE", "123456789012"],
    )
    def test_nobody_else_can_speak_for_another(self, sender_id: str) -> None:
        """Of a message that none of our roles sent, SQS's own word for the sender stands, whatever it bears."""
        attributes = {ATTEMPT: "3", SENDER: "AIDAEXAMPLE:somebody-else"}
        read = _received(record("{}", attributes, SenderId=sender_id))
        assert (read.sender, read.is_retry, read.is_first) == (sender_id, False, True)

    @given(name=st.text(max_size=8))
    def test_our_role_is_known_by_its_id_alone(self, name: str) -> None:
        """A session's name does not matter, with or without colons of its own."""
        read = _received(record("{}", {SENDER: "first"}, SenderId=f"AROAGLUEBRAKE:{name}"))
        assert read.sender == "first"

    @pytest.mark.parametrize("sender_id", [SENDER_ID, OUR_SENDER_ID])
    def test_attempts_are_bounded_whoever_sent_the_message(self, sender_id: str) -> None:
        """Attempt and submission time count for any sender: no mistaken identity makes a round endless."""
        attributes = {ATTEMPT: "3", SUBMITTED_AT: "2026-11-24T11:00:00+00:00"}
        read = _received(record("{}", attributes, SenderId=sender_id))
        assert (read.attempt, read.submitted_at) == (3, datetime(2026, 11, 24, 11, tzinfo=UTC))

    def test_redelivery_is_no_first_message(self) -> None:
        """A message that SQS delivers again was counted before."""
        read = _received(record(ApproximateReceiveCount="2"))
        assert (read.receive_count, read.is_first) == (2, False)

    @pytest.mark.parametrize(("text", "attempt"), [("0", 0), ("1", 1), ("7", 7), ("8", 0), ("9", 0), ("10", 0)])
    def test_attempt_at_or_over_the_maximum_starts_anew(self, text: str, attempt: int) -> None:
        """A message whose attempts were used up was brought back by a person, and gets all of them again."""
        assert _received(record("{}", {ATTEMPT: text})).attempt == attempt

    @pytest.mark.parametrize(
        "text", ["", "-1", "+1", "1.0", " 1", "1_0", "٣", "²", "one", "\0", "1" * 5000, "\ud800"]
    )
    def test_attempt_that_is_no_count_reads_as_none(self, text: str) -> None:
        """Whatever stands in the attribute, reading goes on."""
        assert _received(record("{}", {ATTEMPT: text}), max_attempts=100).attempt == 0

    @pytest.mark.parametrize(
        "text",
        ["", "yesterday", "2026-11-24", "2026-11-24T11:00:00", "2026-13-01T00:00:00Z", "\ud800", "0" * 5000],
    )
    def test_submission_time_that_is_no_moment_reads_as_unknown(self, text: str) -> None:
        """A time without an offset, or none at all, is not guessed at."""
        assert _received(record("{}", {SUBMITTED_AT: text})).submitted_at is None

    @pytest.mark.parametrize("text", ["2026-11-24T12:00:00.001+00:00", "9999-12-31T23:59:59-23:59"])
    def test_submission_time_in_the_future_is_the_messages_own(self, text: str) -> None:
        """A run cannot have been submitted after the message that says so was sent."""
        assert _received(record("{}", {SUBMITTED_AT: text})).submitted_at == NOON

    def test_earliest_submission_time_can_be_reckoned_with(self) -> None:
        """A time before all others is old, and nothing overflows."""
        read = _received(record("{}", {SUBMITTED_AT: "0001-01-01T00:00:00+23:59"}))
        assert read.submitted_at is not None
        assert NOON - read.submitted_at > timedelta(days=700_000)

    @pytest.mark.parametrize("attributes", [None, {}])
    def test_attributes_may_be_missing(self, attributes: dict[str, Any] | None) -> None:
        """A record without any message attributes is read."""
        assert _received({**record("{}"), "messageAttributes": attributes}) == message("{}")

    def test_attribute_of_another_type_is_no_text(self) -> None:
        """A binary attribute of one of our names says nothing."""
        binary = {"dataType": "Binary", "binaryValue": "AA=="}
        given = {**record("{}"), "messageAttributes": {ATTEMPT: binary, SENDER: binary, SUBMITTED_AT: binary}}
        assert _received(given) == message("{}")

    def test_binary_attribute_of_our_own_is_no_text_either(self) -> None:
        """Whoever sent it, a name that is no text is nobody's."""
        given = record("{}", SenderId=OUR_SENDER_ID)
        given["messageAttributes"] = {SENDER: {"dataType": "Binary", "binaryValue": "AA=="}}
        assert _received(given).sender == OUR_SENDER_ID

    def test_who_sent_is_told_by_what_stands_before_the_first_colon(self) -> None:
        """What follows is a name that whoever takes a role chooses for the session, ours included."""
        claimed = f"{SENDER_ID.partition(':')[0]}:{OUR_SENDER_ID}"
        received = _received(record("{}", {SENDER: "somebody else"}, SenderId=claimed))
        assert (received.sender, received.is_retry) == (claimed, False)
        ours = _received(record("{}", {SENDER: "guardrail"}, SenderId=f"{OUR_SENDER_ID}:{SENDER_ID}"))
        assert ours.sender == "guardrail"

    def test_count_of_deliveries_may_be_unknown(self) -> None:
        """A record that does not say how often it was delivered was so once."""
        given = record("{}")
        del given["attributes"]["ApproximateReceiveCount"]
        assert _received(given).is_first

    def test_sender_may_be_unknown(self) -> None:
        """A record that names no sender is read."""
        given = record("{}")
        del given["attributes"]["SenderId"]
        assert _received(given).sender == ""

    @given(st.text(), st.text(), st.text())
    def test_any_attributes_are_read(self, attempt: str, sender: str, submitted_at: str) -> None:
        """No attribute makes reading fail, and none breaks the limits that later code relies on."""
        given = record("{}", {ATTEMPT: attempt, SENDER: sender, SUBMITTED_AT: submitted_at})
        read = _received(given)
        assert 0 <= read.attempt < 8
        assert read.sender == SENDER_ID
        assert read.submitted_at is None or read.submitted_at <= read.sent_at
