"""Sample Glue jobs: Python shell scripts that sleep."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from local.aws import ACCOUNT, Aws

BUCKET: Final = "glue-scripts"
ROLE: Final = f"arn:aws:iam::{ACCOUNT}:role/glue"
SECONDS: Final = "--seconds"
NO_ARGUMENTS: Final[Mapping[str, str]] = {}
SCRIPT: Final = f"""\
import sys, time

time.sleep(float(sys.argv[sys.argv.index("{SECONDS}") + 1]))
"""


def create(aws: Aws, names: Iterable[str]) -> None:
    """Create jobs whose runs take an hour by default. A run's argument `--seconds` overrides it."""
    aws.put_object(BUCKET, "wait.py", SCRIPT.encode())
    for name in names:
        aws.glue.create_job(
            Name=name,
            Role=ROLE,
            Command={"Name": "pythonshell", "ScriptLocation": f"s3://{BUCKET}/wait.py", "PythonVersion": "3.9"},
            DefaultArguments={SECONDS: "3600"},
            ExecutionProperty={"MaxConcurrentRuns": 1000},
            MaxCapacity=0.0625,
        )


def start(aws: Aws, name: str, count: int, arguments: Mapping[str, str] = NO_ARGUMENTS) -> list[str]:
    """Start runs of a job and return their ids."""
    return [aws.glue.start_job_run(JobName=name, Arguments=arguments)["JobRunId"] for _ in range(count)]
