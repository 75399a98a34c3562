"""Glue, SQS and EventBridge over a real loopback socket, as far as they are used, in a thread."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from botocore.config import Config

from tests.support.fakes.events import Events
from tests.support.fakes.exchange import Call, Json, Reply, ServiceError
from tests.support.fakes.faults import Faults
from tests.support.fakes.glue import Glue
from tests.support.fakes.server import Server
from tests.support.fakes.sqs import Sqs

REGION: Final = "eu-west-1"
ACCOUNT: Final = "123456789012"
BUS: Final = "gluebrake-bus"


class FakeAws(Server):
    """A Glue, an SQS and an EventBridge to point clients at, while the context is entered.

    Set `glue`, `sqs`, `events` and `faults` up between calls, since calls are worked in the server's thread. An
    exception in a fault or in the fake itself is raised again when the context is left. With `tls` it speaks
    TLS, as AWS does.
    """

    def __init__(
        self, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC), tls: ssl.SSLContext | None = None
    ) -> None:
        super().__init__(self.reply, tls=tls)
        self.glue = Glue(clock=clock, region=REGION, account=ACCOUNT)
        self.sqs = Sqs(clock=clock, region=REGION, account=ACCOUNT)
        self.events = Events(BUS)
        self.faults = Faults()
        self.calls: list[Call] = []
        self._operations: dict[str, Callable[[Json], Json]] = {
            "BatchStopJobRun": self.glue.batch_stop_job_run,
            "GetJobRun": self.glue.get_job_run,
            "GetJobRuns": self.glue.get_job_runs,
            "GetTags": self.glue.get_tags,
            "SendMessageBatch": self.sqs.send_message_batch,
            "DeleteMessageBatch": self.sqs.delete_message_batch,
            "ReceiveMessage": self.sqs.receive_message,
            "ChangeMessageVisibilityBatch": self.sqs.change_message_visibility_batch,
            "GetQueueAttributes": self.sqs.get_queue_attributes,
            "PutEvents": self.events.put_events,
        }

    @property
    def client_options(self) -> dict[str, Any]:
        """What `boto3.client` takes to talk to this fake: made-up credentials, no retries, no proxy."""
        return {
            "endpoint_url": self.endpoint,
            "region_name": REGION,
            "aws_access_key_id": "fake",
            "aws_secret_access_key": "fake",
            "config": Config(retries={"total_max_attempts": 1}, proxies={}, max_pool_connections=100),
        }

    def requests(self, operation: str) -> list[Json]:
        """List the parameters of each call of an operation, in order; refused and lost ones too."""
        return [call.parameters for call in self.calls if call.operation == operation]

    def reply(self, call: Call) -> Reply:
        """Record the call and have it answered, through the faults in force."""
        self.calls.append(call)
        return self.faults.reply(call, self._answer)

    def _answer(self, call: Call) -> Reply:
        operation = self._operations.get(call.operation)
        if operation is None:
            return ServiceError("UnknownOperationException").reply
        try:
            return Reply(payload=operation(call.parameters))
        except ServiceError as error:
            return error.reply
