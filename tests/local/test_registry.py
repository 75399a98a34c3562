"""`gluebrake env --local` finds a running deployment, and no deployment that has ended."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from gluebrake_cli import emulators
from gluebrake_cli.errors import OperatorError
from local.aws import KEY, REGION
from local.emulator import Emulator
from local.registry import DeploymentRecord, registered


def test_record_exists_while_the_deployment_runs(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record is found, and is in the file of `also_in`, until the end of the block."""
    record = DeploymentRecord(
        endpoint=emulator.aws.endpoint,
        region=REGION,
        key=KEY,
        outputs={"DeadLetterQueueUrl": "http://queue"},
        clone=str(tmp_path),
        glue_calls="calls",
        pid=os.getpid(),
    )
    records = tmp_path / "new" / "records"
    monkeypatch.setenv(emulators.VARIABLE, str(records))
    file = tmp_path / "new" / "file.json"
    with registered(record, also_in=file):
        assert emulators.find(records, tmp_path).endpoint == record.endpoint
        assert json.loads(file.read_text())["glue_calls"] == "calls"
        assert stat.S_IMODE(records.stat().st_mode) == 0o700
    with pytest.raises(OperatorError, match="no emulator is running"):
        emulators.find(records, tmp_path)
    assert not file.exists()
