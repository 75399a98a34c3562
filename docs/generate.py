"""Write the generated files of docs/: `python -m docs.generate`."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from docs.pictures import architecture
from docs.tables import TABLES
from gluebrake.contract import StopOutcome, StopRequest

DOCS: Final = Path(__file__).parent

_TABLE: Final = re.compile(r"(?P<start><!-- generated: (?P<name>\S+) -->).*?(?P<end><!-- end -->)", re.DOTALL)
_RUN_IDS_OR_SELECT: Final = {"oneOf": [{"required": ["JobRunIds"]}, {"required": ["Select"]}]}


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


def page(name: str) -> str:
    """Return a page with its tables as they are now.

    Each table is between `<!-- generated: NAME -->` and `<!-- end -->`.
    """
    return _TABLE.sub(
        lambda found: f"{found['start']}\n\n{TABLES[found['name']]()}\n\n{found['end']}",
        (DOCS / name).read_text(),
    )


GENERATED: Final[Mapping[str, Callable[[], str]]] = {
    "schemas/stop-request.json": lambda: schema(StopRequest, **_RUN_IDS_OR_SELECT),
    "schemas/stop-outcome.json": lambda: schema(StopOutcome),
    "pictures/architecture.svg": architecture.svg,
    "architecture.md": lambda: page("architecture.md"),
    "operations.md": lambda: page("operations.md"),
}
"""The function that returns each generated file, by the file's path in docs/."""


def main() -> None:
    """Write all generated files."""
    for name, generate in GENERATED.items():
        (DOCS / name).write_text(generate())


if __name__ == "__main__":
    main()
