"""The command in a process of its own, for a Gluebrake whose outputs are given instead of looked up.

It runs as `python -m tests.cli.command_process OUTPUTS redrive --json`, with OUTPUTS in JSON.
"""

from __future__ import annotations

import json
import sys

import boto3

from gluebrake_cli.__main__ import app
from gluebrake_cli.aws import Clients, Deployment

if __name__ == "__main__":
    deployment = Deployment(Clients(boto3.Session()), "Gluebrake", json.loads(sys.argv[1]))
    app(sys.argv[2:], obj=lambda: deployment)
