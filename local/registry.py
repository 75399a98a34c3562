"""What runs on this machine, written down for other processes: where it answers and what was deployed."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from local.aws import HOST, KEY
from local.emulator import ROOT, healthy

DIRECTORY: Final = Path(os.environ.get("GLUEBRAKE_LOCAL_RECORDS", ROOT / "build" / "local"))
"""Where deployments are recorded: what is not to meet another one has a directory of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One deployment. `glue_calls` is a file of JSON lines, one for each call of Glue."""

    endpoint: str
    region: str
    outputs: Mapping[str, str]
    glue_calls: str
    pid: int


@contextlib.contextmanager
def kept(record: Record, *, also_in: Path | None = None) -> Iterator[None]:
    """Keep a record where `newest` looks, and in another file if one is named; remove both at the end."""
    files = [DIRECTORY / f"{record.pid}.json", *([also_in] if also_in else [])]
    text = json.dumps(asdict(record), indent=2) + "\n"
    try:
        for file in files:
            _write(file, text)
        yield
    finally:
        for file in files:
            file.unlink(missing_ok=True)


def newest(directory: Path = DIRECTORY) -> Record | None:
    """Return the deployment that was recorded last and still runs, if there is one."""
    for file in sorted(directory.glob("*.json"), key=lambda file: file.stat().st_mtime, reverse=True):
        record = Record(**json.loads(file.read_text()))
        if _runs(record):
            return record
    return None


def exports(record: Record) -> str:
    """Return a shell's commands that lead the AWS CLI and the SDKs to the deployment."""
    variables = {
        "AWS_ENDPOINT_URL": record.endpoint,
        "AWS_REGION": record.region,
        "AWS_DEFAULT_REGION": record.region,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "AWS_PAGER": "",
        "NO_PROXY": HOST,
        **{_shell_name(name): value for name, value in record.outputs.items()},
    }
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    return "\n".join(["unset AWS_PROFILE AWS_SESSION_TOKEN", *lines])


def _shell_name(output: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", output).upper()


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f"{file.name}.{os.getpid()}")
    unfinished.write_text(text)
    unfinished.replace(file)


def _runs(record: Record) -> bool:
    """Tell a deployment that runs from one that was killed: its port may have been given to another."""
    try:
        os.kill(record.pid, 0)
    except OSError:
        return False
    return healthy(urlsplit(record.endpoint).port or 0)
