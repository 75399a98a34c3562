"""`gluebrake env --local` finds a running emulator of this user, and no other."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from gluebrake_cli.emulators import VARIABLE, EmulatorRecord, directory, exports, find
from gluebrake_cli.errors import OperatorError


@pytest.fixture
def record(tmp_path: Path) -> Iterator[EmulatorRecord]:
    """Return the record of a running process and of an endpoint that answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield EmulatorRecord(
            endpoint=f"http://127.0.0.1:{server.getsockname()[1]}",
            region="eu-central-2",
            key="test",
            outputs={"DeadLetterQueueUrl": "http://queue/it's"},
            clone=str(tmp_path / "clone"),
            pid=os.getpid(),
        )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return an empty folder for records."""
    folder = tmp_path / "records"
    folder.mkdir(mode=0o700)
    return folder


def _write(folder: Path, name: str, record: EmulatorRecord, modified: float = 0) -> None:
    file = folder / f"{name}.json"
    file.write_bytes(msgspec.json.encode(record))
    os.utime(file, (modified, modified))


def test_emulator_that_started_last_is_found(record: EmulatorRecord, folder: Path, tmp_path: Path) -> None:
    """Outside of every clone, there is no better guess."""
    _write(folder, "a", replace(record, region="old"), modified=1)
    _write(folder, "b", replace(record, region="new"), modified=3)
    _write(folder, "c", replace(record, region="older"), modified=2)
    assert find(folder, tmp_path).region == "new"


def test_clone_has_its_own_emulator(record: EmulatorRecord, folder: Path) -> None:
    """Two clones side by side do not disturb each other."""
    _write(folder, "a", record, modified=1)
    _write(folder, "b", replace(record, clone="/other"), modified=2)
    assert find(folder, Path(record.clone) / "docs") == record
    assert find(folder, Path(f"{record.clone}-2")).clone == "/other"


@pytest.mark.parametrize("change", [{"pid": 2**22 + 1}, {"endpoint": "http://127.0.0.1:9"}])
def test_stale_record_is_ignored(
    record: EmulatorRecord, folder: Path, tmp_path: Path, change: dict[str, str]
) -> None:
    """A record is ignored if its process has ended or its emulator does not answer."""
    _write(folder, "stale", replace(record, **change))
    with pytest.raises(OperatorError, match="no emulator is running"):
        find(folder, tmp_path)


def test_record_of_another_version_is_ignored(record: EmulatorRecord, folder: Path, tmp_path: Path) -> None:
    """Another clone may have another version. Fields that are not known here do no harm."""
    (folder / "other.json").write_text('{"endpoint": 1}')
    (folder / "broken.json").write_text("{")
    (folder / "newer.json").write_bytes(msgspec.json.encode({**msgspec.structs.asdict(record), "more": 1}))
    assert find(folder, tmp_path) == record


def test_no_folder_means_no_emulator(tmp_path: Path) -> None:
    """The error says how to start an emulator."""
    with pytest.raises(OperatorError, match="in another terminal: make local"):
        find(tmp_path / "none", tmp_path)


@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_folder_of_others_is_refused(record: EmulatorRecord, folder: Path, tmp_path: Path, mode: int) -> None:
    """A shell evaluates what a record says, so no other user may write one."""
    _write(folder, "a", record)
    folder.chmod(mode)
    with pytest.raises(OperatorError, match=f"other users can write to {folder}: remove it"):
        find(folder, tmp_path)


def test_folder_that_another_user_owns_is_refused(
    record: EmulatorRecord, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner can write to it, whatever its mode."""
    _write(folder, "a", record)
    monkeypatch.setattr(os, "getuid", lambda: folder.stat().st_uid + 1)
    with pytest.raises(OperatorError, match="other users can write"):
        find(folder, tmp_path)


def test_folder_is_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is in no clone, so that a command that is installed anywhere finds it."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/alice")
    assert directory() == Path("/home/alice/.local/state/gluebrake/emulators")
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert directory() == Path("/state/gluebrake/emulators")
    monkeypatch.setenv(VARIABLE, "/own")
    assert directory() == Path("/own")


def test_exports_are_shell_commands(record: EmulatorRecord) -> None:
    """Outputs become quoted variables. What would select another account or stack is unset."""
    lines = exports(record).splitlines()
    assert lines[0] == "unset AWS_PROFILE AWS_SESSION_TOKEN GLUEBRAKE_ENVIRONMENT GLUEBRAKE_STACK"
    assert f"export AWS_ENDPOINT_URL={record.endpoint}" in lines
    assert "export NO_PROXY=127.0.0.1" in lines
    assert """export DEAD_LETTER_QUEUE_URL='http://queue/it'"'"'s'""" in lines
