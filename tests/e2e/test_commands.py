"""The commands of `python -m local`, and the README's commands on a local deployment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from local.emulator import ROOT
from tests.e2e.conftest import Deployment

PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"


def _shell(commands: str, deployment: Deployment) -> str:
    process = subprocess.run(
        ["sh", "-ec", commands],
        cwd=ROOT,
        env={**deployment.environ, "PATH": PATH},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout.strip()


def test_env_sets_every_output(deployment: Deployment) -> None:
    """`gluebrake env --local` sets a variable for each output of the stack, outside of the clone too."""
    commands = 'cd /; eval "$(gluebrake env --local)"; echo "$DEAD_LETTER_QUEUE_URL $EVENT_BUS_NAME"'
    assert _shell(commands, deployment) == (
        f"{deployment.outputs['DeadLetterQueueUrl']} {deployment.outputs['EventBusName']}"
    )


def test_demo_succeeds_and_its_picture_is_current(tmp_path: Path) -> None:
    """Everything in the demo is as expected, and the README's picture shows its current output.

    Into a file, the demo writes lines of at most 80 columns, without colours.
    """
    picture = tmp_path / "demo.svg"
    process = subprocess.run(
        [sys.executable, "-m", "local", "demo", "--svg", picture],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stdout
    assert "\n41 runs stopped in 5 calls: " in process.stdout
    assert "\x1b" not in process.stdout
    assert max(map(len, process.stdout.splitlines())) <= 80
    assert picture.read_text() == (ROOT / "docs" / "pictures" / "demo.svg").read_text()


def test_invalid_config_is_reported(tmp_path: Path) -> None:
    """If the stack refuses the configuration, `up` ends with the app's error message."""
    config = tmp_path / "config.json"
    config.write_text('{"batchSize": 1000, "batchWindowSeconds": 0}')
    process = subprocess.run(
        [sys.executable, "-m", "local", "up", "--config", config],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 1
    assert "a batchSize over 10 needs a batchWindowSeconds" in process.stderr
