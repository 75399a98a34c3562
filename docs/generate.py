"""Write what is generated of the documents: `python -m docs.generate`."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from docs.pictures import architecture
from gluebrake.contract import StopOutcome, StopRequest

DOCS: Final = Path(__file__).parent

_EITHER: Final = {"oneOf": [{"required": ["JobRunIds"]}, {"required": ["Select"]}]}


def schema(kind: type, **rules: Any) -> str:
    """Return the JSON Schema of a type as a document; `rules` are those that no type tells."""
    (root,), components = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    for component in components.values():
        # Python keeps a docstring's indentation before 3.13.
        component["description"] = inspect.cleandoc(component["description"])
    said = components.pop(root["$ref"].rpartition("/")[2])
    more = {"$defs": components} if components else {}
    document = {"$schema": "https://json-schema.org/draft/2020-12/schema", **said, **rules, **more}
    return json.dumps(document, indent=2) + "\n"


GENERATED: Final[Mapping[str, Callable[[], str]]] = {
    "schemas/stop-request.json": lambda: schema(StopRequest, **_EITHER),
    "schemas/stop-outcome.json": lambda: schema(StopOutcome),
    "pictures/architecture.svg": architecture.svg,
}
"""What writes each file that is generated, by its path in docs/."""


def main() -> None:
    """Write every file."""
    for name, text in GENERATED.items():
        (DOCS / name).write_text(text())


if __name__ == "__main__":
    main()
