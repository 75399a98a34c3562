"""Each promise of docs/reliability.md names a test that exists."""

from __future__ import annotations

import ast
from typing import Final

import pytest

from docs.generate import DOCS
from tests.docs.document import Document, text_of

PAGE: Final = Document(DOCS / "reliability.md")
TESTS: Final = DOCS.parent / "tests"
PROMISES: Final = [
    pytest.param(*text_of(row[column]).split("::"), id=text_of(row[0]))
    for heading, column in (("What is promised, and how it is attacked", 2), ("Security", 1))
    for row in PAGE.rows(heading)
]


@pytest.mark.parametrize(("file", "name"), PROMISES)
def test_promise_names_an_existing_test(file: str, name: str) -> None:
    """The cell of a promise's test is a function of a file in tests/."""
    tree = ast.parse((TESTS / file).read_text())
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_attacks_of_a_promise_are_in_the_table() -> None:
    """A promise names attacks that the page describes."""
    described = {name for row in PAGE.rows("The attacks") for name in text_of(row[0]).split(", ")}
    rows = PAGE.rows("What is promised, and how it is attacked")
    named = {name for row in rows for name in text_of(row[1]).split(", ")}
    assert named <= described | {"all", "drawn faults"}
