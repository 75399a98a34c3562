"""What is generated of the documents is as the code has it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from docs.generate import DOCS, GENERATED
from tests.docs.document import Document
from tests.support.fakes.exchange import Json
from tests.support.simulated_aws import World

SCHEMAS: Final = [name for name in GENERATED if name.startswith("schemas/")]
PICTURES: Final = sorted((DOCS / "pictures").glob("*.svg"))


def _schema(name: str) -> Json:
    schema: Json = json.loads((DOCS / name).read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return schema


@pytest.mark.parametrize("name", GENERATED)
def test_no_file_is_stale(name: str) -> None:
    """A generated file says what its generator says today; `make docs` writes it anew."""
    assert (DOCS / name).read_text() == GENERATED[name]()


@pytest.mark.parametrize("name", SCHEMAS)
def test_schema_tells_of_each_field_what_it_means(name: str) -> None:
    """No field of a schema is left to its name."""
    schema = _schema(name)
    for described in (schema, *schema["$defs"].values()):
        for field in described.get("properties", {}).values():
            assert "$ref" in field or field["description"].endswith(".")


def test_requests_are_closed_and_outcomes_open() -> None:
    """A misspelt field of a request is refused; one that an event gets tomorrow breaks nobody's reader."""
    request, outcome = map(_schema, ("schemas/stop-request.json", "schemas/stop-outcome.json"))
    assert request["additionalProperties"] is request["$defs"]["Selection"]["additionalProperties"] is False
    assert "additionalProperties" not in outcome


def test_events_of_every_kind_fit_the_schema(world: World) -> None:
    """What is published of runs that stop, cannot stop or are not there is what the schema says."""
    world.aws.glue.add_run("etl", "jr_1")
    world.aws.glue.add_run("etl", "done", state="SUCCEEDED")
    world.ask("etl", "jr_1", "done", "unknown", Reason="over budget", RequestedBy="guardrail")
    world.put('{"JobName": "etl", "Select": {"OlderThanMinutes": 60}}')
    world.run()
    validator = jsonschema.Draft202012Validator(_schema("schemas/stop-outcome.json"))
    outcomes = {detail["outcome"] for detail in world.aws.events.details if validator.is_valid(detail)}
    assert outcomes == {"Stopped", "AlreadyFinished", "NotFound", "NoActiveRuns"}
    assert not validator.is_valid({"jobName": "etl", "outcome": "Gone", "settledAt": "2026-11-24T03:00:00Z"})


def test_the_example_of_an_event_fits_the_schema() -> None:
    """The event that docs/outcomes.md shows has the detail that the schema describes, and no other member."""
    (example,) = [block.text for block in Document(DOCS / "outcomes.md").blocks if block.kind == "json"]
    schema, detail = _schema("schemas/stop-outcome.json"), json.loads(example)["detail"]
    assert jsonschema.Draft202012Validator(schema).is_valid(detail)
    assert detail.keys() <= schema["properties"].keys()


@pytest.mark.parametrize("file", PICTURES, ids=lambda file: file.name)
def test_picture_is_small_and_whole(file: Path) -> None:
    """A picture is well-formed, not large, and fetches nothing."""
    text = file.read_text()
    assert ET.fromstring(text).tag.endswith("svg")  # noqa: S314 - it is our own
    assert len(text.encode()) <= 40_000
    names = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert set(re.findall(r"https?://[^\s\"<]+", text)) <= names
