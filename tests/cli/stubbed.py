"""Clients with prepared answers."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.stub import Stubber

from gluebrake_cli.clients import Clients
from gluebrake_cli.stack import Deployment
from tests.cli.command_line import STACK_ID

OUTPUTS = {
    "StopQueueUrl": "https://sqs/1/stop",
    "ConfirmQueueUrl": "https://sqs/1/confirm",
    "DeadLetterQueueUrl": "https://sqs/1/dead",
    "StopFunctionName": "stopper",
    "ConfirmFunctionName": "confirmer",
}


class Stubbed:
    """Clients with prepared answers. Each call is checked against the service's own model."""

    def __init__(self) -> None:
        session = boto3.Session("key", "secret", region_name="eu-west-1")
        self.clients = Clients(session)
        self.deployment = Deployment(self.clients, STACK_ID, OUTPUTS)
        self._stubbers: dict[str, Stubber] = {}

    def of(self, service: str) -> Stubber:
        """Return the stubber of a service."""
        if service not in self._stubbers:
            self._stubbers[service] = Stubber(getattr(self.clients, service))
            self._stubbers[service].activate()
        return self._stubbers[service]

    def answer(self, service: str, operation: str, answer: dict[str, Any], **expected: Any) -> None:
        """Prepare the answer to the next call of a service."""
        self.of(service).add_response(operation, answer, expected)

    def check(self) -> None:
        """Check that every prepared call was made."""
        for stubber in self._stubbers.values():
            stubber.assert_no_pending_responses()
