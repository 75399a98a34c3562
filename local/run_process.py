"""The process of a Glue job run: Python with the job's script, and the run's arguments in Glue's form.

A script that imports boto3 calls the emulator as the job's role, as on AWS. Any other script loads no
site-packages, so that many sleeping runs need little memory and time.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ministack.core import tls
from ministack.core.lambda_runtime import execution_credentials
from ministack.core.responses import get_account_id, get_region

from local.aws import HOST

CALLS_AWS: Final = "import boto3"


def start(job: Mapping[str, Any], script: Path, arguments: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start a run's script."""
    calls_aws = CALLS_AWS in script.read_text()
    options = ["-P"] if calls_aws else ["-I", "-S"]
    return subprocess.Popen(
        [sys.executable, *options, script, *itertools.chain.from_iterable(arguments.items())],
        env=_environment(job) if calls_aws else None,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def _environment(job: Mapping[str, Any]) -> dict[str, str]:
    scheme = "https" if tls.use_ssl_enabled() else "http"
    environment = {
        **os.environ,
        **_credentials(job),
        "AWS_ENDPOINT_URL": f"{scheme}://{HOST}:{os.environ['GATEWAY_PORT']}",
    }
    if tls.use_ssl_enabled():
        tls.trust_gateway_cert(environment)
    return environment


def _credentials(job: Mapping[str, Any]) -> dict[str, str]:
    """Return credentials of the job's role, as for a function: ministack creates them for functions only."""
    function = f"arn:aws:lambda:{get_region()}:{get_account_id()}:function:{job['Name']}"
    credentials: dict[str, str] = execution_credentials({"FunctionArn": function, "Role": job["Role"]})
    return credentials
