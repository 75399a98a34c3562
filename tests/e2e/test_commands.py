"""The commands of `python -m local`, as a user types them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from local.emulator import ROOT
from tests.docs.document import Document
from tests.e2e.conftest import Deployment
from tests.support.eventually import eventually

README = Document(ROOT / "README.md")
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


def _commands(heading: str) -> str:
    """Return the commands that stand under a heading of the README, as one script."""
    return "\n".join(block for block in README.fences(heading) if re.search(r"\baws [a-z]|-m local env", block))


def test_the_readmes_commands_work(deployment: Deployment) -> None:
    """The README's AWS CLI commands, typed one after the other, succeed and stop a run."""
    commands = f"{_commands('Ask for runs to be stopped')}\n{_commands('See what became of it')}"
    run_id = _shell(f'{commands}\necho "$RUN_ID"', deployment).splitlines()[-1]
    eventually(lambda: deployment.state("nightly-etl", run_id) == "STOPPED")


def test_an_alarm_is_followed_from_end_to_end(deployment: Deployment) -> None:
    """Who has read only the README wires an alarm, sees the stop in the metrics and finds out who asked."""
    wire, raise_it, *look = README.fences("An alarm, from end to end")
    (log_group,) = re.findall(r"^log_group\(\) \{.*?^\}$", README.path.read_text(), re.DOTALL | re.MULTILINE)
    ready = f'eval "$(python -m local env)"\n{log_group}\n'
    run_id = _shell(f'{ready}{wire}{raise_it}echo "$RUN_ID"', deployment).splitlines()[-1]
    eventually(lambda: deployment.state("nightly-etl", run_id) == "STOPPED")
    on_aws, metrics, who = (f"{ready}RUN_ID={run_id}\n{block}" for block in look)
    assert '"Label": "Stopped"' in _shell(on_aws, deployment)
    eventually(lambda: '"Stopped":[1]' in _shell(metrics, deployment))
    line = json.loads(eventually(lambda: _shell(who, deployment)))
    assert (line["outcome"], line["job_run_id"]) == ("Stopped", run_id)
    assert line["requested_by"].endswith(":alarm:nightly-etl-too-long")
    assert line["reason"] == "alarm nightly-etl-too-long: to see it work"


def test_env_shows_every_output(deployment: Deployment) -> None:
    """Each output of the stack is a variable named after it."""
    shown = 'eval "$(python -m local env)"; echo "$DEAD_LETTER_QUEUE_URL $EVENT_BUS_NAME"'
    assert _shell(shown, deployment) == (
        f"{deployment.outputs['DeadLetterQueueUrl']} {deployment.outputs['EventBusName']}"
    )


def test_the_demo_succeeds_and_looks_as_in_the_readme(tmp_path: Path) -> None:
    """In the demonstration everything becomes what it has to, and the README's picture is what it shows."""
    picture = tmp_path / "demo.svg"
    done = subprocess.run(
        [sys.executable, "-m", "local", "demo", "--svg", picture],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert picture.read_text() == (ROOT / "docs" / "pictures" / "demo.svg").read_text()


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
