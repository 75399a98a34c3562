"""A kept assembly is used until an input changes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from infra import assemblies

_ROOT: Final = Path(__file__).parents[2]
_NOW: Final = "inputs"
_INPUTS: Final = (
    "app.py",
    "cdk.json",
    "infra/stack.py",
    "lambda_src/gluebrake/__init__.py",
    "lambda_src/requirements.txt",
)

Kept = Callable[..., Path]


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kept:
    """Return a function that keeps a file with the text that is written, for given inputs."""
    monkeypatch.setattr(assemblies, "inputs", lambda: _NOW)

    def kept(key: str, text: str, *, at: str = _NOW) -> Path:
        def write(directory: Path) -> None:
            (directory / "text").write_text(text)

        return assemblies.kept(key, write, at=at, parent=tmp_path)

    return kept


def test_each_configuration_is_written_once(kept: Kept) -> None:
    """A second use of a configuration gets what the first one wrote. Another configuration gets its own."""
    first, again, other = kept("one", "first"), kept("one", "second"), kept("two", "third")
    assert first == again
    assert [(directory / "text").read_text() for directory in (first, other)] == ["first", "third"]


def test_assembly_is_not_kept_if_an_input_changes_meanwhile(kept: Kept) -> None:
    """The caller gets its assembly. No other caller gets it, because it may be that of either version."""
    changed, again = kept("one", "first", at="before"), kept("one", "second", at="before")
    assert [(directory / "text").read_text() for directory in (changed, again)] == ["first", "second"]
    assert (kept("one", "third") / "text").read_text() == "third"


def test_assemblies_of_other_inputs_are_removed_after_an_hour(kept: Kept, tmp_path: Path) -> None:
    """Those in use stay: each use counts as new."""
    for name, seconds in (("old", 3700), ("recent", 3500)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (0, time.time() - seconds))
    kept("one", "first")
    os.utime(tmp_path / _NOW, (0, 0))
    kept("one", "first")
    assert (tmp_path / _NOW).stat().st_mtime > time.time() - 60
    assert {path.name for path in tmp_path.iterdir()} == {"recent", _NOW}


@pytest.mark.parametrize("name", _INPUTS)
def test_a_changed_file_is_another_input(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The code of the stack and of the functions, their requirements and the defaults are inputs."""
    for file in _INPUTS:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("first")
    monkeypatch.setattr(assemblies, "_ROOT", tmp_path)
    before = assemblies.inputs()
    assert assemblies.inputs() == before
    (tmp_path / name).write_text("second")
    assert assemblies.inputs() != before


def test_a_kept_assembly_needs_no_cdk() -> None:
    """To find an assembly, a process does not import the CDK, which takes seconds."""
    script = "import sys, infra.assemblies; sys.exit('aws_cdk' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=_ROOT, check=False).returncode == 0
