"""Which module may import which: one way, and AWS only at the edges."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

import gluebrake

SOURCE: Final = Path(gluebrake.__file__).parent
AWS: Final = frozenset({"boto3", "botocore", "aws_lambda_powertools"})

# Each layer may import those below it; within one, nobody imports a neighbour.
LAYERS: Final = (
    {"stop", "confirm"},
    {"invocation"},
    {
        "announcing",
        "answering",
        "events",
        "glue",
        "onward",
        "planning",
        "queues",
        "reading",
        "selecting",
        "settings",
        "settling",
        "telemetry",
    },
    {"model"},
)
PURE: Final = (
    "announcing",
    "answering",
    "model",
    "onward",
    "planning",
    "reading",
    "selecting",
    "settings",
    "settling",
)
TALKS_TO_AWS: Final = {
    "events": {"botocore"},
    "glue": {"botocore"},
    "invocation": {"boto3", "botocore"},
    "telemetry": {"aws_lambda_powertools"},
}


def _files() -> dict[str, list[Path]]:
    """Return the files of each part of the package, by the name of the module or of the subpackage."""
    files: dict[str, list[Path]] = {}
    for file in sorted(SOURCE.rglob("*.py")):
        files.setdefault(file.relative_to(SOURCE).with_suffix("").parts[0], []).append(file)
    return files


FILES: Final = _files()
PARTS: Final = sorted(FILES.keys() - {"__init__"})


def _imports(part: str) -> Iterator[str]:
    """Yield the dotted names that a part imports; those for the type checker alone do not count."""
    for file in FILES[part]:
        tree = ast.parse(file.read_text())
        unchecked = {id(node) for block in ast.walk(tree) if _is_for_types(block) for node in ast.walk(block)}
        for node in ast.walk(tree):
            if id(node) in unchecked:
                continue
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{file}: a relative import"
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _ours(part: str) -> set[str]:
    names = (name.split(".") for name in _imports(part))
    return {name[1] for name in names if name[0] == "gluebrake" and name[1] != part}


def test_each_part_stands_in_exactly_one_layer() -> None:
    """A new module is given its place in the layers, so that no import of it goes unseen."""
    assert sorted(name for layer in LAYERS for name in layer) == PARTS


@pytest.mark.parametrize("part", PARTS)
def test_imports_point_one_way(part: str) -> None:
    """A part imports parts of lower layers only, so that there is no cycle."""
    layer = next(index for index, layer in enumerate(LAYERS) if part in layer)
    below = set().union(*LAYERS[layer + 1 :])
    assert _ours(part) <= below


@pytest.mark.parametrize("part", PARTS)
def test_aws_libraries_stay_at_the_edges(part: str) -> None:
    """Only the adapters, telemetry and the place that creates the clients import an AWS library."""
    used = {name.split(".")[0] for name in _imports(part)} & AWS
    assert used == TALKS_TO_AWS.get(part, set())


def test_deciding_is_pure() -> None:
    """No part that decides is among those that may talk to AWS, whatever that table comes to hold."""
    assert not TALKS_TO_AWS.keys() & set(PURE)


def test_importing_a_handler_creates_no_client() -> None:
    """A handler can be imported without an environment, a Region or credentials: it wires nothing."""
    _run("import boto3; boto3.client = None; import gluebrake.stop, gluebrake.handlers.confirm")


def test_what_decides_loads_no_aws_library() -> None:
    """The pure parts load none by a detour either."""
    modules = ", ".join(f"gluebrake.{part}" for part in PURE)
    _run(f"import sys, {modules}; assert not {set(AWS)!r} & sys.modules.keys()")


def _run(program: str) -> None:
    subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": str(SOURCE.parent)}, check=True)
