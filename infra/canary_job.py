"""The script of the canary's job: request the stop of the job's own runs, and wait to be stopped.

AWS Glue copies this file alone and runs it with Python 3.9 and an older boto3:
https://docs.aws.amazon.com/glue/latest/dg/add-job-python.html
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from typing import Any, NoReturn

import boto3

WAIT_SECONDS = 600


class NotStoppedError(Exception):
    """Nothing has stopped the run. Glue shows it as FAILED, with this error."""


def stop_request(job_name: str) -> str:
    """Return a stop request for every active run of a job, as any producer would write it."""
    return json.dumps(
        {
            "JobName": job_name,
            "Select": {},
            "Reason": "The canary requests its own stop, to show that Gluebrake stops runs.",
            "RequestedBy": "canary",
        }
    )


def main(arguments: Sequence[str], *, client: Any = boto3.client, sleep: Any = time.sleep) -> NoReturn:
    """Send the stop request and wait. Raise NotStoppedError, because a run that is stopped gets no further."""
    options = _parse(arguments)
    sqs = client("sqs", region_name=options.gluebrake_region)
    body = stop_request(options.gluebrake_job_name)
    sqs.send_message(QueueUrl=options.gluebrake_stop_queue_url, MessageBody=body)
    sleep(WAIT_SECONDS)
    raise NotStoppedError(f"Gluebrake did not stop this run within {WAIT_SECONDS} seconds of its request.")


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for name in ("--gluebrake_job_name", "--gluebrake_stop_queue_url", "--gluebrake_region"):
        parser.add_argument(name, required=True)
    # Glue adds arguments of its own.
    options, _ = parser.parse_known_args(arguments)
    return options


if __name__ == "__main__":
    main(sys.argv[1:])
