"""The demo's output: the terminal, and a picture of the story for the documentation."""

from __future__ import annotations

import contextlib
import io
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.spinner import Spinner
from rich.table import Table
from rich.terminal_theme import TerminalTheme

from local.expectations import Comparison

WIDTH: Final = 80
"""The columns of the story, which is the width of the narrowest common terminal."""

MARGIN: Final = 1
"""The empty columns and lines on each side of the story in the picture."""

THEME: Final = TerminalTheme(
    background=(13, 17, 23),
    foreground=(201, 209, 217),
    normal=[
        (13, 17, 23),
        (248, 81, 73),
        (63, 185, 80),
        (227, 179, 65),
        (88, 166, 255),
        (188, 140, 255),
        (86, 212, 221),
        (201, 209, 217),
    ],
    bright=[(240, 246, 252)] * 8,
)
"""The picture's colours: black, red, green, yellow, blue, magenta, cyan and white. Bright ones are white."""

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
"""The format of the picture. Rich's own format loads a font from the web and clips each piece of text."""

Update = Callable[[RenderableType], None]
"""A function that shows the current state of a step in place of the previous state."""


def _console() -> Console:
    return Console(highlight=False)


def _picture() -> Console:
    picture = Console(record=True, width=WIDTH + 2 * MARGIN, file=io.StringIO(), highlight=False)
    picture.line(MARGIN)
    return picture


@dataclass(frozen=True, slots=True)
class Display:
    """The demo's output, and the time that each step took."""

    console: Console = field(default_factory=_console)
    picture: Console = field(default_factory=_picture)
    steps: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def step(self, name: str, indent: int = 0) -> Iterator[Update]:
        """Show that a step is running, and measure its time."""
        began = time.monotonic()
        with self._progress(name, indent) as update:
            yield update
        self.steps[name] = time.monotonic() - began

    @contextlib.contextmanager
    def _progress(self, name: str, indent: int) -> Iterator[Update]:
        """Show a spinner on a terminal. For other outputs print a line, because printed text cannot change."""
        if not self.console.is_terminal:
            self.console.print(f"{' ' * indent}{name} …", style="dim")
            yield lambda _: None
            return
        spinner = Padding.indent(Spinner("dots", text=f"{name} …", style="green"), indent)
        with Live(spinner, console=self.console, transient=True) as live:
            yield lambda content: live.update(Group(content, spinner))

    def show(self, *contents: RenderableType) -> None:
        """Show a part of the story, on the terminal and in the picture."""
        self.console.print(*contents, sep="\n")
        self.picture.print(*(Padding.indent(content, MARGIN) for content in contents), sep="")

    def table(self, title: str, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
        """Show a table of details, on the terminal only."""
        table = Table(title=title, title_justify="left", title_style="bold cyan", box=box.SIMPLE_HEAD)
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*map(str, row))
        self.console.print(table)

    def compare(self, comparison: Comparison) -> None:
        """Show expected counts next to the observed counts."""
        wrong = comparison.differences
        rows = [
            [name, *counts, "[red]no[/]" if name in wrong else "[green]yes[/]"]
            for name, counts in comparison.rows.items()
        ]
        self.table(comparison.title, ["", "expected", *comparison.found, "as expected"], rows)

    def draw(self, file: Path) -> None:
        """Write the picture."""
        self.picture.line(MARGIN)
        svg = self.picture.export_svg(title="make demo", theme=THEME, code_format=PICTURE, unique_id="demo")
        file.write_text(re.sub(r' clip-path="[^"]*"', "", svg))
