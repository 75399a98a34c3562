"""The functions' code as it ships: whole, small, and the same each time."""

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from infra import artifact
from infra.artifact import GLUE_OPERATIONS, Artifact, ArtifactError, build
from infra.config import Config, load

Built = Callable[[Config], Artifact]

_LOCAL = load({"target": "local"}.get)
_PROBE = """
import json, sys
sys.path.append(sys.argv[1])
import boto3, msgspec, gluebrake.stop
from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import Metrics
account = {"region_name": "eu-west-1", "aws_access_key_id": "a", "aws_secret_access_key": "b"}
glue, sqs = (boto3.client(service, **account) for service in ("glue", "sqs"))
print(json.dumps({
    "operations": glue.meta.service_model.operation_names,
    "files": [module.__file__ for module in sys.modules.values() if getattr(module, "__file__", None)],
    "uncompiled": [name for name, module in sys.modules.items() if getattr(module, "__file__", "") and
        module.__file__.startswith(sys.argv[1]) and module.__file__.endswith(".py") and
        not __import__("os").path.exists(module.__spec__.cached)],
}))
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Return what builds an artifact in a directory that starts empty."""
    parent = tmp_path_factory.mktemp("build")
    return lambda config: build(config, parent=parent)


def _files(directory: Path) -> dict[str, bytes]:
    paths = (path for path in sorted(directory.rglob("*")) if path.is_file())
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in paths}


def _zipped(directory: Path) -> int:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in _files(directory).items():
            archive.writestr(name, data)
    return len(content.getvalue())


@pytest.mark.parametrize("config", [Config(), _LOCAL], ids=["default", "local"])
def test_the_zip_is_small_and_the_same_each_time(built: Built, tmp_path: Path, config: Config) -> None:
    """Two builds of the same inputs do not differ in a byte, and Lambda has at most 5 MB to fetch."""
    directory = built(config).directory
    assert _files(build(config, parent=tmp_path).directory) == _files(directory)
    assert _zipped(directory) <= 5_000_000


def test_everything_that_the_functions_import_ships_with_bytecode(built: Built) -> None:
    """Without this environment's packages the handler imports, and nothing is left to compile at start-up."""
    directory = built(_LOCAL).directory
    # Neither this environment's packages nor bytecode written here may help.
    done = subprocess.run(
        [sys.executable, "-ISB", "-c", _PROBE, str(directory)], capture_output=True, text=True, check=True
    )
    probe = json.loads(done.stdout)
    assert not [file for file in probe["files"] if "site-packages" in file]
    assert probe["uncompiled"] == []
    assert sorted(probe["operations"]) == sorted(GLUE_OPERATIONS)


def test_bytecode_does_not_tell_where_it_was_made(built: Built) -> None:
    """A traceback in Lambda names Lambda's paths, and two machines make the same bytes."""
    directory = built(_LOCAL).directory
    compiled = [data for name, data in _files(directory).items() if name.endswith(".pyc")]
    assert compiled
    assert not [data for data in compiled if str(directory.parent).encode() in data]


def test_an_artifact_is_built_once(built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second synthesis with the same inputs takes what the first one left."""
    first = built(_LOCAL)
    _break_uv(monkeypatch, tmp_path)
    assert built(_LOCAL) == first


def test_two_builds_side_by_side_leave_one_whole_artifact(tmp_path: Path) -> None:
    """Neither sees the other's half, whoever is first."""
    with ThreadPoolExecutor() as pool:
        first, second = pool.map(lambda _: build(_LOCAL, parent=tmp_path), range(2))
    assert first == second
    assert list(tmp_path.iterdir()) == [first.directory]


def test_a_missing_interpreter_is_a_warning_with_its_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interpreter that cannot be found or that fails costs bytecode, and the user is told so."""
    monkeypatch.setenv("PATH", str(_failing(tmp_path / "python3.14").parent))
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path / "managed"))
    other = build(Config(python="3.14"), parent=tmp_path / "build")
    assert "No Python 3.14 was found" in other.warning
    assert not list(other.directory.rglob("*.pyc"))
    assert build(_LOCAL, parent=tmp_path / "build").warning == ""


def test_a_failing_uv_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build that cannot be made says what uv said, and leaves nothing behind."""
    _break_uv(monkeypatch, tmp_path)
    parent = tmp_path / "build"
    with pytest.raises(ArtifactError, match=r"pip install (.|\n)*network was disabled"):
        build(_LOCAL, parent=parent)
    assert list(parent.iterdir()) == []


def _break_uv(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(directory / "empty"))


def _failing(program: Path) -> Path:
    program.write_text("#!/bin/sh\necho no such luck >&2\nexit 127\n")
    program.chmod(0o755)
    return program


def test_the_cut_model_keeps_whatever_its_operations_refer_to() -> None:
    """Shapes are followed to the end, a shape that refers to itself included."""
    shapes = {
        "Input": {"type": "structure", "members": {"Tree": {"shape": "Tree"}}},
        "Tree": {"type": "list", "member": {"shape": "Tree"}},
        "Other": {"type": "string"},
    }
    assert artifact._reached({"Op": {"input": {"shape": "Input"}}}, shapes) == {"Input", "Tree"}  # noqa: SLF001
