"""The emulators that `make local` runs on this machine, read from the user's records of emulators."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from gluebrake_cli import shell
from gluebrake_cli.errors import OperatorError

VARIABLE: Final = "GLUEBRAKE_LOCAL_RECORDS"
"""The environment variable for another folder of records, for example to separate the emulators of tests."""

_UNSET: Final = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "GLUEBRAKE_ENVIRONMENT", "GLUEBRAKE_STACK")
"""Variables that could select another account or stack instead of the emulator's."""

_NOT_RUNNING: Final = "no emulator is running. Start one in a clone, in another terminal: make local"


class EmulatorRecord(Struct, frozen=True, kw_only=True):
    """An emulator with a deployed stack."""

    endpoint: str
    region: str
    key: str
    """The id and the secret of the emulator's access key, which are equal."""
    outputs: Mapping[str, str]
    clone: str
    """The folder of the clone that runs the emulator."""
    pid: int
    """The id of the process that runs the emulator, and ends it."""


def directory() -> Path:
    """Return the folder with one file for each emulator. Only the user can write to it.

    Its location follows https://specifications.freedesktop.org/basedir-spec/latest/.
    """
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(os.environ.get(VARIABLE) or Path(state) / "gluebrake" / "emulators")


def find(folder: Path, working_directory: Path) -> EmulatorRecord:
    """Return the emulator of the clone that has the working directory, else the emulator that started last.

    Raise OperatorError if none is running.
    """
    running = [record for record in _newest_first(folder) if _is_running(record)]
    own = [record for record in running if working_directory.is_relative_to(record.clone)]
    if not running:
        raise OperatorError(_NOT_RUNNING)
    return [*own, *running][0]


def exports(record: EmulatorRecord) -> str:
    """Return shell commands that point the AWS CLI, the SDKs and `gluebrake` to the emulator."""
    variables = {
        "AWS_ENDPOINT_URL": record.endpoint,
        "AWS_REGION": record.region,
        "AWS_DEFAULT_REGION": record.region,
        "AWS_ACCESS_KEY_ID": record.key,
        "AWS_SECRET_ACCESS_KEY": record.key,
        "AWS_PAGER": "",
        "NO_PROXY": urlsplit(record.endpoint).hostname or "",
    }
    return f"unset {' '.join(_UNSET)}\n{shell.exports(variables, record.outputs)}"


def _newest_first(folder: Path) -> Sequence[EmulatorRecord]:
    """Read the records. A shell evaluates them, so raise OperatorError if another user could write one."""
    if not folder.is_dir():
        return []
    status = folder.stat()
    if status.st_uid != os.getuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise OperatorError(f"other users can write to {folder}: remove it, and start the emulator again")
    found: list[tuple[float, bytes]] = []
    for file in folder.glob("*.json"):
        with contextlib.suppress(FileNotFoundError):  # the emulator of the record has just ended
            found.append((file.stat().st_mtime, file.read_bytes()))
    return [record for _, text in sorted(found, reverse=True) if (record := _decoded(text))]


def _decoded(text: bytes) -> EmulatorRecord | None:
    """Decode a record. Return None for a record of another version, which only that version's command reads."""
    try:
        return msgspec.json.decode(text, type=EmulatorRecord)
    except msgspec.MsgspecError:
        return None


def _is_running(record: EmulatorRecord) -> bool:
    """Return whether process and endpoint both respond. Another program may use the port of a dead emulator."""
    endpoint = urlsplit(record.endpoint)
    try:
        os.kill(record.pid, 0)
        socket.create_connection((endpoint.hostname, endpoint.port), timeout=2).close()
    except OSError:
        return False
    return True
