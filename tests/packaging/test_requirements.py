"""The pinned requirements files: one set of versions, and only what each environment needs."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
FUNCTIONS: Final = ROOT / "lambda_src" / "requirements.txt"
APP: Final = ROOT / "requirements.txt"
DEV: Final = ROOT / "requirements" / "dev.txt"
UV: Final = ROOT / "requirements" / "uv.txt"
PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text())


def _pins(file: Path) -> set[tuple[str, str]]:
    """Return the names and versions. A package that differs between platforms has several."""
    return set(re.findall(r"^([\w.-]+)==([^\s;]+)", file.read_text(), re.MULTILINE))


def _names(file: Path) -> set[str]:
    return {name for name, _ in _pins(file)}


@pytest.mark.parametrize("file", [APP, FUNCTIONS, UV], ids=["app", "functions", "uv"])
def test_what_is_deployed_is_what_is_tested(file: Path) -> None:
    """The tests run with the versions that install, that synthesise and that ship with the functions."""
    pins = _pins(file)
    assert pins
    assert pins <= _pins(DEV)


def test_functions_do_not_get_the_commands_packages() -> None:
    """The functions and the command are one distribution. Its dependencies would slow down each cold start."""
    functions = set(PROJECT["dependency-groups"]["functions"])
    only_command = set(PROJECT["project"]["dependencies"]) - functions
    assert only_command == {"boto3", "rich", "typer"}
    assert not only_command & _names(FUNCTIONS)


def test_development_has_the_commands_packages() -> None:
    """The tests of the command run in the development environment."""
    assert set(PROJECT["project"]["dependencies"]) <= _names(DEV)


def test_command_line_of_the_cdk_is_locked() -> None:
    """Each package has one version and its hash. Without addresses, npm uses the user's own registry."""
    lock = json.loads((ROOT / "package-lock.json").read_text())
    wanted = json.loads((ROOT / "package.json").read_text())["devDependencies"]
    root, packages = lock["packages"].pop(""), lock["packages"]
    assert root["devDependencies"] == wanted == {"aws-cdk": packages["node_modules/aws-cdk"]["version"]}
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
    assert "://" not in (ROOT / "package-lock.json").read_text()


def test_make_lock_writes_every_file() -> None:
    """A file that `make lock` does not write would keep its old versions."""
    written = re.findall(r"^\t\$\(LOCK\) .* -o (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    files = [APP, FUNCTIONS, *ROOT.glob("requirements/*.txt")]
    assert {ROOT / name for name in written} == set(files)
