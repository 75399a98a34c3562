"""The command line: `python -m tests.chaos [--seed N] [--only PART ...]`."""

from __future__ import annotations

import argparse
import secrets
import sys
from functools import partial

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.chaos.parts import PARTS, AttackReport, Settings

_SEEDS = 2**32


def main(arguments: list[str] | None = None) -> int:
    """Attack, show what came of it, and return 1 if a promise was broken."""
    options = _parser().parse_args(arguments)
    console = Console()
    settings = Settings(options.seed, options.minutes, options.pairs, options.examples)
    console.print(f"Seed {settings.seed}: the same again with `python -m tests.chaos --seed {settings.seed}`")
    proofs = _proved(options.only or list(PARTS), settings, console)
    console.print(_table(proofs))
    for proof in proofs:
        for broken in proof.broken:
            console.print(f"{proof.attack}: {broken}", markup=False, style="red")
    return int(any(proof.broken for proof in proofs))


def _proved(names: list[str], settings: Settings, console: Console) -> list[AttackReport]:
    proofs: list[AttackReport] = []
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        for name in names:
            task = progress.add_task(name, total=1)
            proofs += PARTS[name](settings, partial(_tell, progress, task, name))
            progress.update(task, description=f"{name}: done", completed=1)
    return proofs


def _tell(progress: Progress, task: TaskID, name: str, told: str) -> None:
    progress.update(task, description=f"{name}: {told}")


def _table(proofs: list[AttackReport]) -> Table:
    table = Table(title="What was tried, and what came of it", title_justify="left", expand=False)
    table.add_column("attack", overflow="fold")
    table.add_column("cases", justify="right")
    table.add_column("figures", overflow="fold")
    table.add_column("promises broken", justify="right")
    for proof in proofs:
        style = "red" if proof.broken else "green"
        table.add_row(proof.attack, f"{proof.cases:,}", proof.figures, f"[{style}]{len(proof.broken)}[/]")
    return table


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(_SEEDS), help="repeats a run")
    parser.add_argument("--only", choices=PARTS, action="append", help="a part; may be repeated")
    parser.add_argument("--minutes", type=float, default=1.0, help="how long the storm lasts")
    parser.add_argument("--pairs", type=int, default=400, help="how many pairs of faults are drawn")
    parser.add_argument("--examples", type=int, default=500, help="how many scenarios are made up")
    return parser


if __name__ == "__main__":
    sys.exit(main())
