"""Every command line of docs/command.md works on a deployment, and its IAM policy is sufficient."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from gluebrake_cli.app import app
from gluebrake_cli.errors import PERMISSIONS
from local.emulator import ROOT
from tests.e2e.cli import environ, gluebrake
from tests.e2e.conftest import Deployment

TEXT = (ROOT / "docs" / "command.md").read_text()


def _command_lines() -> list[str]:
    """Return the command lines, without those of sweeps and of environments.

    Sweeps need a stack with policies, and environments need several stacks: their own tests run them.
    """
    blocks = re.findall(r"^```sh\n(.+?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines()]
    return [line for line in lines if not line.startswith(("gluebrake sweep", "gluebrake --environment"))]


@pytest.fixture
def variables(deployment: Deployment) -> Iterator[dict[str, str]]:
    """Start a run and put a dead letter in the queue, for the variables of the command lines."""
    (run_id,) = deployment.start_more("nightly-etl")
    sent = deployment.aws.sqs.send_message(
        QueueUrl=deployment.outputs["DeadLetterQueueUrl"], MessageBody="please"
    )
    yield {"RUN_ID": run_id, "MESSAGE_ID": sent["MessageId"]}
    gluebrake(deployment, "drop", "--message-id", sent["MessageId"], "--yes")


@pytest.mark.parametrize("line", _command_lines())
def test_each_command_line_works(deployment: Deployment, variables: dict[str, str], line: str) -> None:
    """The shell reads each line as it is. `status` ends with 1, because there is a dead letter."""
    environment = environ(deployment) | variables
    if line.startswith("eval"):
        done = _sh(line, environment)
        assert done.returncode == 0, done.stderr
        assert done.stdout
        return
    command, *arguments = _words(line, environment)
    assert command == "gluebrake"
    result = CliRunner().invoke(app, arguments, env=environment, input="y\n")
    assert result.exit_code == (1 if "status" in arguments else 0), (result.stderr, result.exception)
    assert result.stdout


def _words(line: str, environment: dict[str, str]) -> list[str]:
    """Return the words into which the shell splits a line."""
    return _sh(f"printf '%s\\0' {line}", environment).stdout.removesuffix("\0").split("\0")


def _sh(script: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-ec", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def test_the_policy_permits_what_the_command_calls() -> None:
    """The policy permits each operation that is called, and nothing else."""
    (policy,) = re.findall(r"^```json\n(.+?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    actions = [statement["Action"] for statement in json.loads(policy)["Statement"]]
    permitted = [action for entry in actions for action in ([entry] if isinstance(entry, str) else entry)]
    assert sorted(set(permitted)) == sorted(set(PERMISSIONS.values()))
