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

`make bench` measures these figures on your machine and writes this page. Variants that are compared run
alternately, and figures are medians. Times depend on the machine, so compare the ratios. Counts are the same
on every machine."""

# The result of a simulation that is no longer part of the project.
PROFILES: Final = """\
## Which profile

| requests per minute at the peak | low-latency: p95, stop calls/s | high-volume: p95, stop calls/s | use |
| --- | --- | --- | --- |
| 1 | 0.1 s, 0.02 | 20 s, 0.02 | low-latency |
| 14 | 0.1 s, 0.2 | 20 s, 0.2 | low-latency |
| 139 | 0.1 s, 2 | 13 s, 2 | low-latency |
| 1,389 | 0.1 s, 22 | 5 s, 9 | high-volume |
| 13,889 | falls behind | 5 s, 26 | high-volume |

p95 is the time from a request until Glue accepts the stop. A stop call is a BatchStopJobRun call. Use
low-latency while it keeps up and makes at most 5 stop calls per second at the peak. Use high-volume above that,
and where requests arrive in bursts of thousands. The table dates from 2026-11-24. It comes from a simulation
with `maxConcurrency` 2, not from a measurement on AWS."""

_PACKAGES: Final = ("aws-lambda-powertools", "botocore", "msgspec")


def page(reports: Sequence[Report], machine: str) -> str:
    """Return the page as Markdown."""
    targets = [target for report in reports for target in report.targets]
    blocks = [INTRODUCTION, machine, "## Targets", *_table(target_table(targets))]
    for report in reports:
        blocks += [f"## {report.title}", report.text.strip()]
        blocks += [block for table in report.tables for block in _table(table)]
        blocks += [_picture(plot) for plot in report.plots]
    return "\n\n".join([*blocks, PROFILES]) + "\n"


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
    lines = [table.columns, ["---"] * len(table.columns), *table.rows]
    yield "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)
    if table.note:
        yield table.note


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def _picture(plot: Plot) -> str:
    return f"![{plot.caption}](pictures/bench-{plot.name}.svg)\n\n*{plot.caption}*"
