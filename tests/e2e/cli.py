"""Runs the installed command `gluebrake` on a deployment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

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
    """Run a command that must end with an exit code, and return its JSON output."""
    done = subprocess.run(
        ["gluebrake", *arguments, "--json"],
        cwd=ROOT,
        env=environ(deployment),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def dead_letters(deployment: Deployment, *arguments: str) -> list[dict[str, Any]]:
    """Return the dead letters that `gluebrake dead-letters` lists."""
    return list(gluebrake(deployment, "dead-letters", *arguments)["letters"])
