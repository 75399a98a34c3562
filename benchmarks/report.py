"""The result of a benchmark: text, tables, plots and targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Target:
    """A limit, and the measured value that is compared with it."""

    figure: str
    limit: str
    measured: str
    met: bool


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of figures. `note` is printed below them."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A picture, saved as docs/pictures/bench-<name>.svg."""

    name: str
    title: str
    """What the picture shows, for a reader who has not read the text."""
    x_label: str
    y_label: str
    series: Mapping[str, Sequence[tuple[float, float]]]
    """The points of each label; exactly one for a bar."""
    spread: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)
    """The lowest and highest value at each point, by label."""
    kind: Literal["line", "bar"] = "line"
    log_x: bool = False
    log_y: bool = False


@dataclass(frozen=True, kw_only=True)
class Report:
    """One section of docs/performance.md. `text` is Markdown."""

    title: str
    text: str
    tables: Sequence[Table]
    details: Sequence[Table] = ()
    """Tables that the command prints and the page leaves out."""
    plots: Sequence[Plot] = ()
    targets: Sequence[Target] = ()
