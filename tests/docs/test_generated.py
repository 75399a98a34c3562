"""Tests of the generated files in docs/."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from docs.generate import DOCS, GENERATED
from docs.tables import TABLES
from tests.docs.document import Document
from tests.support.fakes.exchange import Json
from tests.support.simulated_aws import SimulatedAws

SCHEMAS: Final = [name for name in GENERATED if name.startswith("schemas/")]
PICTURES: Final = sorted((DOCS / "pictures").glob("*.svg"))


def _schema(name: str) -> Json:
    schema: Json = json.loads((DOCS / name).read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return schema


@pytest.mark.parametrize("name", GENERATED)
def test_generated_file_is_current(name: str) -> None:
    """Each committed file equals its generator's output; `make docs` writes it."""
    assert (DOCS / name).read_text() == GENERATED[name]()


def test_each_table_is_in_one_page() -> None:
    """No page lost the markers of a generated table, and no two pages have the same table."""
    marked = [
        n for page in DOCS.glob("*.md") for n in re.findall(r"<!-- generated: (.*) -->", page.read_text())
    ]
    assert sorted(marked) == sorted(TABLES)


@pytest.mark.parametrize("name", SCHEMAS)
def test_schema_describes_each_field(name: str) -> None:
    """Each field of a schema has a description that is a sentence."""
    schema = _schema(name)
    for definition in (schema, *schema["$defs"].values()):
        for field in definition.get("properties", {}).values():
            assert "$ref" in field or field["description"].endswith(".")


def test_only_requests_refuse_unknown_fields() -> None:
    """A misspelt field of a request is refused. A later version can add fields to the outcome event."""
    request, outcome = map(_schema, ("schemas/stop-request.json", "schemas/stop-outcome.json"))
    assert request["additionalProperties"] is request["$defs"]["Selection"]["additionalProperties"] is False
    assert "additionalProperties" not in outcome


def test_outcome_events_match_the_schema(simulation: SimulatedAws) -> None:
    """The events of runs that stop, cannot stop or do not exist are valid."""
    simulation.aws.glue.add_run("etl", "jr_1")
    simulation.aws.glue.add_run("etl", "done", state="SUCCEEDED")
    simulation.request_stop("etl", "jr_1", "done", "unknown", Reason="over budget", RequestedBy="guardrail")
    simulation.put('{"JobName": "etl", "Select": {"OlderThanMinutes": 60}}')
    simulation.run()
    validator = jsonschema.Draft202012Validator(_schema("schemas/stop-outcome.json"))
    outcomes = {detail["outcome"] for detail in simulation.aws.events.details if validator.is_valid(detail)}
    assert outcomes == {"Stopped", "AlreadyFinished", "NotFound", "NoActiveRuns"}
    assert not validator.is_valid({"jobName": "etl", "outcome": "Gone", "settledAt": "2026-11-24T03:00:00Z"})


def test_example_event_matches_the_schema() -> None:
    """The detail of the event in docs/outcomes.md is valid, and has only fields of the schema."""
    (example,) = [block.text for block in Document(DOCS / "outcomes.md").blocks if block.kind == "json"]
    schema, detail = _schema("schemas/stop-outcome.json"), json.loads(example)["detail"]
    assert jsonschema.Draft202012Validator(schema).is_valid(detail)
    assert detail.keys() <= schema["properties"].keys()


@pytest.mark.parametrize("file", PICTURES, ids=lambda file: file.name)
def test_picture_is_small_and_self_contained(file: Path) -> None:
    """A picture is well-formed and small, and loads no other resource."""
    text = file.read_text()
    assert ET.fromstring(text).tag.endswith("svg")  # noqa: S314 - the file is from this repository
    assert len(text.encode()) <= 40_000
    names = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert set(re.findall(r"https?://[^\s\"<]+", text)) <= names
