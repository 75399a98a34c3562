"""Sample Glue jobs: scripts that sleep, as Python shell jobs unless a caller wants another type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from local.aws import ACCOUNT, Aws

BUCKET: Final = "glue-scripts"
ROLE: Final = f"arn:aws:iam::{ACCOUNT}:role/glue"
SECONDS: Final = "--seconds"
STARTED_MINUTES_AGO: Final = "--started-minutes-ago"
"""An argument of the emulator's Glue that gives a run an age from its start."""

NO_ARGUMENTS: Final[Mapping[str, str]] = {}
NO_TAGS: Final[Mapping[str, str]] = {}
SCRIPT_KEY: Final = "wait.py"
SCRIPT: Final = f"""\
import sys, time

time.sleep(float(sys.argv[sys.argv.index("{SECONDS}") + 1]))
"""


def create(
    aws: Aws,
    names: Iterable[str],
    *,
    tags: Mapping[str, str] = NO_TAGS,
    job_type: str = "pythonshell",
    bucket: str = BUCKET,
) -> None:
    """Create jobs whose runs take an hour by default. A run's argument `--seconds` overrides it.

    A bucket name belongs to one account, so each further account needs another `bucket`.
    """
    aws.put_object(bucket, SCRIPT_KEY, SCRIPT.encode())
    for name in names:
        aws.glue.create_job(Name=name, MaxCapacity=0.0625, Tags=tags, **_definition(job_type, bucket))


def create_spark(aws: Aws, name: str, *, workers: int, tags: Mapping[str, str] = NO_TAGS) -> None:
    """Create a Spark job with workers of one DPU each. The emulator runs its script as plain Python."""
    aws.put_object(BUCKET, SCRIPT_KEY, SCRIPT.encode())
    aws.glue.create_job(
        Name=name, WorkerType="G.1X", NumberOfWorkers=workers, Tags=tags, **_definition("glueetl", BUCKET)
    )


def _definition(job_type: str, bucket: str) -> dict[str, Any]:
    """Return the common part of the definitions of all sample jobs."""
    return {
        "Role": ROLE,
        "Command": {
            "Name": job_type,
            "ScriptLocation": f"s3://{bucket}/{SCRIPT_KEY}",
            "PythonVersion": "3.9",
        },
        "DefaultArguments": {SECONDS: "3600"},
        "ExecutionProperty": {"MaxConcurrentRuns": 1000},
    }


def start(aws: Aws, name: str, count: int, arguments: Mapping[str, str] = NO_ARGUMENTS) -> list[str]:
    """Start runs of a job and return their ids."""
    return [aws.glue.start_job_run(JobName=name, Arguments=arguments)["JobRunId"] for _ in range(count)]
