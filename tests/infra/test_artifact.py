"""The deployment package is complete, small and reproducible."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal

import pytest
import uv

from gluebrake.policies import POLICIES_FILE, decode
from infra import artifact
from infra.artifact import Artifact, ArtifactError, build
from infra.config import Config, default_python, load
from infra.release import write_zip
from tests.infra.conftest import POLICIES

Built = Callable[[Config], Artifact]

_LOCAL = load({"target": "local"}.get)
_FOR_AWS = [Config(architecture="arm64"), Config(architecture="x86_64")]
_OTHER: Final[Literal["3.13", "3.14"]] = "3.13" if sys.version_info[:2] != (3, 13) else "3.14"
# e_machine, https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html
_ELF_MACHINES = {"arm64": 183, "x86_64": 62}
_PROBE = """
import json, sys
sys.path.append(sys.argv[1])
import botocore.session, msgspec, gluebrake.handlers.stop
from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import Metrics
account = {"region_name": "eu-west-1", "aws_access_key_id": "a", "aws_secret_access_key": "b"}
for service in "events", "glue", "sqs":
    botocore.session.Session().create_client(service, **account)
print(json.dumps({
    "files": [module.__file__ for module in sys.modules.values() if getattr(module, "__file__", None)],
    "uncompiled": [name for name, module in sys.modules.items() if getattr(module, "__file__", "") and
        module.__file__.startswith(sys.argv[1]) and module.__file__.endswith(".py") and
        not __import__("os").path.exists(module.__spec__.cached)],
}))
"""


@pytest.fixture(scope="module")
def built() -> Built:
    """Return the function that builds an artifact in build/, unless one with the same inputs is there."""
    return build


def _files(directory: Path) -> dict[str, bytes]:
    paths = (path for path in sorted(directory.rglob("*")) if path.is_file())
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in paths}


def _zipped(directory: Path) -> bytes:
    file = directory.with_suffix(".zip")
    write_zip(directory, file)
    try:
        return file.read_bytes()
    finally:
        file.unlink()


@contextmanager
def _umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize("config", [*_FOR_AWS, _LOCAL], ids=["arm64", "x86_64", "local"])
def test_the_zip_is_small(built: Built, config: Config) -> None:
    """Lambda downloads at most 4 MB, for either architecture."""
    assert len(_zipped(built(config).directory)) <= 4_000_000


@pytest.mark.parametrize("config", _FOR_AWS, ids=["arm64", "x86_64"])
def test_machine_code_is_for_the_configured_architecture(built: Built, config: Config) -> None:
    """Compiled extensions are for the functions' architecture, not for this machine's."""
    libraries = list(built(config).directory.rglob("*.so"))
    assert libraries
    for library in libraries:
        assert int.from_bytes(library.read_bytes()[18:20], "little") == _ELF_MACHINES[config.architecture]


def test_two_machines_build_the_same_zip(built: Built, tmp_path: Path) -> None:
    """Neither the directory nor the umask of a build changes a byte of the zip."""
    directory = built(_LOCAL).directory
    with _umask(0o077):
        again = build(_LOCAL, parent=tmp_path / "elsewhere").directory
    assert _files(again) == _files(directory)
    assert _zipped(again) == _zipped(directory)


def test_every_imported_module_ships_with_bytecode(built: Built) -> None:
    """A handler imports without this environment's packages, and compiles nothing at start-up."""
    directory = built(_LOCAL).directory
    # The options hide this environment's packages and write no bytecode.
    process = subprocess.run(
        [sys.executable, "-ISB", "-c", _PROBE, str(directory)], capture_output=True, text=True, check=True
    )
    probe = json.loads(process.stdout)
    assert not [file for file in probe["files"] if "site-packages" in file]
    assert probe["uncompiled"] == []


def test_without_policies_sweep_has_no_package(built: Built) -> None:
    """A stack without guardrail policies builds what it did before."""
    assert built(_LOCAL).sweep is None


def test_a_changed_policy_changes_only_its_file_in_sweeps_package(built: Built) -> None:
    """STOP and CONFIRM are not deployed again, and SWEEP's code is the same."""
    first, second = (built(_with_policies(policies)) for policies in (POLICIES, POLICIES[:1]))
    assert first.directory == second.directory == built(_LOCAL).directory
    assert first.sweep
    assert second.sweep
    before, after = _files(first.sweep), _files(second.sweep)
    assert before.keys() == after.keys()
    assert {name for name in before if before[name] != after[name]} == {POLICIES_FILE}
    assert decode(after[POLICIES_FILE]) == _with_policies(POLICIES[:1]).policies


def test_two_machines_build_the_same_package_for_sweep(built: Built, tmp_path: Path) -> None:
    """The umask of a build does not change the file of the policies either."""
    config = _with_policies(POLICIES)
    with _umask(0o077):
        again = build(config, parent=tmp_path / "elsewhere").sweep
    sweep = built(config).sweep
    assert sweep
    assert again
    assert _zipped(again) == _zipped(sweep)


def _with_policies(policies: list[dict[str, Any]]) -> Config:
    return load({"target": "local", "gluebrake": {"policies": policies}}.get)


def test_bytecode_has_no_path_of_the_build_machine(built: Built) -> None:
    """A traceback in Lambda has Lambda's paths, and two machines compile the same bytes."""
    directory = built(_LOCAL).directory
    compiled = [data for name, data in _files(directory).items() if name.endswith(".pyc")]
    assert compiled
    assert not [data for data in compiled if str(directory.parent).encode() in data]


def test_an_artifact_is_reused(built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second synthesis with the same inputs reuses the first one's artifact."""
    first = built(_LOCAL)
    _break_uv(monkeypatch, tmp_path)
    assert built(_LOCAL) == first


def test_concurrent_builds_leave_one_complete_artifact(tmp_path: Path) -> None:
    """No build sees the other's incomplete files, in either order."""
    with ThreadPoolExecutor() as pool:
        first, second = pool.map(lambda _: build(_LOCAL, parent=tmp_path), range(2))
    assert first == second
    assert list(tmp_path.iterdir()) == [first.directory]


def test_a_missing_interpreter_gives_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a working interpreter and without a download no bytecode ships, and the warning says so."""
    monkeypatch.setenv("PATH", str(_program(tmp_path / f"python{_OTHER}", "exit 127").parent))
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path / "managed"))
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    uncompiled = build(Config(python=_OTHER), parent=tmp_path / "build")
    assert f"No Python {_OTHER} was found on this machine and none could be downloaded" in uncompiled.warning
    assert not list(uncompiled.directory.rglob("*.pyc"))


def test_a_missing_interpreter_is_downloaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter is downloaded into the folder of the artifacts, and found there the next time."""
    calls, parent = tmp_path / "calls", tmp_path / "build"
    fake = _program(
        tmp_path / "uv",
        f"""
        if [ "$1" != python ]; then exec '{uv.find_uv_bin()}' "$@"; fi
        echo "$2 $UV_PYTHON_INSTALL_DIR" >> '{calls}'
        if [ "$2" = install ]; then mkdir -p "$UV_PYTHON_INSTALL_DIR"; exit; fi
        test -d "$UV_PYTHON_INSTALL_DIR" && echo '{sys.executable}'
        """,
    )
    monkeypatch.setattr(uv, "find_uv_bin", lambda: str(fake))
    monkeypatch.delenv("UV_PYTHON_INSTALL_DIR", raising=False)
    built = build(Config(python=_OTHER), parent=parent)
    assert built.warning == ""
    assert list(built.directory.rglob("*.pyc"))
    assert build(Config(python=_OTHER), parent=parent) == built
    find, download = f"find {parent / 'python'}", f"install {parent / 'python'}"
    assert calls.read_text().splitlines() == ["find ", find, download, find, "find ", find]


def test_the_default_runtime_is_this_python() -> None:
    """Bytecode for it ships from every machine. Where Lambda does not have it, the newest is the default."""
    assert Config().python == "{}.{}".format(*sys.version_info)
    assert [default_python((3, minor, 0)) for minor in (10, 11, 13, 15)] == ["3.14", "3.11", "3.13", "3.14"]


def test_no_warning_when_bytecode_ships(built: Built) -> None:
    """The warning is only for an artifact without bytecode."""
    assert built(_LOCAL).warning == ""


def test_the_error_of_a_failed_build_quotes_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed build reports uv's output, and leaves no file."""
    _break_uv(monkeypatch, tmp_path)
    parent = tmp_path / "build"
    with pytest.raises(ArtifactError, match=r"pip install (.|\n)*network was disabled"):
        build(_LOCAL, parent=parent)
    assert list(parent.iterdir()) == []


def _break_uv(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(directory / "empty"))


def _program(file: Path, script: str) -> Path:
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return file


def test_a_cut_model_keeps_every_shape_that_its_operations_and_errors_refer_to() -> None:
    """References are followed through other shapes, also where a shape refers to itself. All errors stay."""
    tree = {"type": "list", "member": {"shape": "Tree"}}
    kept = {
        "Input": {"type": "structure", "members": {"Tree": {"shape": "Tree"}}},
        "Tree": tree,
        "Error": {"type": "structure", "exception": True, "members": {"Reason": {"shape": "Reason"}}},
        "Reason": {"type": "string"},
    }
    operations = {"Op": {"input": {"shape": "Input"}}, "Other": {"input": {"shape": "Else"}}}
    model = {
        "metadata": {},
        "operations": operations,
        "shapes": {**kept, "Else": {"type": "string"}},
    }
    cut = artifact._cut_model(model, ["Op"])  # noqa: SLF001
    assert cut == {"metadata": {}, "operations": {"Op": operations["Op"]}, "shapes": kept}
