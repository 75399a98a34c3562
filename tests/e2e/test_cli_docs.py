"""Every command line of docs/command.md works on a deployment, and its IAM policy is sufficient."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator

import pytest

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
    """Each line is run as it is. `status` ends with 1, because there is a dead letter."""
    command, *arguments = shlex.split(line.removeprefix('eval "$(').replace(')"', "", 1))
    done = subprocess.run(
        ["sh", "-ec", line],
        cwd=ROOT,
        env=environ(deployment) | variables,
        input="y\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert command == "gluebrake"
    assert done.returncode == (1 if "status" in arguments else 0), done.stderr
    assert done.stdout


def test_the_policy_permits_what_the_command_calls() -> None:
    """The policy permits each operation that is called, and nothing else."""
    (policy,) = re.findall(r"^```json\n(.+?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    actions = [statement["Action"] for statement in json.loads(policy)["Statement"]]
    permitted = [action for entry in actions for action in ([entry] if isinstance(entry, str) else entry)]
    assert sorted(set(permitted)) == sorted(set(PERMISSIONS.values()))
