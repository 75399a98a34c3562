"""The commands of `python -m local`, and the README's commands on a local deployment."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from local.emulator import ROOT
from local.up import CONFIG
from tests.docs.document import Document
from tests.e2e.conftest import Deployment
from tests.support.eventually import eventually

README = Document(ROOT / "README.md")
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


def _commands(heading: str) -> str:
    """Return the commands under a heading of the README, as one script."""
    return "\n".join(block for block in README.fences(heading) if re.search(r"\baws [a-z]|-m local env", block))


def test_commands_of_the_readme_stop_a_run(deployment: Deployment) -> None:
    """The README's AWS CLI commands, in their order, succeed and stop a run."""
    commands = f"{_commands('Ask for runs to be stopped')}\n{_commands('See what became of it')}"
    run_id = _shell(f'{commands}\necho "$RUN_ID"', deployment).splitlines()[-1]
    eventually(lambda: deployment.state("nightly-etl", run_id) == "STOPPED")


def test_readme_follows_an_alarm_from_end_to_end(deployment: Deployment) -> None:
    """The README's commands connect an alarm, and show the stop's metric and its requester in the log."""
    connect, fire, *queries = README.fences("An alarm, from end to end")
    (log_group,) = re.findall(r"^log_group\(\) \{.*?^\}$", README.path.read_text(), re.DOTALL | re.MULTILINE)
    setup = f'eval "$(python -m local env)"\n{log_group}\n'
    run_id = _shell(f'{setup}{connect}{fire}echo "$RUN_ID"', deployment).splitlines()[-1]
    eventually(lambda: deployment.state("nightly-etl", run_id) == "STOPPED")
    metric_on_aws, metric_in_log, requester = (f"{setup}RUN_ID={run_id}\n{block}" for block in queries)
    assert '"Label": "Stopped"' in _shell(metric_on_aws, deployment)
    eventually(lambda: '"Stopped":[1]' in _shell(metric_in_log, deployment))
    line = json.loads(eventually(lambda: _shell(requester, deployment)))
    assert (line["outcome"], line["job_run_id"]) == ("Stopped", run_id)
    assert line["requested_by"].endswith(":alarm:nightly-etl-too-long")
    assert line["reason"] == "alarm nightly-etl-too-long: to see it work"


def test_the_default_configuration_allows_the_readmes_alarm() -> None:
    """The emulator performs the actions of every alarm. AWS needs a prefix of its name in `stopOnAlarms`."""
    (name,) = re.findall(r"--alarm-name (\S+)", README.fences("An alarm, from end to end")[0])
    assert name.startswith(tuple(json.loads(CONFIG.read_text())["stopOnAlarms"]))


def test_env_sets_every_output(deployment: Deployment) -> None:
    """`env` sets a variable for each output of the stack."""
    commands = 'eval "$(python -m local env)"; echo "$DEAD_LETTER_QUEUE_URL $EVENT_BUS_NAME"'
    assert _shell(commands, deployment) == (
        f"{deployment.outputs['DeadLetterQueueUrl']} {deployment.outputs['EventBusName']}"
    )


def test_demo_succeeds_and_its_picture_is_current(tmp_path: Path) -> None:
    """Everything in the demo is as expected, and the README's picture shows its current output."""
    picture = tmp_path / "demo.svg"
    process = subprocess.run(
        [sys.executable, "-m", "local", "demo", "--svg", picture],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stdout
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
