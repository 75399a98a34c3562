"""Records: no id is wrapped, and a row is one line if it fits."""

from __future__ import annotations

import io
from typing import Final

import pytest
from rich.console import Console
from rich.text import Text

from gluebrake_cli.records import Records

RUN_ID: Final = f"jr_{'0123456789abcdef' * 4}"
NOTE: Final = "reason: over budget"


def _shown(
    width: int, *, terminal: bool, note: str = NOTE, run_id: str = RUN_ID, note_lines: int | None = None
) -> list[str]:
    file = io.StringIO()
    rows = [[Text(run_id), Text(), Text("STOPPED")], [Text("jr_2"), Text(), Text("RUNNING")]]
    records = Records(["run", "job", "state"], rows, [Text(note), Text()], note_lines)
    console = Console(file=file, width=width, force_terminal=terminal, color_system=None)
    console.print(records, crop=False)
    return file.getvalue().splitlines()


def test_a_row_that_fits_is_one_line() -> None:
    """Columns are aligned, and an empty column is left out."""
    assert _shown(120, terminal=True) == [
        f"{'run':<67}  state",
        f"{RUN_ID}  STOPPED  {NOTE}",
        f"{'jr_2':<67}  RUNNING",
    ]


@pytest.mark.parametrize("width", [40, 80, 96])
def test_an_id_has_a_line_of_its_own_where_the_terminal_is_narrow(width: int) -> None:
    """The line is longer than a very narrow terminal, which may wrap it: no line break is in the id."""
    assert [line.rstrip() for line in _shown(width, terminal=True)] == [
        "run",
        "  state",
        RUN_ID,
        "  STOPPED",
        f"  {NOTE}",
        "jr_2",
        "  RUNNING",
    ]


def test_rows_are_plain_lines_if_the_output_is_no_terminal() -> None:
    """`grep` finds the whole row by the id, whatever the width."""
    lines = _shown(20, terminal=False)
    assert [line for line in lines if RUN_ID in line] == [f"{RUN_ID}  STOPPED  {NOTE}"]


def test_a_row_without_an_id_has_no_empty_line() -> None:
    """A message that cannot be read is of no run."""
    assert "" not in [line.strip() for line in _shown(20, terminal=True, run_id="")]


def test_a_long_note_is_wrapped_below_its_row() -> None:
    """Only ids are kept whole."""
    lines = _shown(80, terminal=True, note="word " * 30)
    assert max(map(len, lines)) <= 80
    assert sum(line.startswith("  word") for line in lines) == 2


def test_a_note_can_be_limited() -> None:
    """The ellipsis says that there is more. A plain line has all of it."""
    note = "word " * 40
    lines = _shown(40, terminal=True, note=note, note_lines=2)
    assert [line.rstrip() for line in lines if "word" in line][1:] == [f"  {'word ' * 6}wor…"]
    assert note.strip() in _shown(40, terminal=False, note=note, note_lines=2)[1]


def test_no_row_is_no_line() -> None:
    """There are no names of columns without a row."""
    file = io.StringIO()
    Console(file=file).print(Records(["run"], []))
    assert file.getvalue() == ""
