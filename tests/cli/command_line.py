"""Runs the command line in this process, against the fakes of SQS and Glue."""

from __future__ import annotations

import json
from typing import Any, Final

from typer.testing import CliRunner, Result

from gluebrake_cli.app import app
from gluebrake_cli.stack import Deployment
from tests.support.fakes.aws_server import ACCOUNT, REGION
from tests.support.simulated_aws import SimulatedAws

STACK_ID: Final = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/Gluebrake/5f2d9a31"
PLACE: Final = f"in {REGION} (account {ACCOUNT})"
"""How a question and a result name the Region and the account."""


def invoke(deployment: Deployment, *arguments: str) -> Result:
    """Run a command and return its result, whatever its exit code."""
    return CliRunner().invoke(app, arguments, obj=lambda **_: deployment)


def run(deployment: Deployment, *arguments: str, answer: str = "", code: int = 0) -> Result:
    """Run a command that must end with an exit code; `answer` is typed at its question."""
    result = CliRunner().invoke(app, arguments, input=answer, obj=lambda **_: deployment)
    assert result.exit_code == code, result.output
    return result


def run_json(deployment: Deployment, *arguments: str, code: int = 0) -> Any:
    """Run a command with `--json` and return the decoded output."""
    return json.loads(run(deployment, *arguments, "--json", code=code).stdout)


def put_dead_letter(simulation: SimulatedAws, run_id: str, code: str, job_name: str = "etl") -> str:
    """Put a stop request with an error code in the dead-letter queue, and return its message id."""
    body = json.dumps({"JobName": job_name, "JobRunIds": [run_id]})
    attributes = {"ERROR_CODE": {"DataType": "String", "StringValue": code}}
    return simulation.dead_letter_queue.put(body, attributes=attributes).message_id
