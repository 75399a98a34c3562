"""A stop request is parsed strictly, and each error names the field and its rule."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import jsonschema
import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import UNSET

from gluebrake.contract import STOP_REQUESTED, StopRequest
from gluebrake.model import MessageResult, ParsedRequest
from gluebrake.outcomes import Outcome
from gluebrake.parsing import dispatcher, stop_request
from gluebrake.parsing.context import Parser
from tests.support.builders import AWS_ENVIRONMENT, body, event, message, names, notes, parse_requests, request

pytestmark = pytest.mark.disable_socket

LONGEST: Final = "é" * 255
SUPPLEMENTARY: Final = "\U0001f6d1"
NOT_ONE_LINE: Final = "must be one line of text without control characters; character "
FIELDS: Final = (
    *("JobName", "JobRunIds", "Select", "Reason", "RequestedBy", "DryRun"),
    *("IncludeAttempts", "AttemptsStartedBefore"),
)
ALLOWED: Final = f"unknown field; allowed: {', '.join(FIELDS)}"
TIME: Final = "allowed: a time with its offset from UTC, like 2026-11-24T03:00:00Z"

# Fields with one mistake, the path that the error names, and the rule.
WRONG_FIELDS: Final[list[tuple[dict[str, Any], str, str]]] = [
    ({"Dryrun": True}, "Dryrun", ALLOWED),
    ({"jobName": "etl"}, "jobName", ALLOWED),
    ({"": 1}, "", ALLOWED),
    (
        {"Select": {"State": ["RUNNING"]}, "JobRunIds": None},
        "Select.State",
        "unknown field; allowed: States, OlderThanMinutes, StartedBefore, StartedAfter, Arguments, Except",
    ),
    ({"JobName": 1}, "JobName", "Expected `str`, got `int`"),
    ({"JobName": 1.5}, "JobName", "Expected `str`, got `float`"),
    ({"JobName": ["etl"]}, "JobName", "Expected `str`, got `array`"),
    ({"JobName": {"Name": "etl"}}, "JobName", "Expected `str`, got `object`"),
    ({"JobName": True}, "JobName", "Expected `str`, got `bool`"),
    ({"JobName": ""}, "JobName", "Expected `str` of length >= 1"),
    ({"JobName": LONGEST + "x"}, "JobName", "Expected `str` of length <= 255"),
    ({"JobName": "etl\n"}, "JobName", NOT_ONE_LINE + "4 is U+000A"),
    ({"JobName": "e\rtl"}, "JobName", NOT_ONE_LINE + "2 is U+000D"),
    ({"JobName": "\0"}, "JobName", NOT_ONE_LINE + "1 is U+0000"),
    ({"JobName": "\ufffe"}, "JobName", NOT_ONE_LINE + "1 is U+FFFE"),
    ({"JobName": "\uffff"}, "JobName", NOT_ONE_LINE + "1 is U+FFFF"),
    ({"JobRunIds": "jr_1"}, "JobRunIds", "Expected `array`, got `str`"),
    ({"JobRunIds": {"0": "jr_1"}}, "JobRunIds", "Expected `array`, got `object`"),
    ({"JobRunIds": []}, "JobRunIds", "Expected `array` of length >= 1"),
    ({"JobRunIds": ["jr_1", 7]}, "JobRunIds[1]", "Expected `str`, got `int`"),
    ({"JobRunIds": ["jr_1", None]}, "JobRunIds[1]", "Expected `str`, got `null`"),
    ({"JobRunIds": ["jr_1", ["jr_2"]]}, "JobRunIds[1]", "Expected `str`, got `array`"),
    ({"JobRunIds": ["jr_1", ""]}, "JobRunIds[1]", "Expected `str` of length >= 1"),
    ({"JobRunIds": [LONGEST + "x"]}, "JobRunIds[0]", "Expected `str` of length <= 255"),
    (
        {"JobRunIds": ["jr_1", "jr_2\n"]},
        "JobRunIds[1]",
        NOT_ONE_LINE + "5 is U+000A",
    ),
    ({"Select": {}}, "Select", "not allowed beside JobRunIds; give one of the two"),
    ({"Select": []}, "Select", "Expected `object`, got `array`"),
    ({"Reason": 5}, "Reason", "Expected `str`, got `int`"),
    ({"Reason": ""}, "Reason", "Expected `str` of length >= 1"),
    ({"Reason": "x" * 1025}, "Reason", "Expected `str` of length <= 1024"),
    ({"Reason": "a\x07"}, "Reason", "must be text without control characters; character 2 is U+0007"),
    ({"RequestedBy": ["me"]}, "RequestedBy", "Expected `str`, got `array`"),
    ({"RequestedBy": ""}, "RequestedBy", "Expected `str` of length >= 1"),
    ({"RequestedBy": "x" * 1025}, "RequestedBy", "Expected `str` of length <= 1024"),
    ({"RequestedBy": "\0"}, "RequestedBy", "must be text without control characters; character 1 is U+0000"),
    ({"DryRun": "yes"}, "DryRun", "Expected `bool`, got `str`"),
    ({"DryRun": "true"}, "DryRun", "Expected `bool`, got `str`"),
    ({"DryRun": 0}, "DryRun", "Expected `bool`, got `int`"),
    ({"DryRun": 1}, "DryRun", "Expected `bool`, got `int`"),
    ({"DryRun": []}, "DryRun", "Expected `bool`, got `array`"),
    ({"IncludeAttempts": "true"}, "IncludeAttempts", "Expected `bool`, got `str`"),
    ({"IncludeAttempts": 1}, "IncludeAttempts", "Expected `bool`, got `int`"),
    ({"AttemptsStartedBefore": 5}, "AttemptsStartedBefore", f"Expected `datetime`, got `int`; {TIME}"),
    (
        {"AttemptsStartedBefore": "yesterday"},
        "AttemptsStartedBefore",
        f"Invalid RFC3339 encoded datetime; {TIME}",
    ),
    ({"AttemptsStartedBefore": "2026-11-24T03:00:00Z"}, "AttemptsStartedBefore", "needs IncludeAttempts"),
]

# Bodies that are not JSON objects, and the explanation of each.
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
    "number": ("5", "Expected `object`, got `int`"),
    "huge number": ("9" * 5000, "Number out of range"),
    "true": ("true", "Expected `object`, got `bool`"),
    "null": ("null", "Expected `object`, got `null`"),
    "list": (f"[{body()}]", "Expected `object`, got `array`"),
    "text": ('"etl"', "Expected `object`, got `str`"),
    "text of a number": ('"5"', "Expected `object`, got `str`"),
    "encoded twice": (json.dumps(body()), "is JSON inside a JSON string; send the object itself"),
    "byte-order mark": ("\ufeff" + body(), "starts with a byte-order mark; send plain UTF-8 JSON without one"),
    "half of a pair": (body(Reason="?").replace("?", "\ud800"), "half of a surrogate pair"),
    "only half a pair": ("\udfff", "half of a surrogate pair"),
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

PARSERS: Final[tuple[Parser[StopRequest], ...]] = (dispatcher.parse, stop_request.parse)
"""The parsers of STOP and of CONFIRM."""


def _parse(text: str, parse: Parser[StopRequest]) -> ParsedRequest | MessageResult:
    """Parse a body, which has at most one request."""
    requests, results = parse_requests([message(text)], parse, AWS_ENVIRONMENT)
    messages = [*(parsed.message for parsed in requests), *(result.message for result in results)]
    assert [message.body for message in messages] == [text]
    assert all(0 < len(result.why) <= 1024 for result in results)
    return requests[0] if requests else results[0]


def _parsed(text: str) -> ParsedRequest:
    """Parse a plain stop request, which is the same for both functions."""
    parsed, by_confirm = (_parse(text, parse) for parse in PARSERS)
    assert isinstance(parsed, ParsedRequest), parsed
    assert parsed == by_confirm
    return parsed


def _refusal(text: str) -> str:
    """Return why STOP refuses a body."""
    result = _parse(text, dispatcher.parse)
    assert isinstance(result, MessageResult), f"{text[:200]!r} is not invalid"
    assert result.outcome is Outcome.INVALID_REQUEST
    return result.why


def _refusal_of_both(text: str) -> str:
    """Return why both functions refuse a body that is not an event."""
    why, by_confirm = _refusal(text), _parse(text, stop_request.parse)
    assert isinstance(by_confirm, MessageResult)
    assert by_confirm.outcome is Outcome.INVALID_REQUEST
    # For malformed JSON, what follows in brackets depends on how far the parser reads.
    assert by_confirm.why.partition(" (")[0] == why.partition(" (")[0]
    return why


class TestStopRequests:
    """A plain stop request."""

    def test_smallest_request_is_parsed(self) -> None:
        """A request needs a job and its runs. It is no dry run by default."""
        text = '{"JobName": "etl", "JobRunIds": ["jr_1", "jr_2"]}'
        assert _parsed(text) == ParsedRequest(message(text), request("jr_1", "jr_2"), ("jr_1", "jr_2"))

    def test_every_field_is_parsed(self) -> None:
        """The values of the fields are taken unchanged."""
        text = body("jr_1", Reason="over\nbudget", RequestedBy="guardrail", DryRun=True)
        expected = request("jr_1", reason="over\nbudget", requested_by="guardrail", dry_run=True)
        assert _parsed(text) == ParsedRequest(message(text), expected, ("jr_1",))

    @pytest.mark.parametrize("name", ["x", LONGEST, "\t ", "\x7f\x80\u2028", "\ufffd", SUPPLEMENTARY, '"\\'])
    def test_every_name_of_glue_is_parsed(self, name: str) -> None:
        """Names and ids have up to 255 of the characters of Glue's pattern."""
        escaped = body(name, JobName=name)
        for text in (escaped, json.dumps(json.loads(escaped), ensure_ascii=False)):
            parsed = _parsed(text)
            assert (parsed.request.job_name, parsed.request.job_run_ids) == (name, (name,))

    def test_ten_thousand_runs_are_parsed(self) -> None:
        """A request may name as many runs as fit into a message, since Gluebrake forms the batches."""
        run_ids = [f"jr_{number}" for number in range(10_000)]
        assert _parsed(body(*run_ids)).request.job_run_ids == tuple(run_ids)

    @given(names(), st.lists(names(), min_size=1, max_size=5), notes(), notes(), st.booleans())
    def test_encoded_request_is_parsed_unchanged(
        self, job_name: str, run_ids: list[str], reason: str, requested_by: str, dry_run: object
    ) -> None:
        """All valid requests are equal after they are written and parsed."""
        expected = StopRequest(
            job_name, tuple(run_ids), reason=reason, requested_by=requested_by, dry_run=bool(dry_run)
        )
        assert _parsed(msgspec.json.encode(expected).decode()).request == expected

    @pytest.mark.parametrize(("fields", "path", "rule"), WRONG_FIELDS)
    def test_wrong_field_is_named_with_its_rule(self, fields: dict[str, Any], path: str, rule: str) -> None:
        """The error has the path of the field and the rule that its value breaks."""
        assert _refusal_of_both(body(**fields)) == f"{path}: {rule}"

    @pytest.mark.parametrize("name", FIELDS)
    def test_null_is_no_value(self, name: str) -> None:
        """A field that is null is wrong. An absent value is left out."""
        text = json.dumps({**json.loads(body()), name: None})
        rule = f"{name}: Expected `[a-z]+`, got `null`(; {re.escape(TIME)})?"
        assert re.fullmatch(rule, _refusal_of_both(text))

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("{}", "JobName: missing; it is required"),
            ('{"JobRunIds": ["jr_1"]}', "JobName: missing; it is required"),
            ('{"JobName": "etl"}', "JobRunIds: missing; name the runs, or describe them with Select"),
        ],
    )
    def test_missing_field_is_named(self, text: str, why: str) -> None:
        """The error names the job or the runs as missing."""
        assert _refusal_of_both(text) == why

    @pytest.mark.parametrize(("text", "rule"), UNUSABLE.values(), ids=UNUSABLE.keys())
    def test_body_that_is_no_object_is_explained(self, text: str, rule: str) -> None:
        """The error has the likely mistake of the producer."""
        why = _refusal_of_both(text)
        assert why.startswith("the body: ")
        assert rule in why

    @pytest.mark.parametrize("text", DEEP.values(), ids=DEEP.keys())
    def test_half_a_million_brackets_cause_no_crash(self, text: str) -> None:
        """A deeply nested body is invalid, for its depth or for a mistake before it."""
        known = ("the body: is nested too deeply", "the body: Expected `object`, got `array`")
        assert _refusal(text) in known
        assert isinstance(_parse(text, stop_request.parse), MessageResult)

    @pytest.mark.parametrize("name", ["x" * 1_000_000, SUPPLEMENTARY * 200_000])
    def test_huge_field_name_is_cut(self, name: str) -> None:
        """The error has the beginning of an unknown field's name of a megabyte."""
        assert _refusal_of_both(json.dumps({name: 1})).startswith(f"{name[:128]}: unknown field")
        assert _refusal(event({name: 1})).startswith(f"detail.{name[:128]}: unknown field")


class TestEvents:
    """A stop request in an EventBridge event."""

    def test_detail_is_the_stop_request(self) -> None:
        """An event that requests a stop means the same as its detail does as a message."""
        detail = json.loads(body("jr_1", "jr_2", Reason="over budget"))
        parsed = _parse(event(detail), dispatcher.parse)
        assert isinstance(parsed, ParsedRequest)
        assert parsed.request == request("jr_1", "jr_2", reason="over budget", requested_by="guardrail")

    def test_requester_is_the_source_of_the_event(self) -> None:
        """The source of an event requests the stop, unless the request names another or the event has none."""
        detail = json.loads(body())
        envelope = json.loads(event(detail))
        long = "\x07" + "x" * 2000
        for source, fields, expected in (
            ("guardrail", {}, "guardrail"),
            ("guardrail", {"RequestedBy": "me"}, "me"),
            (long, {}, "\ufffd" + "x" * 1023),
            ("", {}, UNSET),
        ):
            text = json.dumps({**envelope, "source": source, "detail": {**detail, **fields}})
            parsed = _parse(text, dispatcher.parse)
            assert isinstance(parsed, ParsedRequest)
            assert parsed.request.requested_by == expected
            # The request is written to the next message, which must be valid.
            assert _parsed(msgspec.json.encode(parsed.request).decode()).request == parsed.request

    def test_confirm_refuses_an_event(self) -> None:
        """CONFIRM gets messages from Gluebrake only, which are plain stop requests."""
        refused = _parse(event(json.loads(body())), stop_request.parse)
        assert isinstance(refused, MessageResult)
        assert refused.outcome is Outcome.INVALID_REQUEST

    def test_new_members_of_the_envelope_are_tolerated(self) -> None:
        """AWS may add members to its envelope."""
        envelope = json.loads(event(json.loads(body()), STOP_REQUESTED))
        parsed = _parse(json.dumps({**envelope, "new": {"nested": [None]}}), dispatcher.parse)
        assert isinstance(parsed, ParsedRequest)
        assert parsed.request == request(requested_by="guardrail")

    @pytest.mark.parametrize("name", FIELDS)
    @pytest.mark.parametrize("value", [None, True, "etl", {}])
    def test_field_of_a_request_in_the_envelope_is_refused(self, name: str, value: Any) -> None:
        """A `DryRun` in the wrong place must not lead to a stop, and AWS adds no member with such a name."""
        envelope = json.loads(event(json.loads(body()), STOP_REQUESTED))
        why = _refusal(json.dumps({**envelope, name: value}))
        assert why == f"{name}: is beside an event; put it into the stop request"

    @pytest.mark.parametrize(("fields", "path", "rule"), WRONG_FIELDS)
    def test_paths_start_at_the_detail(self, fields: dict[str, Any], path: str, rule: str) -> None:
        """The request in an event is parsed as strictly, and its errors have the path in the event."""
        assert _refusal(event(json.loads(body(**fields)))) == f"detail.{path}: {rule}"

    @pytest.mark.parametrize(
        ("detail", "why"),
        [
            ({}, "detail.JobName: missing; it is required"),
            ({"JobName": "etl"}, "detail.JobRunIds: missing; name the runs, .*"),
            ({"JobName": "etl", "Select": None}, "detail.Select: Expected `object`, got `null`"),
            (None, "detail: Expected `object`, got `null`"),
            ([], "detail: Expected `object`, got `array`"),
            (body(), "detail: Expected `object`, got `str`"),
        ],
    )
    def test_detail_that_is_no_request_is_explained(self, detail: Any, why: str) -> None:
        """The error names what is missing, or the type that the detail has."""
        assert re.fullmatch(why, _refusal(event(detail)))

    def test_missing_detail_is_named(self) -> None:
        """The error for an event without a detail names it as missing."""
        assert _refusal(json.dumps({"detail-type": STOP_REQUESTED})) == "detail: missing; it is required"

    @pytest.mark.parametrize("detail_type", ["Something Else", "glue job run stop requested", ""])
    def test_other_event_is_invalid(self, detail_type: str) -> None:
        """An event of an unknown type stops nothing, even with a valid request as its detail."""
        why = _refusal(event(json.loads(body()), detail_type))
        advice = "it names no Glue job; send a stop request that names the job instead"
        assert why == f"detail-type {detail_type!r}: {advice}"

    def test_long_type_of_an_event_is_cut(self) -> None:
        """The error has the beginning of a detail-type of a megabyte."""
        assert _refusal(event({}, "x" * 1_000_000)).startswith(f"detail-type '{'x' * 128}':")

    @pytest.mark.parametrize(("detail_type", "kind"), [(None, "null"), (5, "int"), ([], "array")])
    def test_type_that_is_no_text_is_named(self, detail_type: Any, kind: str) -> None:
        """The detail-type of an event is text."""
        assert _refusal(event({}, detail_type)) == f"detail-type: Expected `str`, got `{kind}`"

    @pytest.mark.parametrize(
        "text",
        [
            pytest.param(event(json.loads(body()))[:-1], id="truncated"),
            pytest.param(event(json.loads(body(Reason="\ud800"))), id="escaped half of a pair"),
        ],
    )
    def test_event_that_is_no_json_is_explained(self, text: str) -> None:
        """The error for a truncated event is that it is not JSON, and not that its type is unknown."""
        assert _refusal(text).startswith("the body: is not JSON")


SCHEMA: Final = jsonschema.Draft202012Validator(
    json.loads(re.sub(r'"pattern": "[^"]*", ', "", json.dumps(msgspec.json.schema(StopRequest))))
)


def _decoded(text: str) -> Any:
    """Decode JSON with Python's own decoder, as strictly as the standard."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    value = json.loads(text, parse_constant=refuse)
    json.dumps(value, ensure_ascii=False).encode()
    return value


def _is_request(value: Any) -> bool:
    """Check a value against the schema and the rules that no schema expresses, independently of the parser."""
    if not SCHEMA.is_valid(value) or ("JobRunIds" in value) == ("Select" in value):
        return False
    selection, includes = value.get("Select", {}), value.get("IncludeAttempts", False)
    arguments = selection.get("Arguments", {})
    one_line = (value["JobName"], *value.get("JobRunIds", ()), *selection.get("Except", ()))
    texts = (value.get("Reason", ""), value.get("RequestedBy", ""), *arguments, *arguments.values())
    return (
        all(map(ONE_LINE.fullmatch, one_line))
        and all(map(SEVERAL_LINES.fullmatch, texts))
        and _is_selection(selection)
        and (includes or "AttemptsStartedBefore" not in value)
        and ("JobRunIds" in value or not includes)
        and _has_offset(value.get("AttemptsStartedBefore", "Z"))
    )


def _is_selection(value: dict[str, Any]) -> bool:
    """Check what no validator checks: a count has no fraction, and a time has an offset."""
    times = (value.get("StartedBefore", "Z"), value.get("StartedAfter", "Z"))
    return isinstance(value.get("OlderThanMinutes", 0), int) and all(map(_has_offset, times))


def _has_offset(text: str) -> bool:
    return text.endswith("Z") or "+" in text


def _is_plain_request(text: str) -> bool:
    try:
        return _is_request(_decoded(text))
    except ValueError:
        return False


def _is_request_or_event(text: str) -> bool:
    try:
        value = _decoded(text)
    except ValueError:
        return False
    if isinstance(value, dict) and value.get("detail-type") == STOP_REQUESTED:
        is_envelope = isinstance(value.get("time", ""), str) and value.keys().isdisjoint(FIELDS)
        return is_envelope and _is_request(value.get("detail"))
    return _is_request(value)


any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
drawn_names = st.one_of(
    names(), st.text(max_size=3), st.sampled_from([LONGEST, LONGEST + "x", "a\n", "\ud800"])
)
drawn_ids = st.lists(drawn_names, max_size=3)
drawn_fields = st.fixed_dictionaries(
    {"JobName": drawn_names},
    optional={
        "JobRunIds": st.one_of(drawn_ids, drawn_ids, drawn_ids, any_json),
        "Reason": st.one_of(notes(), st.text(), any_json),
        "RequestedBy": st.one_of(notes(), any_json),
        "DryRun": st.one_of(st.booleans(), st.booleans(), any_json),
    },
)
drawn_times = st.sampled_from(["2026-11-24T03:00:00Z", "2026-11-24T03:00:00+05:00", "2026-11-24T03:00:00"])
rare_fields = st.fixed_dictionaries(
    {},
    optional={
        "Select": any_json,
        "DryRunn": st.just(value=True),
        "IncludeAttempts": st.booleans() | any_json,
        "AttemptsStartedBefore": drawn_times,
    },
)
drawn_arguments = st.dictionaries(
    st.text(max_size=3) | st.just("--day"), st.text(max_size=3) | st.integers(), max_size=2
)
drawn_selections = st.fixed_dictionaries(
    {},
    optional={
        "States": st.lists(st.sampled_from(["STARTING", "RUNNING", "WAITING", "STOPPING"]), max_size=2),
        "OlderThanMinutes": st.sampled_from([0, 10_080, 10_081, -1, 5.0, 0.5, True]),
        "StartedBefore": drawn_times,
        "StartedAfter": drawn_times,
        "Arguments": drawn_arguments,
        "Except": drawn_ids,
    },
)
with_selection = st.fixed_dictionaries({"JobName": drawn_names, "Select": drawn_selections})
drawn_requests = st.one_of(
    drawn_fields, drawn_fields, with_selection, st.builds(lambda a, b: {**a, **b}, drawn_fields, rare_fields)
)
drawn_types = st.sampled_from([STOP_REQUESTED, STOP_REQUESTED, "Glue Job State Change", "", None])
drawn_events = st.fixed_dictionaries(
    {"detail-type": drawn_types, "detail": st.one_of(drawn_requests, drawn_requests, any_json)},
    optional={"time": any_json, "JobName": any_json},
)
drawn_json = st.one_of(drawn_requests, drawn_events, any_json)
bodies = st.one_of(
    st.text(),
    st.builds(lambda value, ascii_: json.dumps(value, ensure_ascii=bool(ascii_)), drawn_json, st.booleans()),
    drawn_json.map(lambda value: json.dumps(json.dumps(value))),
    st.builds(lambda value, end: json.dumps(value)[:-end], drawn_json, st.integers(1, 9)),
)


class TestAnyBody:
    """Any text as a body."""

    @given(bodies)
    @example("")
    @example('{"JobName": "a", "Select": {}}')
    @example('{"JobName": "a", "JobRunIds": ["a"], "Select": {}}')
    @example('{"JobName": "a", "Select": {"OlderThanMinutes": 5.0}}')
    @example('{"JobName": "a", "Select": {"StartedBefore": "2026-11-24T03:00:00"}}')
    @example('{"JobName": "a", "JobRunIds": ["a"], "IncludeAttempts": true}')
    @example('{"JobName": "a", "JobRunIds": ["a"], "AttemptsStartedBefore": "2026-11-24T03:00:00Z"}')
    @example('{"JobName": "a", "Select": {}, "IncludeAttempts": true}')
    @example('{"JobName": "a", "Select": {"Arguments": {"--day": "1"}, "Except": ["a"]}}')
    @example('{"JobName": "a", "Select": {"Arguments": {"\\u0007": "1"}}}')
    @example(
        '{"detail-type": "Glue Job Run Stop Requested", "time": null,'
        ' "detail": {"JobName": "a", "JobRunIds": ["a"]}}'
    )
    @example('{"JobName": "a", "JobRunIds": ["a"]}')
    @example('{"JobName": "a", "JobRunIds": ["a"], "DryRun": 1e999}')
    @example('{"x": 1e999, "detail-type": "Glue Job Run Stop Requested", "detail": {}}')
    def test_body_is_a_request_only_when_an_independent_check_agrees(self, text: str) -> None:
        """Parsing never raises, and it accepts exactly what the schema and the rules allow."""
        by_stop, by_confirm = (_parse(text, parse) for parse in PARSERS)
        assert isinstance(by_stop, ParsedRequest) == _is_request_or_event(text), by_stop
        assert isinstance(by_confirm, ParsedRequest) == _is_plain_request(text), by_confirm

    def test_validators_accept_the_schema(self) -> None:
        """The JSON Schema of a request can be used as it is, with its patterns."""
        schema = msgspec.json.schema(StopRequest)
        validator = jsonschema.Draft202012Validator(schema)
        assert validator.is_valid({"JobName": SUPPLEMENTARY, "JobRunIds": ["jr_1"]})
