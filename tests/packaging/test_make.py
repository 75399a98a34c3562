"""Targets of the Makefile, in a copy of the clone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PROGRAMS: Final = ("make", "sh")
NETWORK: Final = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "SSL_CERT", "UV_")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Copy what synthesises the stack."""
    directory = tmp_path / "clone"
    directory.mkdir()
    for name in ("Makefile", "app.py", "cdk.json", "LICENSE", "requirements.txt"):
        shutil.copy(ROOT / name, directory)
    for name in ("infra", "lambda_src", "requirements"):
        shutil.copytree(ROOT / name, directory / name, ignore=shutil.ignore_patterns("__pycache__"))
    return directory


def _make(clone: Path, target: str, **environ: str) -> subprocess.CompletedProcess[str]:
    # The environment of this clone is used as it is, although the Makefile in the copy is newer.
    command = [str(shutil.which("make")), "--old-file=.venv/ready", target, f"PYTHON={sys.executable}"]
    return subprocess.run(command, cwd=clone, env=environ, capture_output=True, text=True, check=False)


def test_synth_needs_only_path_home_and_region(clone: Path, tmp_path: Path) -> None:
    """The functions get the Python that synthesises, so no other is needed. One line names the template.

    Bytecode is kept even if the user's environment says otherwise: the CDK's takes ten seconds.
    """
    (clone / ".venv").symlink_to(Path(sys.executable).parents[1])
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in PROGRAMS:
        (programs / name).symlink_to(str(shutil.which(name)))
    # With these, a machine behind a proxy reaches PyPI.
    network = {name: value for name, value in os.environ.items() if name.upper().startswith(NETWORK)}
    home = os.environ["HOME"]
    environ = {"PATH": str(programs), "HOME": home, "AWS_REGION": "eu-west-1", "PYTHONDONTWRITEBYTECODE": "1"}
    done = _make(clone, "synth", **environ, **network)
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout == "Template: cdk.out/Gluebrake.template.json\n"
    template = (clone / "cdk.out" / "Gluebrake.template.json").read_text()
    assert '"Runtime": "python{}.{}"'.format(*sys.version_info) in template
    assert list(clone.glob("infra/__pycache__/stack.*.pyc"))


def test_uv_is_installed_only_with_its_hash(clone: Path) -> None:
    """The hashes of all other packages are checked by uv, so pip checks that of uv."""
    uv = clone / "requirements" / "uv.txt"
    uv.write_text(re.sub(r"(sha256:)\w{8}", r"\g<1>00000000", uv.read_text()))
    done = _make(clone, ".venv/synced", **os.environ)
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr
    # The line before an installation says what is installed where.
    assert "Installing the packages of requirements/dev.txt into .venv, once: about " in done.stdout
    assert not (clone / ".venv" / "bin" / "uv").exists()


@pytest.mark.parametrize(
    ("arguments", "options"), [([], ""), (["CONFIG=first.json"], "--config first.json"), (["-e"], "")]
)
def test_local_takes_a_configuration_from_the_command_line_only(arguments: list[str], options: str) -> None:
    """`make local CONFIG=FILE` deploys another configuration. A variable of that name is no wish."""
    command = [
        str(shutil.which("make")),
        "--dry-run",
        "--no-print-directory",
        "--old-file=.venv/ready",
        "local",
        *arguments,
    ]
    environ = {**os.environ, "CONFIG": "else.json"}
    shown = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True).stdout
    assert shown.split("local up")[-1].strip() == options
