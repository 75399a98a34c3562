"""Tests that run the examples of docs/requests.md."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import jsonschema
import msgspec
import pytest

from docs.generate import DOCS
from gluebrake.contract import ATTEMPT, SENDER, STAGE, SUBMITTED_AT, VIA, Selection, StopRequest
from gluebrake.model import Message, MessageResult, ParsedRequest
from gluebrake.outcomes import Outcome
from gluebrake.parsing import dispatcher
from tests.docs.document import Document, text_of
from tests.support.builders import parse_requests
from tests.support.fakes.clock import VirtualClock
from tests.support.fakes.faults import Throttle
from tests.support.simulated_aws import STOP, SimulatedAws

NOW: Final = VirtualClock()()
SCHEMA: Final = jsonschema.Draft202012Validator(
    json.loads((DOCS / "schemas" / "stop-request.json").read_text())
)
PAGE: Final = Document(DOCS / "requests.md")
RUNS: Final[Sequence[tuple[str, str, float, str, Mapping[str, Any]]]] = (
    ("nightly-etl", "jr_1", 1, "RUNNING", {}),
    ("nightly-etl", "jr_2", 3, "RUNNING", {"Arguments": {"--date": "2026-11-23"}}),
    ("nightly-etl", "jr_3", 9, "SUCCEEDED", {}),
    ("nightly-load", "jr_9", 2, "FAILED", {}),
    ("nightly-load", "jr_9_attempt_1", 0.5, "RUNNING", {"PreviousRunId": "jr_9"}),
)
"""The runs of the examples: job, run, hours since its start, state, and other fields of Glue's."""


@dataclass(frozen=True)
class Example:
    """A request and its expected results, by kind of block. `stops` has the run ids from the text."""

    request: str
    expected: Mapping[str, list[Any]]


def _examples() -> Iterator[Example]:
    expected: dict[str, list[Any]] = {}
    for block in PAGE.blocks:
        if block.kind == "json request":
            yield Example(block.text, expected := {})
        elif block.kind.startswith("json "):
            expected.setdefault(block.kind.removeprefix("json "), []).append(json.loads(block.text))
        elif stops := re.match(r"and stops (.*?)\.", block.text):
            expected["stops"] = re.findall(r"`(.*?)`", stops[1])


def _selections() -> Iterator[Example]:
    for select, becomes, stops in PAGE.rows("Examples of selections"):
        request, read = (
            f'{{"JobName": "nightly-etl", "Select": {text_of(cell)}}}' for cell in (select, becomes)
        )
        yield Example(request, {"read": [json.loads(read)], "stops": text_of(stops).split()})


EXAMPLES: Final = [*_examples(), *_selections()]
QUEUES: Final = ("stop-queue", "confirm-queue", "dead-letter")


def _with(*kinds: str) -> pytest.MarkDecorator:
    examples = [example for example in EXAMPLES if not example.expected.keys().isdisjoint(kinds)]
    assert examples, f"the page has no example of {kinds}"
    return pytest.mark.parametrize("example", examples, ids=lambda example: example.request)


@pytest.fixture
def simulation() -> Iterator[SimulatedAws]:
    """Set up the jobs, runs and configuration that the page describes."""
    with SimulatedAws(jobs=["nightly-*", "hourly-*"], max_runs_per_request=3) as simulation:
        for job_name, run_id, hours, state, details in RUNS:
            started_on = NOW - timedelta(hours=hours)
            simulation.aws.glue.add_run(job_name, run_id, state=state, started_on=started_on, **details)
        for run_id in ("jr_1", "jr_2"):
            simulation.aws.glue.add_run("hourly-report", run_id)
        simulation.aws.faults.add(
            Throttle(), when=lambda call: call.parameters.get("JobName") == "hourly-report"
        )
        yield simulation


def _parse(simulation: SimulatedAws, body: str) -> ParsedRequest | MessageResult:
    message = Message("m-1", body, NOW, "sender")
    requests, results = parse_requests(
        [message], dispatcher.parse, simulation.dependencies[STOP].aws_environment
    )
    assert len(requests) + len(results) == 1
    assert all(result.outcome is Outcome.INVALID_REQUEST for result in results)
    return requests[0] if requests else results[0]


def _effective_request(simulation: SimulatedAws, body: str) -> Any:
    parsed = _parse(simulation, body)
    assert isinstance(parsed, ParsedRequest), parsed.why
    return json.loads(msgspec.json.encode(parsed.request))


@_with("read")
def test_message_becomes_the_shown_request(simulation: SimulatedAws, example: Example) -> None:
    """The message is parsed as the request that the page shows, and the schema accepts that request."""
    (request,) = example.expected["read"]
    assert _effective_request(simulation, example.request) == request
    assert SCHEMA.is_valid(request)


@pytest.mark.parametrize(
    "example",
    [e for e in EXAMPLES if "read" not in e.expected and "JobName" in json.loads(e.request)],
    ids=lambda example: example.request,
)
def test_other_request_is_unchanged_or_refused(simulation: SimulatedAws, example: Example) -> None:
    """A plain request without a shown reading is used unchanged, or the page shows how it is refused."""
    value = json.loads(example.request)
    parsed = _parse(simulation, example.request)
    assert SCHEMA.is_valid(value) is isinstance(parsed, ParsedRequest)
    assert isinstance(parsed, ParsedRequest) or example.expected.keys() & {"answer", "dead-letter"}
    if isinstance(parsed, ParsedRequest) and "Select" not in value:
        assert _effective_request(simulation, example.request) == value


@_with("stops")
def test_request_stops_the_named_runs(simulation: SimulatedAws, example: Example) -> None:
    """The runs that the page names are stopped, and no other run."""
    simulation.put(example.request)
    simulation.deliver_due(STOP)
    assert len(simulation.stop_calls()) == 1
    stopped = sorted(run.run_id for run in simulation.aws.glue if run.state == "STOPPING")
    assert stopped == example.expected["stops"]


def test_table_of_runs_has_the_runs() -> None:
    """The runs of the examples are those that the page describes."""
    rows = [[text_of(cell) for cell in row[:3]] for row in PAGE.rows("The runs of the examples")]
    assert rows == [[job_name, run_id, state] for job_name, run_id, _, state, _ in RUNS]


@_with("answer")
def test_direct_invocation_returns_the_shown_response(simulation: SimulatedAws, example: Example) -> None:
    """A direct invocation with the example returns the response that the page shows."""
    response = simulation.functions[STOP](json.loads(example.request), simulation.context)
    assert [response] == example.expected["answer"]


@_with(*QUEUES)
def test_request_sends_the_shown_messages(simulation: SimulatedAws, example: Example) -> None:
    """The messages that the page shows are sent with their attributes, and no other message."""
    simulation.put(example.request)
    simulation.deliver_due(STOP)
    queues = dict(
        zip(
            QUEUES, (simulation.stop_queue, simulation.confirm_queue, simulation.dead_letter_queue), strict=True
        )
    )
    sent = {name: [_as_shown(message.body, message.attributes) for message in q] for name, q in queues.items()}
    assert {name: messages for name, messages in sent.items() if messages} == {
        name: messages for name, messages in example.expected.items() if name in QUEUES
    }


def _as_shown(body: str, attributes: Mapping[str, Any]) -> dict[str, Any]:
    assert {attribute["DataType"] for attribute in attributes.values()} == {"String"}
    texts = {name: attribute["StringValue"] for name, attribute in attributes.items()}
    return {"Body": json.loads(body), "Attributes": texts}


REFUSED: Final = [(text_of(message), text_of(why)) for message, why, *_ in PAGE.rows("What is refused")]
REFUSED_BY_SCHEMA: Final = REFUSED[:-3]
"""Messages that the schema refuses as well. The page says that these are all but the last three."""


@pytest.mark.parametrize(("body", "why"), REFUSED)
def test_refused_message_becomes_a_dead_letter_with_the_shown_error(
    simulation: SimulatedAws, body: str, why: str
) -> None:
    """A message of the table stops no run, and its dead letter has the error in the second column."""
    simulation.put(body)
    simulation.deliver_due(STOP)
    (dead_letter,) = simulation.dead_letter_queue
    texts = {name: attribute["StringValue"] for name, attribute in dead_letter.attributes.items()}
    assert texts == {"ERROR_CODE": "InvalidRequest", "ERROR_MESSAGE": why, "RETRY_ATTEMPTS": "0"}
    assert dead_letter.body == body
    assert simulation.stop_calls() == []


@pytest.mark.parametrize(
    "body",
    [
        *(body for body, _ in REFUSED_BY_SCHEMA),
        '{"JobRunIds": ["jr_1"]}',
        '{"JobName": "", "JobRunIds": ["jr_1"]}',
        r'{"JobName": "e\ntl", "JobRunIds": ["jr_1"]}',
        '{"JobName": "etl", "JobRunIds": "jr_1"}',
        '{"JobName": "etl", "JobRunIds": []}',
        '{"JobName": "etl", "JobRunIds": ["jr_1", 2]}',
        '{"JobName": "etl", "JobRunIds": ["jr_1"], "DryRun": "true"}',
        r'{"JobName": "etl", "JobRunIds": ["jr_1"], "Reason": "over\u0007budget"}',
        '{"JobName": "etl", "JobRunIds": ["jr_1"], "AttemptsStartedBefore": "2026-11-24T03:00:00Z"}',
        '{"JobName": "etl", "Select": {}, "IncludeAttempts": true}',
        '{"JobName": "etl", "Select": {"State": ["RUNNING"]}}',
        '{"JobName": "etl", "Select": {"States": []}}',
        '{"JobName": "etl", "Select": {"Arguments": {}}}',
        '{"JobName": "etl", "Select": {"Arguments": {"--date": 20261123}}}',
        '{"JobName": "etl", "Select": {"Except": []}}',
        '{"JobName": "etl", "Select": {"OlderThanMinutes": 20000}}',
        '{"JobName": "etl", "Select": {"OlderThanMinutes": "60"}}',
        '["jr_1"]',
    ],
)
def test_schema_refuses_message(simulation: SimulatedAws, body: str) -> None:
    """A producer that validates its messages with the schema makes none of these mistakes."""
    assert not SCHEMA.is_valid(json.loads(body))
    assert isinstance(_parse(simulation, body), MessageResult)


@pytest.mark.parametrize("body", [body for body, _ in REFUSED[-3:]])
def test_schema_cannot_refuse_message(body: str) -> None:
    """Each message that only Gluebrake refuses is not JSON, or valid by the schema."""
    try:
        value = json.loads(body)
    except ValueError:
        return
    assert SCHEMA.is_valid(value)


def _fields(kind: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(kind)}


@pytest.mark.parametrize(
    ("heading", "names"),
    [
        ("Fields", _fields(StopRequest)),
        ("Runs by a selection", _fields(Selection)),
        ("On the stop and the confirm queue", {ATTEMPT, SENDER, STAGE, SUBMITTED_AT, VIA}),
        ("On the dead-letter queue", {"ERROR_CODE", "ERROR_MESSAGE", "RETRY_ATTEMPTS", VIA}),
    ],
)
def test_tables_are_complete(heading: str, names: set[str]) -> None:
    """The tables name every field and attribute of the code, and no other."""
    assert {text_of(first) for first, *_ in PAGE.rows(heading)} == names
