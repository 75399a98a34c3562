"""The development environment: what `make .venv/ready` installs, and that it is the same everywhere."""

from __future__ import annotations

import base64
import csv
import hashlib
import subprocess
import sys
from collections import defaultdict
from importlib.metadata import distribution, distributions
from pathlib import Path
from typing import Final

import gluebrake

SHARED: Final = "aws_cdk/cloud_assembly_schema/__init__.py"
"""Two packages install this file: https://github.com/aws/aws-cdk/issues/38482."""


def test_no_other_file_is_in_two_packages() -> None:
    """With uv, chance decides which of two packages writes a shared file last.

    If this fails because no file is shared any more, remove the second sync of `.venv/synced` in the Makefile.
    """
    owners: dict[str, set[str]] = defaultdict(set)
    for installed in distributions():
        name = installed.name
        for file, _, _ in csv.reader((installed.read_text("RECORD") or "").splitlines()):
            owners[file].add(name)
    shared = {file: names for file, names in owners.items() if len(names) > 1}
    assert shared == {SHARED: {"aws-cdk-lib", "aws-cdk.cloud-assembly-schema"}}


def test_shared_file_is_that_of_aws_cdk_lib() -> None:
    """The environment has the file that pip would leave, which installs aws-cdk-lib after its dependencies."""
    installed = distribution("aws-cdk-lib")
    record = csv.reader((installed.read_text("RECORD") or "").splitlines())
    (expected,) = (digest for file, digest, _ in record if file == SHARED)
    content = Path(str(installed.locate_file(SHARED))).read_bytes()
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    assert f"sha256={digest}" == expected


def test_command_is_installed() -> None:
    """`make .venv/ready` puts `gluebrake` beside Python. It runs the code of the clone."""
    command = Path(sys.executable).with_name("gluebrake")
    done = subprocess.run([command, "--version"], check=True, capture_output=True, text=True)
    assert gluebrake.__version__ in done.stdout
