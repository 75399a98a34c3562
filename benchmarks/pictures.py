"""Draw plots as small SVG pictures that are readable on a white page and on a dark one."""

from __future__ import annotations

import re
from itertools import cycle
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from benchmarks.report import Plot

# Medium lightness has contrast with both white and black.
_GREY: Final = "#808488"
_COLOURS: Final = ("#2f7ed8", "#d9542b", "#2a9d5c", "#a05bc4", "#b8860b")
_MARKERS: Final = ("o", "s", "^", "D")
_LABELS_IN_A_ROW: Final = 2
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
    "svg.fonttype": "none",  # text is not converted to paths
    "svg.hashsalt": "gluebrake",  # the same plot gives the same file
    "text.color": _GREY,
    "xtick.color": _GREY,
    "ytick.color": _GREY,
}


def draw(plot: Plot, directory: Path) -> Path:
    """Draw the plot into the directory and return the file."""
    path = directory / f"bench-{plot.name}.svg"
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(7, 3.6), layout="constrained")
        axes = figure.add_subplot()
        axes.set_xlabel(plot.x_label)
        axes.set_ylabel(plot.y_label)
        figure.suptitle(plot.title, fontsize=11)
        axes.grid(visible=True, axis="both" if plot.kind == "line" else "y")
        axes.set_axisbelow(True)
        {"line": _draw_lines, "bar": _draw_bars}[plot.kind](axes, plot)
        _scale(axes, plot)
        directory.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, transparent=True, metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    # Browsers do not need the document type, and its URL is an outside reference.
    path.write_text(re.sub(r"<!DOCTYPE[^>]*>\s*", "", path.read_text()))
    return path


def _draw_lines(axes: Any, plot: Plot) -> None:
    styles = zip(cycle(_COLOURS), cycle(_MARKERS), strict=False)
    for (label, points), (colour, marker) in zip(plot.series.items(), styles, strict=False):
        xs, ys = zip(*points, strict=True)
        axes.plot(xs, ys, color=colour, marker=marker, markersize=4, label=label)
        if spread := plot.spread.get(label):
            axes.fill_between(xs, *zip(*spread, strict=True), color=colour, alpha=0.2, linewidth=0)
    # More than two long labels in a row are wider than the picture.
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=min(len(plot.series), _LABELS_IN_A_ROW))


def _draw_bars(axes: Any, plot: Plot) -> None:
    """Draw a bar for each label, with its spread and its value."""
    for place, ((label, points), colour) in enumerate(zip(plot.series.items(), cycle(_COLOURS), strict=False)):
        ((_, height),) = points
        ((low, high),) = plot.spread[label]
        error = [[height - low], [high - height]]
        axes.bar(place, height, 0.9, color=colour, yerr=error, ecolor=_GREY, capsize=3)
        axes.annotate(f"{height:,.0f}", (place, high), (0, 3), textcoords="offset points", ha="center")
    axes.set_xticks(range(len(plot.series)), [label.replace(", ", ",\n") for label in plot.series])


def _scale(axes: Any, plot: Plot) -> None:
    """Start a linear y axis at zero, and write plain numbers on a logarithmic axis."""
    if plot.log_x:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.8g}"))
    if plot.log_y:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.8g}"))
    else:
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
