"""The record of a deployment on this machine, which `gluebrake env --local` finds."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from gluebrake_cli import emulators
from gluebrake_cli.emulators import EmulatorRecord


class DeploymentRecord(EmulatorRecord, frozen=True, kw_only=True):
    """A deployment, as `local up --json` describes it."""

    glue_calls: str
    """A file of JSON lines, one for each Glue call."""


@contextlib.contextmanager
def registered(record: DeploymentRecord, *, also_in: Path | None = None) -> Iterator[None]:
    """Write a record for `gluebrake`, and a copy to `also_in` if given. Remove both at the end of the block."""
    directory = emulators.directory()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    files = [directory / f"{record.pid}.json", *([also_in] if also_in else [])]
    text = msgspec.json.format(msgspec.json.encode(record)) + b"\n"
    try:
        for file in files:
            _write(file, text)
        yield
    finally:
        for file in files:
            file.unlink(missing_ok=True)


def _write(file: Path, text: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f"{file.name}.{os.getpid()}")
    temporary.write_bytes(text)
    temporary.replace(file)
