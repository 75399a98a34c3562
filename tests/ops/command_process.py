"""The command in a process of its own, for a Gluebrake whose outputs are given instead of looked up.

It runs as `python -m tests.ops.command_process OUTPUTS redrive --json`, with OUTPUTS in JSON.
"""

from __future__ import annotations

import json
import sys

import boto3

from ops.__main__ import app
from ops.aws import Brake, Clients

if __name__ == "__main__":
    brake = Brake(Clients(boto3.Session()), "Gluebrake", json.loads(sys.argv[1]))
    app(sys.argv[2:], obj=lambda: brake)
