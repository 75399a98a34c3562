"""The examples of docs/requests.md, run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import jsonschema
import msgspec
import pytest

from docs.generate import DOCS
from gluebrake.contract import ATTEMPT, SENDER, SUBMITTED_AT
from gluebrake.handlers import stop
from gluebrake.model import Invalid, Message, ParsedRequest
from gluebrake.parsing import dispatcher
from gluebrake.parsing.stop_request import FIELDS
from tests.docs.document import Document, text_of
from tests.support.fakes.clock import VirtualClock
from tests.support.fakes.faults import Throttle
from tests.support.simulated_aws import STOP, World

NOW: Final = VirtualClock()()
SCHEMA: Final = jsonschema.Draft202012Validator(
    json.loads((DOCS / "schemas" / "stop-request.json").read_text())
)
PAGE: Final = Document(DOCS / "requests.md")


@dataclass(frozen=True)
class Example:
    """A request, and what the page says of it: by the kind of block, `stops` for the runs that are named."""

    request: str
    said: Mapping[str, list[Any]]


def _examples() -> Iterator[Example]:
    said: dict[str, list[Any]] = {}
    for block in PAGE.blocks:
        if block.kind == "json request":
            yield Example(block.text, said := {})
        elif block.kind.startswith("json "):
            said.setdefault(block.kind.removeprefix("json "), []).append(json.loads(block.text))
        elif stops := re.match(r"and stops (.*?)\.", block.text):
            said["stops"] = re.findall(r"`(.*?)`", stops[1])


EXAMPLES: Final = list(_examples())
QUEUES: Final = ("stop-queue", "confirm-queue", "dead-letter")


def _with(*kinds: str) -> pytest.MarkDecorator:
    chosen = [one for one in EXAMPLES if not one.said.keys().isdisjoint(kinds)]
    assert chosen, f"the page has no example of {kinds}"
    return pytest.mark.parametrize("example", chosen, ids=lambda one: one.request)


@pytest.fixture
def world() -> Iterator[World]:
    """Set up what the page says there is."""
    with World(jobs=["nightly-*", "hourly-*"], max_runs_per_request=3) as world:
        for run_id, hours, state in (("jr_1", 1, "RUNNING"), ("jr_2", 3, "RUNNING"), ("jr_3", 9, "SUCCEEDED")):
            started_on = NOW - timedelta(hours=hours)
            world.aws.glue.add_run("nightly-etl", run_id, state=state, started_on=started_on)
        for run_id in ("jr_1", "jr_2"):
            world.aws.glue.add_run("hourly-report", run_id)
        world.aws.faults.add(Throttle(), when=lambda call: call.parameters.get("JobName") == "hourly-report")
        yield world


def _read(world: World, body: str) -> ParsedRequest | Invalid:
    read = dispatcher.read(Message("m-1", body, NOW, "me"), world.parts[STOP].aws_environment)
    assert isinstance(read, ParsedRequest | Invalid)
    return read


def _carried_out(world: World, body: str) -> Any:
    read = _read(world, body)
    assert isinstance(read, ParsedRequest), read.why
    return json.loads(msgspec.json.encode(read.request))


@_with("read")
def test_a_request_is_carried_out_as_it_says(world: World, example: Example) -> None:
    """What arrives is read as the request that the page shows, which the schema takes."""
    (meant,) = example.said["read"]
    assert _carried_out(world, example.request) == meant
    assert SCHEMA.is_valid(meant)


@pytest.mark.parametrize(
    "example", [one for one in EXAMPLES if "read" not in one.said], ids=lambda one: one.request
)
def test_a_request_means_itself(world: World, example: Example) -> None:
    """What the page shows no other reading of is read as it stands, or it shows how that is refused."""
    value = json.loads(example.request)
    read = _read(world, example.request)
    assert SCHEMA.is_valid(value) is isinstance(read, ParsedRequest)
    assert isinstance(read, ParsedRequest) or example.said.keys() & {"answer", "dead-letter"}
    if isinstance(read, ParsedRequest) and "Select" not in value:
        assert _carried_out(world, example.request) == value


@_with("stops")
def test_a_request_stops_the_runs_that_it_says(world: World, example: Example) -> None:
    """The runs that the page names are stopped, and no others."""
    world.put(example.request)
    world.deliver_due(STOP)
    ((_, run_ids),) = world.stop_calls()
    assert sorted(run_ids) == example.said["stops"]


@_with("answer")
def test_the_function_answers_as_it_says(world: World, example: Example) -> None:
    """Who invokes the function with the example is answered with what the page shows."""
    answer = stop.handler(json.loads(example.request), world.context, world.parts[STOP])
    assert [answer] == example.said["answer"]


@_with(*QUEUES)
def test_a_request_leads_to_the_messages_that_it_says(world: World, example: Example) -> None:
    """The messages that the page shows are sent, with these attributes, and no others."""
    world.put(example.request)
    world.deliver_due(STOP)
    queues = dict(zip(QUEUES, (world.stop_queue, world.confirm_queue, world.dead_letter_queue), strict=True))
    sent = {name: [_shown(message.body, message.attributes) for message in q] for name, q in queues.items()}
    assert {name: shown for name, shown in sent.items() if shown} == {
        name: said for name, said in example.said.items() if name in QUEUES
    }


def _shown(body: str, attributes: Mapping[str, Any]) -> dict[str, Any]:
    assert {attribute["DataType"] for attribute in attributes.values()} == {"String"}
    texts = {name: attribute["StringValue"] for name, attribute in attributes.items()}
    return {"Body": json.loads(body), "Attributes": texts}


def _refused(heading: str) -> list[tuple[str, str]]:
    return [(text_of(message), text_of(why)) for message, why in PAGE.rows(heading)]


BY_THE_SCHEMA: Final = _refused("What the schema refuses too")
BY_US_ALONE: Final = _refused("What only Gluebrake refuses")


@pytest.mark.parametrize(("body", "why"), [*BY_THE_SCHEMA, *BY_US_ALONE])
def test_what_is_refused_is_explained_in_these_words(world: World, body: str, why: str) -> None:
    """A message of the tables stops nothing, and its dead letter says what stands beside it."""
    world.put(body)
    world.deliver_due(STOP)
    (letter,) = world.dead_letter_queue
    texts = {name: attribute["StringValue"] for name, attribute in letter.attributes.items()}
    assert texts == {"ERROR_CODE": "InvalidRequest", "ERROR_MESSAGE": why, "RETRY_ATTEMPTS": "0"}
    assert letter.body == body
    assert world.stop_calls() == []


@pytest.mark.parametrize(("body", "why"), BY_THE_SCHEMA)
def test_the_schema_refuses_it_too(body: str, why: str) -> None:
    """A producer that holds its messages against the schema makes none of these mistakes."""
    assert not SCHEMA.is_valid(json.loads(body)), why


@pytest.mark.parametrize(("body", "why"), BY_US_ALONE)
def test_the_schema_cannot_know(body: str, why: str) -> None:
    """What the page calls our rule alone is no JSON, an event around a request, or valid by the schema."""
    try:
        value = json.loads(body)
    except ValueError:
        return
    assert "detail-type" in value or SCHEMA.is_valid(value), why


@pytest.mark.parametrize(
    ("heading", "names"),
    [
        ("Fields", set(FIELDS[""])),
        ("Runs by a selection", set(FIELDS["Select"])),
        ("On the stop and the confirm queue", {ATTEMPT, SENDER, SUBMITTED_AT}),
        ("On the dead-letter queue", {"ERROR_CODE", "ERROR_MESSAGE", "RETRY_ATTEMPTS"}),
    ],
)
def test_the_tables_name_all_there_is(heading: str, names: set[str]) -> None:
    """A field or an attribute that the code has stands in its table, and none that it has not."""
    assert {text_of(first) for first, *_ in PAGE.rows(heading)} == names
