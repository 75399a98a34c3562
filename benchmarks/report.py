"""What a benchmark tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Target:
    """A figure to reach."""

    what: str
    limit: str
    measured: str
    met: bool


@dataclass(frozen=True, kw_only=True)
class Table:
    """Figures in rows; `note` stands below them."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A picture, kept as docs/pictures/bench-<name>.svg."""

    name: str
    caption: str
    x_label: str
    y_label: str
    series: Mapping[str, Sequence[tuple[float, float]]]
    """By label: the points."""
    spread: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)
    """By label: the lowest and the highest value at each point."""
    kind: Literal["line", "bar"] = "line"
    log_x: bool = False
    log_y: bool = False


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was compared, and what came out; `text` is Markdown."""

    title: str
    text: str
    tables: Sequence[Table]
    plots: Sequence[Plot] = ()
    targets: Sequence[Target] = ()
