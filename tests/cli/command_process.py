"""Runs the command in its own process, with a deployment whose outputs are given instead of looked up.

For example `python -m tests.cli.command_process OUTPUTS redrive --json`, with OUTPUTS in JSON.
"""

from __future__ import annotations

import json
import sys

import boto3

from gluebrake_cli.app import app
from gluebrake_cli.clients import Clients
from gluebrake_cli.stack import Deployment
from tests.cli.command_line import STACK_ID

if __name__ == "__main__":
    deployment = Deployment(Clients(boto3.Session()), STACK_ID, json.loads(sys.argv[1]))
    app(sys.argv[2:], obj=lambda **_: deployment)
