"""A minimal function: boto3 and one call."""

from __future__ import annotations

import json
from typing import Any

import boto3

glue = boto3.client("glue")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Stop the runs that the record names."""
    request = json.loads(event["Records"][0]["body"])
    response = glue.batch_stop_job_run(JobName=request["JobName"], JobRunIds=request["JobRunIds"])
    return {"Errors": response["Errors"]}
