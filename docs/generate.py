"""Write the generated files of docs/: `python -m docs.generate`."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from docs import tour
from docs.pictures import architecture
from docs.policy_fields import FIELDS
from docs.tables import TABLES
from gluebrake.contract import StopOutcome, StopRequest
from gluebrake.policies import Policy
from gluebrake.sweep_contract import SweepReport

DOCS: Final = Path(__file__).parent

_TABLE: Final = re.compile(r"(?P<start><!-- generated: (?P<name>\S+) -->).*?(?P<end><!-- end -->)", re.DOTALL)
_WITH_ATTEMPTS: Final = {"properties": {"IncludeAttempts": {"const": True}}, "required": ["IncludeAttempts"]}
_RULES_OF_A_REQUEST: Final = {
    "oneOf": [{"required": ["JobRunIds"]}, {"required": ["Select"]}],
    "allOf": [
        {"if": _WITH_ATTEMPTS, "then": {"required": ["JobRunIds"]}},
        {"if": {"required": ["AttemptsStartedBefore"]}, "then": _WITH_ATTEMPTS},
    ],
}


def schema(kind: type, **rules: Any) -> str:
    """Return the JSON Schema of a type as text, with additional `rules` that the type cannot express."""
    (root,), components = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    for component in components.values():
        # Before Python 3.13 a docstring keeps its indentation.
        component["description"] = inspect.cleandoc(component["description"])
    described = components.pop(root["$ref"].rpartition("/")[2])
    definitions = {"$defs": components} if components else {}
    document = {"$schema": "https://json-schema.org/draft/2020-12/schema", **described, **rules, **definitions}
    return json.dumps(document, indent=2) + "\n"


def policies_schema() -> str:
    """Return the JSON Schema of the key `policies` as text. Each field has its meaning and its rule."""
    (root,), components = msgspec.json.schema_components([tuple[Policy, ...]], ref_template="#/$defs/{name}")
    policy = components["Policy"]
    meanings = {name: field.meaning for field in FIELDS for name in field.names}
    for name, field in policy["properties"].items():
        field["description"] = f"{_sentence(meanings[name])} Allowed: {field['description']}."
    policy["anyOf"] = [{"required": ["schedule"]}, {"required": ["onSignal"]}]
    document = {"$schema": "https://json-schema.org/draft/2020-12/schema", **root, "$defs": components}
    # In JavaScript's regular expressions, `$` ends a text and `\Z` is a letter.
    return json.dumps(document, indent=2, ensure_ascii=False).replace(r"\\Z", "$") + "\n"


def _sentence(meaning: str) -> str:
    """Return a meaning without links, as a sentence."""
    text = re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", meaning)
    return f"{text[0].upper()}{text[1:]}."


def page(name: str) -> str:
    """Return a page with its tables as they are now.

    Each table is between `<!-- generated: NAME -->` and `<!-- end -->`.
    """
    return _TABLE.sub(
        lambda found: f"{found['start']}\n\n{TABLES[found['name']]()}\n\n{found['end']}",
        (DOCS / name).read_text(),
    )


GENERATED: Final[Mapping[str, Callable[[], str]]] = {
    "schemas/stop-request.json": lambda: schema(StopRequest, **_RULES_OF_A_REQUEST),
    "schemas/stop-outcome.json": lambda: schema(StopOutcome),
    "schemas/sweep-report.json": lambda: schema(SweepReport),
    "schemas/policies.json": policies_schema,
    "pictures/architecture.svg": architecture.svg,
    "architecture.md": lambda: page("architecture.md"),
    "configuration.md": lambda: page("configuration.md"),
    "operations.md": lambda: page("operations.md"),
    "policies.md": lambda: page("policies.md"),
    "tour.md": lambda: tour.numbered((DOCS / "tour.md").read_text()),
}
"""The function that returns each generated file, by the file's path in docs/."""


def main() -> None:
    """Write all generated files."""
    for name, generate in GENERATED.items():
        (DOCS / name).write_text(generate())


if __name__ == "__main__":
    main()
