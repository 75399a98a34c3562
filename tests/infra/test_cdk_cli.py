"""The CDK's command line: installed from the lock file, and able to read what this app synthesises."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from infra import cdk_cli
from infra.cdk_cli import CdkCliError, install
from infra.node import NODE, NPM

ROOT: Final = Path(__file__).parents[2]
LOCKED: Final = ("package.json", "package-lock.json")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return a folder with copies of the two files that npm reads."""
    directory = tmp_path / "source"
    directory.mkdir()
    for name in LOCKED:
        shutil.copy(ROOT / name, directory)
    return directory


def _run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the CDK as `make deploy` does, without an account."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDK_"))}
    return subprocess.run(
        [sys.executable, "-m", "infra.cdk_cli", *arguments],
        cwd=ROOT,
        env={**environ, "AWS_EC2_METADATA_DISABLED": "true", "CDK_VALIDATION": "false", "CI": "true"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_synthesises_and_reads_the_assembly(tmp_path: Path) -> None:
    """The pinned version reads the cloud assembly schema of the pinned aws-cdk-lib."""
    synth = _run("synth", "--quiet", "--output", tmp_path / "cdk.out", "-c", "target=local")
    assert synth.returncode == 0, synth.stderr
    ls = _run("ls", "--app", tmp_path / "cdk.out")
    assert (ls.returncode, ls.stdout.split()) == (0, ["Gluebrake"]), ls.stderr


def test_unknown_context_key_is_an_error() -> None:
    """The command line passes on each `-c`, and the app reports those that it does not know."""
    ls = _run("ls", "-c", "confg=production.json")
    assert ls.returncode == 1
    assert "context key confg: unknown; did you mean config?" in ls.stderr


def test_it_is_installed_once(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock file is installed again only if its content changes."""
    script = install(source=source, parent=tmp_path / "build")
    assert script.is_file()
    monkeypatch.setattr(cdk_cli, "NPM", tmp_path / "absent.js")
    assert install(source=source, parent=tmp_path / "build") == script
    (source / "package.json").write_text((source / "package.json").read_text() + "\n")
    with pytest.raises(CdkCliError, match=r"absent\.js"):
        install(source=source, parent=tmp_path / "build")


def test_other_content_than_the_locked_is_refused(source: Path, tmp_path: Path) -> None:
    """A package with another hash than the lock file's is not installed."""
    lock = source / "package-lock.json"
    lock.write_text(re.sub(r"sha512-\w{8}", "sha512-AAAAAAAA", lock.read_text()))
    with pytest.raises(CdkCliError, match="EINTEGRITY"):
        install(source=source, parent=tmp_path / "build")
    assert list((tmp_path / "build").iterdir()) == []


def test_no_script_of_a_package_runs(source: Path, tmp_path: Path) -> None:
    """An installation script could do anything with the credentials of `make deploy`."""
    package = source / "package.json"
    scripts = {"postinstall": "touch ran"}
    package.write_text(json.dumps({**json.loads(package.read_text()), "scripts": scripts}))
    directory = install(source=source, parent=tmp_path / "build").parents[3]
    assert (directory / "package.json").is_file()
    assert not (directory / "ran").exists()


def test_it_runs_on_the_node_from_pypi() -> None:
    """No Node.js need be installed."""
    assert NODE.exists()
    assert NPM.exists()
    node, script, *arguments = cdk_cli.command(["deploy", "-c", "a=b"])
    assert (node, arguments) == (str(NODE), ["deploy", "-c", "a=b"])
    assert Path(script) == install()


def test_it_finds_this_python_first() -> None:
    """`python` is this interpreter and `node` is the one from PyPI. All other variables are unchanged."""
    environ = cdk_cli.environment({"PATH": "/usr/bin", "AWS_ENDPOINT_URL": "http://localhost"})
    expected = os.pathsep.join([str(Path(sys.executable).parent), str(NODE.parent), "/usr/bin"])
    assert environ == {"PATH": expected, "AWS_ENDPOINT_URL": "http://localhost"}
