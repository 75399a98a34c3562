"""Write docs/performance.md: a table of all targets, then a section for each benchmark."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from benchmarks.report import Plot, Report, Table, Target

INTRODUCTION: Final = """\
# Performance

For engineers who choose a profile, or who ask what Gluebrake costs in time, calls and money.

`make bench` measures these figures, writes this page, and prints further tables. Times depend on the machine,
so compare ratios. Counts do not."""

_PACKAGES: Final = ("aws-lambda-powertools", "botocore", "msgspec")


def page(reports: Sequence[Report], machine: str) -> str:
    """Return the page as Markdown."""
    targets = [target for report in reports for target in report.targets]
    blocks = [INTRODUCTION, machine, "## Targets", *_table(target_table(targets))]
    for report in reports:
        blocks += [f"## {report.title}", report.text.strip()]
        blocks += [block for table in report.tables for block in _table(table)]
        blocks += [_picture(plot) for plot in report.plots]
    return "\n\n".join(blocks) + "\n"


def target_table(targets: Iterable[Target]) -> Table:
    """Return a table that shows for each target whether it was met."""
    rows = [(target.figure, target.limit, target.measured, "yes" if target.met else "no") for target in targets]
    return Table(title="", columns=("figure", "target", "measured", "met"), rows=rows)


def machine() -> str:
    """Return when and where the figures were measured."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    hardware = f"{_processor()}: {cores} cores, {memory:.0f} GiB"
    return f"Measured on {datetime.now(UTC):%Y-%m-%d}. {hardware}. {system}; {packages}."


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "Unknown processor"


def _table(table: Table) -> Iterator[str]:
    if table.title:
        yield f"**{table.title}**"
    header, *rows = (f"| {' | '.join(map(_cell, line))} |" for line in (table.columns, *table.rows))
    yield "\n".join([header, f"|{'---|' * len(table.columns)}", *rows])
    if table.note:
        yield table.note


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def _picture(plot: Plot) -> str:
    return f"![{plot.title}](pictures/bench-{plot.name}.svg)"
