"""The commands of `python -m local`, as a user types them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from local.emulator import ROOT
from tests.e2e.conftest import Deployment
from tests.eventually import eventually

PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"


def _shell(commands: str, deployment: Deployment) -> str:
    done = subprocess.run(
        ["sh", "-ec", commands],
        cwd=ROOT,
        env={**deployment.environ, "PATH": PATH},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _readme() -> str:
    """Return all AWS CLI commands of the README, as one script."""
    blocks = re.findall(r"^```\n(.+?)^```$", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    return "\n".join(block for block in blocks if re.search(r"\baws [a-z]|-m local env", block))


def test_the_readmes_commands_work(deployment: Deployment) -> None:
    """The README's AWS CLI commands, typed one after the other, succeed and stop a run."""
    run_id = _shell(f'{_readme()}\necho "$RUN_ID"', deployment).splitlines()[-1]
    eventually(lambda: deployment.state("nightly-etl", run_id) == "STOPPED")


def test_env_shows_every_output(deployment: Deployment) -> None:
    """Each output of the stack is a variable named after it."""
    shown = 'eval "$(python -m local env)"; echo "$DEAD_LETTER_QUEUE_URL $EVENT_BUS_NAME"'
    assert _shell(shown, deployment) == (
        f"{deployment.outputs['DeadLetterQueueUrl']} {deployment.outputs['EventBusName']}"
    )


def test_the_demo_succeeds() -> None:
    """The demonstration ends with success: everything in it became what it had to."""
    done = subprocess.run(
        [sys.executable, "-m", "local", "demo"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_a_wrong_config_is_told(tmp_path: Path) -> None:
    """A configuration that the stack refuses ends `up` with what the app says of it."""
    config = tmp_path / "config.json"
    config.write_text('{"batchSize": 1000, "batchWindowSeconds": 0}')
    done = subprocess.run(
        [sys.executable, "-m", "local", "up", "--config", config],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "a batchSize over 10 needs a batchWindowSeconds" in done.stderr
