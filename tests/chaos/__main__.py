"""Attack the functions and the deployed stack, and report each violated invariant."""

from __future__ import annotations

import argparse
import secrets
import sys
from functools import partial

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.chaos.attacks import ATTACKS, AttackReport, Options

_SEEDS = 2**32


def main(arguments: list[str] | None = None) -> int:
    """Run the attacks and print their reports. Return 1 if an invariant was violated."""
    parsed = _parser().parse_args(arguments)
    console = Console()
    options = Options(parsed.seed, parsed.minutes, parsed.pairs, parsed.examples)
    console.print(f"Seed {options.seed}: repeat this run with `python -m tests.chaos --seed {options.seed}`")
    reports = _attack(parsed.only or list(ATTACKS), options, console)
    console.print(_table(reports))
    for report in reports:
        for violation in report.violations:
            console.print(f"{report.attack}: {violation}", markup=False, style="red")
    return int(any(report.violations for report in reports))


def _attack(names: list[str], options: Options, console: Console) -> list[AttackReport]:
    reports: list[AttackReport] = []
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        for name in names:
            task = progress.add_task(name, total=1)
            reports += ATTACKS[name](options, partial(_show_progress, progress, task, name))
            progress.update(task, description=f"{name}: done", completed=1)
    return reports


def _show_progress(progress: Progress, task: TaskID, name: str, step: str) -> None:
    progress.update(task, description=f"{name}: {step}")


def _table(reports: list[AttackReport]) -> Table:
    table = Table(title="Attacks and their results", title_justify="left", expand=False)
    table.add_column("attack", overflow="fold")
    table.add_column("cases", justify="right")
    table.add_column("figures", overflow="fold")
    table.add_column("violations", justify="right")
    for report in reports:
        style = "red" if report.violations else "green"
        violations = f"[{style}]{len(report.violations)}[/]"
        table.add_row(report.attack, f"{report.cases:,}", report.figures, violations)
    return table


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(_SEEDS), help="repeat an earlier run")
    parser.add_argument(
        "--only", choices=ATTACKS, action="append", help="run only this attack (may be given several times)"
    )
    parser.add_argument("--minutes", type=float, default=1.0, help="duration of the storm, in minutes")
    parser.add_argument("--pairs", type=int, default=400, help="number of fault pairs to draw")
    parser.add_argument("--examples", type=int, default=500, help="number of scenarios to generate")
    return parser


if __name__ == "__main__":
    sys.exit(main())
