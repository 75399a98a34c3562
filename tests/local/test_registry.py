"""Other processes find a running deployment, and no deployment that has ended."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest

from local import registry as module
from local.aws import REGION
from local.emulator import Emulator
from local.registry import DeploymentRecord, exports, latest, registered


@pytest.fixture
def record(emulator: Emulator) -> DeploymentRecord:
    """Return the record of a running deployment."""
    return DeploymentRecord(
        endpoint=emulator.aws.endpoint,
        region=REGION,
        outputs={"DeadLetterQueueUrl": "http://queue/it's"},
        glue_calls="calls",
        pid=os.getpid(),
    )


def test_record_exists_while_the_deployment_runs(
    record: DeploymentRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record is found, and is in the file of `also_in`, until the end of the block."""
    monkeypatch.setattr(module, "DIRECTORY", tmp_path / "records")
    file = tmp_path / "new" / "file.json"
    with registered(record, also_in=file):
        assert latest(tmp_path / "records") == record
        assert json.loads(file.read_text())["outputs"] == record.outputs
    assert latest(tmp_path / "records") is None
    assert not file.exists()


@pytest.mark.parametrize("change", [{"pid": 2**22 + 1}, {"endpoint": "http://127.0.0.1:9"}])
def test_stale_record_is_ignored(record: DeploymentRecord, tmp_path: Path, change: dict[str, str]) -> None:
    """A record is ignored if its process has ended or its emulator does not answer."""
    (tmp_path / "stale.json").write_text(json.dumps({**asdict(record), **change}))
    assert latest(tmp_path) is None


def test_exports_are_shell_commands(record: DeploymentRecord) -> None:
    """Outputs become upper-case variables with quoted values. Profile and session token are unset."""
    lines = exports(record).splitlines()
    assert f"export AWS_ENDPOINT_URL={record.endpoint}" in lines
    assert """export DEAD_LETTER_QUEUE_URL='http://queue/it'"'"'s'""" in lines
    assert lines[0] == "unset AWS_PROFILE AWS_SESSION_TOKEN"
