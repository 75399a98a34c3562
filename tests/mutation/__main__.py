"""Runs mutmut over the core in a copy of the project, and holds the survivors against those that are known.

    python -m tests.mutation ['gluebrake.planning*' …]

A survivor is a change of the code that no test noticed. Known ones stand in survivors.txt, under the reason why
they may live; any other fails the run. Without names of changes all of the core is changed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
COPY: Final = ROOT / "build" / "mutation"
MUTMUT: Final = str(Path(sys.executable).with_name("mutmut"))
KNOWN: Final = HERE / "survivors.txt"
LEFT_ALIVE: Final = re.compile(r"^\s*(\S+): (?:survived|no tests|suspicious)$", re.MULTILINE)


def main(names: Sequence[str]) -> str | None:
    """Run, and return what is to be told when a change survived that is not known."""
    _copy()
    subprocess.run(["nice", "-n", "15", MUTMUT, "run", "--max-children", "1", *names], cwd=COPY, check=True)
    survivors = set(map(_shown, LEFT_ALIVE.findall(_told("results"))))
    known = set(_known(KNOWN.read_text().splitlines()))
    for line in () if names else sorted(known - survivors):
        sys.stderr.write(f"no longer survives: {line}\n")
    new = sorted(survivors - known)
    return "\n".join(["", "No test notices these:", *new]) if new else None


def _copy() -> None:
    """Lay out the project anew as mutmut wants it, with the code under `src`."""
    shutil.rmtree(COPY, ignore_errors=True)
    no_caches = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "lambda_src", COPY / "src", ignore=no_caches)
    shutil.copytree(ROOT / "tests", COPY / "tests", ignore=no_caches)
    shutil.copy(HERE / "pyproject.toml", COPY)
    shutil.copy(HERE / "hypothesis_profile.py", COPY / "conftest.py")


def _shown(mutant: str) -> str:
    """Return a change as survivors.txt has it: the function, the old code and the new."""
    lines = [line for line in _told("show", mutant).splitlines() if not line.startswith(("---", "+++"))]
    old, new = (" ".join(_marked(lines, mark)) for mark in "-+")
    return f"{mutant.partition('__mutmut_')[0]}: {old} → {new}".rstrip()


def _marked(lines: Iterable[str], mark: str) -> Iterator[str]:
    return (line[1:].strip() for line in lines if line.startswith(mark))


def _told(*arguments: str) -> str:
    return subprocess.run([MUTMUT, *arguments], cwd=COPY, check=True, capture_output=True, text=True).stdout


def _known(lines: Iterable[str]) -> Iterator[str]:
    """Yield the known survivors; a line with `#` says why those below it may live."""
    return (line for line in lines if line and not line.startswith("#"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
