"""A clone in which only requirements.txt is installed: it synthesises, for example in a deployment pipeline."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Final

import pytest
import uv

from infra.build_directory import filled

ROOT: Final = Path(__file__).parents[2]
REQUIREMENTS: Final = ROOT / "requirements.txt"


@pytest.fixture
def python() -> Path:
    """Return a Python that has what requirements.txt pins and nothing else. It is kept until these change.

    Of the file that two packages install, it has the copy with which jsii cannot read the stack's warnings:
    https://github.com/aws/aws-cdk/issues/38482.
    """
    key = sha256(f"{sys.version} {sys.executable} {REQUIREMENTS.read_text()}".encode()).hexdigest()[:16]
    return filled(ROOT / "build" / f"clone-{key}", _install) / "bin" / "python"


def _install(environment: Path) -> None:
    _uv("venv", "--allow-existing", "--python", sys.executable, environment)
    for options in ((), ("--reinstall-package", "aws-cdk-cloud-assembly-schema")):
        _uv("pip", "sync", "--python", environment, *options, REQUIREMENTS)


def test_clone_synthesises_and_prints_the_warning(python: Path, tmp_path: Path) -> None:
    """`pip install -r requirements.txt && python app.py` writes the template. A missing Python is a warning."""
    missing = "3.13" if sys.version_info[:2] != (3, 13) else "3.12"
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"python": missing}))
    outdir = tmp_path / "cdk.out"
    # Neither the empty path nor uv's folder of Pythons has an interpreter, and uv may not download one.
    uv_environ = {"UV_PYTHON_INSTALL_DIR": str(tmp_path), "UV_PYTHON_DOWNLOADS": "never"}
    environ = {"PATH": str(tmp_path), **uv_environ, "CDK_OUTDIR": str(outdir)}
    hidden = ("CDK_", "PYTHON", "VIRTUAL_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    done = subprocess.run(
        [python, "app.py", "-c", f"config={config}"],
        cwd=ROOT,
        env={**kept, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith(f"warning: No Python {missing} was found on this machine")
    assert (outdir / "Gluebrake.template.json").exists()


def test_only_the_infrastructure_changes_the_path() -> None:
    """Everywhere else the editable install makes `gluebrake` importable."""
    folders = ("benchmarks", "docs", "gluebrake_cli", "infra", "lambda_src", "local", "tests")
    files = [ROOT / "app.py", *(file for folder in folders for file in (ROOT / folder).rglob("*.py"))]
    changing = [file.relative_to(ROOT).as_posix() for file in files if _changes_path(file)]
    assert changing == ["infra/__init__.py"]


def _changes_path(file: Path) -> bool:
    nodes = ast.walk(ast.parse(file.read_text()))
    return any(isinstance(node, ast.Call) and ast.unparse(node.func) == "sys.path.insert" for node in nodes)


def _uv(*arguments: str | Path) -> None:
    subprocess.run([uv.find_uv_bin(), *arguments, "--quiet"], check=True)
