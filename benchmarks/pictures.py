"""Plots as small SVG pictures that can be read on a white page and on a dark one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from benchmarks.report import Plot

# Of middling lightness: as far from white as from black.
_GREY: Final = "#808488"
_COLOURS: Final = ("#2f7ed8", "#d9542b", "#2a9d5c", "#a05bc4", "#b8860b", "#5f7d95")
_MARKS: Final = ("o", "s", "^", "D", "v", "P")
_STYLE: Final = {
    "axes.edgecolor": _GREY,
    "axes.labelcolor": _GREY,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.family": "sans-serif",
    "font.size": 10,
    "grid.alpha": 0.35,
    "grid.color": _GREY,
    "legend.frameon": False,
    "legend.labelcolor": _GREY,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "gluebrake",  # the same picture is the same file
    "text.color": _GREY,
    "xtick.color": _GREY,
    "ytick.color": _GREY,
}
_BARS_TAKE: Final = 0.8


def draw(plot: Plot, directory: Path) -> Path:
    """Draw the plot into the directory, and return its file."""
    path = directory / f"bench-{plot.name}.svg"
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(7, 3.6), layout="constrained")
        axes = figure.add_subplot()
        axes.set_xlabel(plot.x_label)
        axes.set_ylabel(plot.y_label)
        axes.grid(visible=True, axis="both" if plot.kind == "line" else "y")
        axes.set_axisbelow(True)
        {"line": _lines, "bar": _bars}[plot.kind](axes, plot)
        directory.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, transparent=True, metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    # A document type that no page needs.
    path.write_text(re.sub(r"<!DOCTYPE[^>]*>\s*", "", path.read_text()))
    return path


def _lines(axes: Any, plot: Plot) -> None:
    for (label, points), colour, mark in zip(plot.series.items(), cycle(_COLOURS), cycle(_MARKS), strict=False):
        xs, ys = zip(*points, strict=True)
        axes.plot(xs, ys, color=colour, marker=mark, markersize=4, label=label)
        if spread := plot.spread.get(label):
            axes.fill_between(xs, *zip(*spread, strict=True), color=colour, alpha=0.2, linewidth=0)
    _scale(axes, plot)
    _legend(axes, len(plot.series))


def _scale(axes: Any, plot: Plot) -> None:
    """Let a linear axis of values begin at nothing, and write plain numbers on a logarithmic one."""
    if plot.log_x and plot.kind == "line":
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.8g}"))
    if plot.log_y:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.8g}"))
    else:
        axes.set_ylim(bottom=0)


def _legend(axes: Any, columns: int) -> None:
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=columns)


def _bars(axes: Any, plot: Plot) -> None:
    """Draw a group of bars for each x; with one x only, name the bars instead."""
    places = sorted({x for points in plot.series.values() for x, _ in points})
    width = _BARS_TAKE / len(plot.series)
    for index, ((label, points), colour) in enumerate(zip(plot.series.items(), cycle(_COLOURS), strict=False)):
        aside = (index - (len(plot.series) - 1) / 2) * width
        at = [places.index(x) + aside for x, _ in points]
        heights = [y for _, y in points]
        reach = _reach(heights, plot.spread.get(label, ()))
        axes.bar(at, heights, width * 0.9, color=colour, label=label, yerr=reach, ecolor=_GREY, capsize=3)
        if len(places) == 1:
            top = heights[0] + (reach[1][0] if reach else 0)
            axes.annotate(f"{heights[0]:,.3g}", (at[0], top), (0, 3), textcoords="offset points", ha="center")
    if len(places) == 1:
        middles = [(index - (len(plot.series) - 1) / 2) * width for index in range(len(plot.series))]
        axes.set_xticks(middles, [label.replace(", ", ",\n") for label in plot.series])
    else:
        axes.set_xticks(range(len(places)), [f"{place:,g}" for place in places])
        _legend(axes, len(plot.series))
    _scale(axes, plot)


def _reach(heights: Sequence[float], spread: Sequence[tuple[float, float]]) -> list[list[float]] | None:
    """Return how far each bar's spread goes below and above its height."""
    if not spread:
        return None
    pairs = list(zip(heights, spread, strict=True))
    return [[height - low for height, (low, _) in pairs], [high - height for height, (_, high) in pairs]]
