"""Runs the command `gluebrake`, or a snippet of the documents, on a deployment.

Most tests run the command in this process, because each new process spends a second on imports.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from gluebrake_cli import shell
from gluebrake_cli.app import app
from local.aws import HOST, KEY, REGION
from local.emulator import ROOT
from tests.e2e.conftest import Deployment


def environ(deployment: Deployment, endpoint: str = "") -> dict[str, str]:
    """Return environment variables with which `gluebrake` is found, and finds the deployment."""
    return {
        **deployment.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "AWS_ENDPOINT_URL": endpoint or deployment.aws.endpoint,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "AWS_DEFAULT_REGION": REGION,
        "NO_PROXY": HOST,
        "COLUMNS": "300",
    }


def gluebrake(deployment: Deployment, *arguments: str, code: int = 0) -> Any:
    """Run a command in this process. It must end with an exit code. Return its JSON output."""
    done = CliRunner().invoke(app, [*arguments, "--json"], env=environ(deployment))
    assert done.exit_code == code, (done.stderr, done.exception)
    return json.loads(done.stdout)


def variables(deployment: Deployment) -> dict[str, str]:
    """Return the variables that `gluebrake env` sets for the outputs."""
    return {shell.variable_name(name): value for name, value in deployment.outputs.items()}


def run(deployment: Deployment, command: list[str]) -> str:
    """Run a command that must succeed, with the variables that `gluebrake env` sets. Return its output."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environ(deployment) | variables(deployment),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def dead_letters(deployment: Deployment, *arguments: str) -> list[dict[str, Any]]:
    """Return the dead letters that `gluebrake dead-letters` lists."""
    return list(gluebrake(deployment, "dead-letters", *arguments)["letters"])
