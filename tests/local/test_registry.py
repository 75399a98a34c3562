"""What runs is written down for other processes, and what has ended is not taken for it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest

from local import registry as module
from local.aws import REGION
from local.emulator import Emulator
from local.registry import Record, exports, kept, newest


@pytest.fixture
def record(emulator: Emulator) -> Record:
    """Return a record of a deployment that runs."""
    return Record(
        endpoint=emulator.aws.endpoint,
        region=REGION,
        outputs={"DeadLetterQueueUrl": "http://queue/it's"},
        glue_calls="calls",
        pid=os.getpid(),
    )


def test_a_record_is_kept_while_it_runs(
    record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record is found, and is in the file that was named, until its block ends."""
    monkeypatch.setattr(module, "DIRECTORY", tmp_path / "records")
    file = tmp_path / "new" / "file.json"
    with kept(record, also_in=file):
        assert newest(tmp_path / "records") == record
        assert json.loads(file.read_text())["outputs"] == record.outputs
    assert newest(tmp_path / "records") is None
    assert not file.exists()


@pytest.mark.parametrize("change", [{"pid": 2**22 + 1}, {"endpoint": "http://127.0.0.1:9"}])
def test_a_stale_record_is_passed_over(record: Record, tmp_path: Path, change: dict[str, str]) -> None:
    """A record whose process has ended, or whose emulator does not answer, is none."""
    (tmp_path / "stale.json").write_text(json.dumps({**asdict(record), **change}))
    assert newest(tmp_path) is None


def test_exports_are_a_shells_commands(record: Record) -> None:
    """Outputs become variables in a shell's usual spelling, quoted; nothing leads to another account."""
    lines = exports(record).splitlines()
    assert f"export AWS_ENDPOINT_URL={record.endpoint}" in lines
    assert """export DEAD_LETTER_QUEUE_URL='http://queue/it'"'"'s'""" in lines
    assert lines[0] == "unset AWS_PROFILE AWS_SESSION_TOKEN"
