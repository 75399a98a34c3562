"""JSON output has the same values as the input, and no control sequence for a terminal."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from gluebrake_cli.output import as_json


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_json_is_printable_ascii_and_loses_nothing(text: str) -> None:
    """Control characters and other characters beyond ASCII are escaped."""
    written = as_json({"body": text})
    assert written.isascii()
    assert all(char.isprintable() or char == "\n" for char in written)
    assert json.loads(written) == {"body": text}
