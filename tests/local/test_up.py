"""`make local` ends its output with a command that can be copied into any terminal."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Final

import pytest

from local import up
from local.aws import KEY, REGION
from local.registry import DeploymentRecord

RECORD: Final = DeploymentRecord(
    endpoint="http://127.0.0.1:4566",
    region=REGION,
    key=KEY,
    outputs={"StopQueueUrl": "the-url"},
    clone="/clone",
    glue_calls="calls",
    pid=1,
)
OWN: Final = Path(sys.executable).parent


def _last_line(capsys: pytest.CaptureFixture[str]) -> str:
    up.show(RECORD)
    return capsys.readouterr().err.splitlines()[-1]


def _program(directory: Path) -> Path:
    """Create a program `gluebrake`, and return the path of its folder."""
    directory.mkdir()
    (directory / "gluebrake").touch(mode=0o700)
    return directory


def test_installed_command_is_shown_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each terminal finds it."""
    monkeypatch.setenv("PATH", f"{OWN}{os.pathsep}{_program(tmp_path / 'bin')}")
    assert _last_line(capsys) == (
        'To use the AWS CLI and gluebrake, run in another terminal: eval "$(gluebrake env --local)"'
    )


@pytest.mark.parametrize("path", ["", str(OWN)])
def test_command_of_the_clone_is_shown_by_its_path(
    path: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another terminal may not have the virtual environment that is active in this one."""
    monkeypatch.setenv("PATH", path)
    assert _last_line(capsys).endswith(f'eval "$({OWN}/gluebrake env --local)"')


def test_path_is_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder may have a space or a bracket in its name. The line is not wrapped."""
    own = _program(tmp_path / f"my [bold] {'long ' * 20}clone")
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "executable", str(own / "python"))
    assert _last_line(capsys).endswith(f'eval "$({shlex.quote(str(own / "gluebrake"))} env --local)"')
