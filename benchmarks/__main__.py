"""Run the benchmarks: `python -m benchmarks [load cold calls throughput sweep] [--write]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table as RichTable

import benchmarks
from benchmarks.page import machine, page, target_table
from benchmarks.report import Report, Table

NAMES: Final = ("load", "cold", "calls", "throughput", "sweep")
DOCS: Final = Path(__file__).parents[1] / "docs"

_CONSOLE: Final = Console()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run benchmarks and return 1 when a target was missed."""
    parser = _parser()
    options = parser.parse_args(arguments)
    names = options.names or NAMES
    if options.write and set(names) != set(NAMES):
        parser.error("--write: the page needs the figures of all benchmarks; name none, or all of them")
    if options.write and not find_spec("matplotlib"):
        parser.error("--write: matplotlib, which draws the pictures, is not installed; run `make bench`")
    reports = [_run(name) for name in names]
    if options.write:
        _write(reports)
    return 0 if all(target.met for report in reports for target in report.targets) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=benchmarks.__doc__)
    names = f"{', '.join(NAMES)} (default: all)"
    parser.add_argument("names", nargs="*", metavar="NAME", type=_name, help=names)
    parser.add_argument("--write", action="store_true", help="write docs/performance.md and its pictures")
    return parser


def _name(text: str) -> str:
    if text not in NAMES:
        raise argparse.ArgumentTypeError(f"unknown benchmark {text!r}; choose from {', '.join(NAMES)}")
    return text


def _run(name: str) -> Report:
    with _CONSOLE.status(name) as status:
        report: Report = import_module(f"benchmarks.{name}").run(lambda step: status.update(f"{name}: {step}"))
    _CONSOLE.rule(report.title, align="left")
    for table in (*report.tables, *report.details):
        _print(table)
    _print(target_table(report.targets))
    return report


def _print(table: Table) -> None:
    rich_table = RichTable(*table.columns, title=table.title, title_justify="left", caption=table.note or None)
    for row in table.rows:
        rich_table.add_row(*map(str, row))
    _CONSOLE.print(rich_table)


def _write(reports: Sequence[Report]) -> None:
    from benchmarks.pictures import draw  # noqa: PLC0415 - matplotlib is installed only for --write

    for plot in (plot for report in reports for plot in report.plots):
        draw(plot, DOCS / "pictures")
    (DOCS / "performance.md").write_text(page(reports, machine()))


if __name__ == "__main__":
    sys.exit(main())
