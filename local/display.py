"""The demo's output: the terminal, and a picture of it for the documentation."""

from __future__ import annotations

import contextlib
import io
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table

PICTURED: Final = frozenset({"Requests", "Runs", "Found by the policy", "Outcomes"})
"""The tables of the picture. They are the same each time, so that the picture is reproducible."""

WIDTH: Final = 74

PICTURE: Final = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="The demo">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; }}
.{unique_id}-title {{ font-family: system-ui, "DejaVu Sans", sans-serif; font-size: 18px; font-weight: bold; }}
{styles}
</style>
{chrome}
<g class="{unique_id}-matrix" transform="translate({terminal_x}, {terminal_y})">{matrix}</g>
</svg>
"""
"""Replaces Rich's format, which loads a font from the web and clips each piece of text."""


@dataclass(frozen=True, slots=True)
class Display:
    """The demo's output: tables, the time that each step took, and the differences from what is expected."""

    console: Console = field(default_factory=Console)
    picture: Console = field(default_factory=lambda: Console(record=True, width=WIDTH, file=io.StringIO()))
    steps: dict[str, float] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Show that a step is running, and measure its time."""
        began = time.monotonic()
        with self._progress(name):
            yield
        self.steps[name] = time.monotonic() - began

    def _progress(self, name: str) -> contextlib.AbstractContextManager[object]:
        """Show a spinner on a terminal. Elsewhere print a line, because a spinner would not appear."""
        if self.console.is_terminal:
            return self.console.status(f"{name} …")
        self.console.print(f"[dim]{name} …[/]")
        return contextlib.nullcontext()

    def table(self, title: str, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
        """Show a table."""
        self.show(table(title, columns, rows))

    def show(self, content: Table | str) -> None:
        """Show a table or a line of text. The picture gets every text, and the tables in `PICTURED`."""
        self.console.print(content)
        if isinstance(content, str) or content.title in PICTURED:
            self.picture.print(content)

    def draw(self, file: Path) -> None:
        """Write the picture."""
        svg = self.picture.export_svg(title="make demo", code_format=PICTURE, unique_id="demo")
        file.write_text(re.sub(r' clip-path="[^"]*"', "", svg))

    def compare(self, title: str, expected: Mapping[str, int], **found: Mapping[str, int]) -> None:
        """Show counts beside the expected ones, and record where they differ."""
        names = dict.fromkeys(name for counts in (expected, *found.values()) for name in counts)
        rows = {name: [counts.get(name, 0) for counts in (expected, *found.values())] for name in names}
        wrong = {name for name, counts in rows.items() if len(set(counts)) > 1}
        self.differences.extend(f"{title}: {name}" for name in rows if name in wrong)
        table_rows = [
            [name, *counts, "[red]no[/]" if name in wrong else "[green]yes[/]"] for name, counts in rows.items()
        ]
        self.table(title, ["", "expected", *found, "as expected"], table_rows)


def table(title: str, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> Table:
    """Return a table in the demo's style."""
    table = Table(title=title, title_justify="left", title_style="bold cyan", box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(str, row))
    return table
