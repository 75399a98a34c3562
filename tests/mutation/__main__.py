"""Run mutmut on a copy of the project and compare the surviving mutants with the known ones.

    python -m tests.mutation ['gluebrake.decisions.planning*' …]

A survivor is a change of the code that no test detects. survivors.txt lists the known ones below the reason why
they are accepted. Any other survivor fails the run. Without arguments mutmut changes all configured modules.
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
COPY: Final = ROOT / "build" / "mutated"
MUTMUT: Final = str(Path(sys.executable).with_name("mutmut"))
KNOWN: Final = HERE / "survivors.txt"
SURVIVED: Final = re.compile(r"^\s*(\S+): (?:survived|no tests|suspicious)$", re.MULTILINE)


def main(names: Sequence[str]) -> str | None:
    """Run mutmut and return the error message: the survivors that are not known."""
    _copy_project()
    subprocess.run(["nice", "-n", "15", MUTMUT, "run", "--max-children", "1", *names], cwd=COPY, check=True)
    survivors = set(map(_described, SURVIVED.findall(_output("results"))))
    known = set(_known(KNOWN.read_text().splitlines()))
    for line in () if names else sorted(known - survivors):
        sys.stderr.write(f"no longer survives: {line}\n")
    new = sorted(survivors - known)
    return "\n".join(["", "No test detects these changes:", *new]) if new else None


def _copy_project() -> None:
    """Copy the project to the layout that mutmut expects, with the code below `src`."""
    shutil.rmtree(COPY, ignore_errors=True)
    no_caches = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "lambda_src", COPY / "src", ignore=no_caches)
    shutil.copytree(ROOT / "tests", COPY / "tests", ignore=no_caches)
    shutil.copy(HERE / "pyproject.toml", COPY)
    shutil.copy(HERE / "hypothesis_profile.py", COPY / "conftest.py")


def _described(mutant: str) -> str:
    """Return a mutant in the format of survivors.txt: the function, the old code and the new code."""
    lines = [line for line in _output("show", mutant).splitlines() if not line.startswith(("---", "+++"))]
    old, new = (" ".join(_marked(lines, mark)) for mark in "-+")
    return f"{mutant.partition('__mutmut_')[0]}: {old} → {new}".rstrip()


def _marked(lines: Iterable[str], mark: str) -> Iterator[str]:
    return (line[1:].strip() for line in lines if line.startswith(mark))


def _output(*arguments: str) -> str:
    return subprocess.run([MUTMUT, *arguments], cwd=COPY, check=True, capture_output=True, text=True).stdout


def _known(lines: Iterable[str]) -> Iterator[str]:
    """Yield the known survivors. A line with `#` is the reason for those below it."""
    return (line for line in lines if line and not line.startswith("#"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
