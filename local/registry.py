"""The deployments that run on this machine, in files that other processes read."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from gluebrake_cli import shell
from local.aws import HOST, KEY
from local.emulator import ROOT, healthy

DIRECTORY: Final = Path(os.environ.get("GLUEBRAKE_LOCAL_RECORDS", ROOT / "build" / "local"))
"""One file for each deployment. The variable separates deployments that must not find each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentRecord:
    """One deployment. `glue_calls` is a file of JSON lines, one for each Glue call."""

    endpoint: str
    region: str
    outputs: Mapping[str, str]
    glue_calls: str
    pid: int


@contextlib.contextmanager
def registered(record: DeploymentRecord, *, also_in: Path | None = None) -> Iterator[None]:
    """Write a record for `latest`, and to `also_in` if it is given. Remove both at the end of the block."""
    files = [DIRECTORY / f"{record.pid}.json", *([also_in] if also_in else [])]
    text = json.dumps(asdict(record), indent=2) + "\n"
    try:
        for file in files:
            _write(file, text)
        yield
    finally:
        for file in files:
            file.unlink(missing_ok=True)


def latest(directory: Path = DIRECTORY) -> DeploymentRecord | None:
    """Return the latest deployment that is still running, if there is one."""
    for file in sorted(directory.glob("*.json"), key=lambda file: file.stat().st_mtime, reverse=True):
        record = DeploymentRecord(**json.loads(file.read_text()))
        if _is_running(record):
            return record
    return None


def exports(record: DeploymentRecord) -> str:
    """Return shell commands that point the AWS CLI and the SDKs to the deployment."""
    variables = {
        "AWS_ENDPOINT_URL": record.endpoint,
        "AWS_REGION": record.region,
        "AWS_DEFAULT_REGION": record.region,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "AWS_PAGER": "",
        "NO_PROXY": HOST,
    }
    return f"unset AWS_PROFILE AWS_SESSION_TOKEN\n{shell.exports(variables, record.outputs)}"


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f"{file.name}.{os.getpid()}")
    temporary.write_text(text)
    temporary.replace(file)


def _is_running(record: DeploymentRecord) -> bool:
    """Return whether process and endpoint both answer. A later emulator may have got the port of a dead one."""
    try:
        os.kill(record.pid, 0)
    except OSError:
        return False
    return healthy(urlsplit(record.endpoint).port or 0)
