"""A directory in build/ is filled once, even if builds are interrupted or run at the same time."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from infra.build_directory import filled

_ROOT: Final = Path(__file__).parents[2]
_KILLED: Final = """
import os, signal, sys
from pathlib import Path
from infra.build_directory import filled

def fill(content):
    (content / "half").touch()
    os.kill(os.getpid(), signal.SIGKILL)

filled(Path(sys.argv[1]), fill)
"""


def test_concurrent_builds_fill_a_directory_once(tmp_path: Path) -> None:
    """The first build writes it. The others wait, and return the complete directory."""
    fills: list[Path] = []

    def fill(content: Path) -> None:
        fills.append(content)
        (content / "file").touch()

    with ThreadPoolExecutor(8) as pool:
        built = list(pool.map(lambda _: filled(tmp_path / "built", fill), range(32)))
    assert {(directory / "file").exists() for directory in built} == {True}
    assert len(fills) == 1
    assert list(tmp_path.iterdir()) == [tmp_path / "built"]


def test_a_killed_build_leaves_no_directory(tmp_path: Path) -> None:
    """The next build starts without the files of the killed one, and waits for no lock of it."""
    killed = subprocess.run([sys.executable, "-c", _KILLED, tmp_path / "built"], cwd=_ROOT, check=False)
    assert killed.returncode < 0
    assert not (tmp_path / "built").exists()
    filled(tmp_path / "built", lambda content: (content / "whole").touch())
    assert [path.name for path in (tmp_path / "built").iterdir()] == ["whole"]
    assert list(tmp_path.iterdir()) == [tmp_path / "built"]


def test_a_failed_build_can_be_repeated(tmp_path: Path) -> None:
    """The error is raised, nothing is left, and the next build succeeds."""

    def fail(content: Path) -> None:
        (content / "half").touch()
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        filled(tmp_path / "built", fail)
    assert list(tmp_path.iterdir()) == []
    assert list(filled(tmp_path / "built", lambda _: None).iterdir()) == []
