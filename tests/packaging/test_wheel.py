"""The wheel that `uv tool install .`, `pipx install .` and `pip install .` build: it has the whole command."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from collections.abc import Sequence
from email import message_from_bytes
from pathlib import Path
from typing import Final, NamedTuple

import pytest
import uv

import gluebrake
from gluebrake_cli import emulators
from local.registry import DeploymentRecord, registered

ROOT: Final = Path(__file__).parents[2]
SOURCES: Final = ((ROOT / "lambda_src", "gluebrake"), (ROOT, "gluebrake_cli"))


class Built(NamedTuple):
    """The two files that a release consists of."""

    sdist: Path
    wheel: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Build the sdist from the clone and the wheel from the sdist, as installers do."""
    directory = tmp_path_factory.mktemp("dist")
    _uv("build", "--no-build-isolation", "--python", sys.executable, "--out-dir", directory, ROOT)
    (sdist,), (wheel,) = directory.glob("*.tar.gz"), directory.glob("*.whl")
    return Built(sdist, wheel)


@pytest.fixture(scope="module")
def command(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into a new environment. Its dependencies are those of this environment."""
    environment = tmp_path_factory.mktemp("installed") / "venv"
    python = environment / "bin" / "python"
    _uv("venv", "--python", sys.executable, environment)
    _uv("pip", "install", "--offline", "--no-deps", "--python", python, built.wheel)
    # Python does not read the .pth files of a folder that is in a .pth file, so the clone stays invisible.
    packages = next(environment.glob("lib/python*/site-packages"))
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return environment / "bin" / "gluebrake"


def test_wheel_has_both_packages_and_nothing_else(built: Built) -> None:
    """A wheel without `gluebrake` would install, and each command would then fail."""
    expected = {
        path.relative_to(source).as_posix()
        for source, package in SOURCES
        for path in (source / package).rglob("*.py")
    }
    names = set(zipfile.ZipFile(built.wheel).namelist())
    assert {name for name in names if ".dist-info/" not in name} == expected


def test_wheel_needs_what_the_command_imports(built: Built) -> None:
    """Nothing that only the functions or the deployment need is installed with the command."""
    archive = zipfile.ZipFile(built.wheel)
    (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = message_from_bytes(archive.read(name))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert sorted(metadata.get_all("Requires-Dist", [])) == sorted(project["dependencies"])
    assert metadata["Version"] == gluebrake.__version__


def test_sdist_has_what_the_wheel_needs_and_no_more(built: Built) -> None:
    """Tests, infrastructure and pinned requirements stay in the clone."""
    with tarfile.open(built.sdist) as archive:
        names = [member.name.partition("/")[2] for member in archive if member.isfile()]
    assert {name for name in names if "/" not in name} - {".gitignore"} == {
        "LICENSE",
        "PKG-INFO",
        "README.md",
        "pyproject.toml",
    }
    code = [name for name in names if "/" in name]
    assert all(name.startswith(("gluebrake_cli/", "lambda_src/gluebrake/")) for name in code)


def test_command_runs_outside_the_clone(command: Path, tmp_path: Path) -> None:
    """The installed command reports its version and its help from any folder."""
    assert gluebrake.__version__ in _run([command, "--version"], tmp_path)
    assert "Usage: gluebrake" in _run([command, "--help"], tmp_path)


def test_installed_command_finds_the_emulator_of_a_clone(command: Path, tmp_path: Path) -> None:
    """It needs neither the clone nor its packages: what `make local` writes is enough."""
    elsewhere, records = tmp_path / "elsewhere", tmp_path / "records"
    elsewhere.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as server:
        record = DeploymentRecord(
            endpoint=f"http://127.0.0.1:{server.getsockname()[1]}",
            region="eu-central-2",
            key="test",
            outputs={"StopQueueUrl": "the-url"},
            clone=str(ROOT),
            glue_calls="calls",
            pid=os.getpid(),
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(emulators.VARIABLE, str(records))
            patch.setenv("PATH", f"{command.parent}:{os.environ['PATH']}")
            script = 'eval "$(gluebrake env --local)"; echo "$STOP_QUEUE_URL $AWS_ENDPOINT_URL"'
            with registered(record):
                assert _run(["sh", "-ec", script], elsewhere) == f"the-url {record.endpoint}\n"


def test_command_uses_the_code_of_the_wheel(command: Path, tmp_path: Path) -> None:
    """Both packages come from the new environment, so the test above tries the wheel and not the clone."""
    program = "import gluebrake, gluebrake_cli; print(gluebrake.__file__, gluebrake_cli.__file__, sep='\\n')"
    files = _run([command.with_name("python"), "-c", program], tmp_path).splitlines()
    assert len(files) == len(SOURCES)
    assert all(Path(file).is_relative_to(command.parents[1]) for file in files)


def _uv(*arguments: str | Path) -> None:
    subprocess.run([uv.find_uv_bin(), *arguments, "--quiet"], check=True)


def _run(command: Sequence[str | Path], directory: Path) -> str:
    """Run a program without the variables that could change where Python finds modules."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        command, cwd=directory, env=environ, check=True, capture_output=True, text=True
    ).stdout
