"""The parts of Glue, SQS, EventBridge and SNS that Gluebrake uses, served on a loopback socket."""

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
from tests.support.fakes.sns import Sns
from tests.support.fakes.sqs import Sqs

REGION: Final = "eu-west-1"
ACCOUNT: Final = "123456789012"
BUS: Final = "gluebrake-bus"
TOPIC_ARN: Final = f"arn:aws:sns:{REGION}:{ACCOUNT}:gluebrake-notices"


class FakeAws(Server):
    """A server of Glue, SQS, EventBridge and SNS for clients. It runs while the context is entered.

    Set up the services and `faults` between calls, since the server's thread handles calls. An exception in a
    fault or in the fake is raised again when the context exits. With `tls` the server speaks TLS, as AWS does.
    """

    def __init__(
        self, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC), tls: ssl.SSLContext | None = None
    ) -> None:
        super().__init__(self.reply, tls=tls)
        self.glue = Glue(clock=clock, region=REGION, account=ACCOUNT)
        self.sqs = Sqs(clock=clock, region=REGION, account=ACCOUNT)
        self.events = Events(BUS)
        self.sns = Sns(TOPIC_ARN)
        self.faults = Faults()
        self.calls: list[Call] = []
        self._operations: dict[str, Callable[[Json], Json]] = {
            "BatchGetJobs": self.glue.batch_get_jobs,
            "BatchStopJobRun": self.glue.batch_stop_job_run,
            "GetJobRun": self.glue.get_job_run,
            "GetJobRuns": self.glue.get_job_runs,
            "GetTags": self.glue.get_tags,
            "ListJobs": self.glue.list_jobs,
            "StartJobRun": self.glue.start_job_run,
            "TagResource": self.glue.tag_resource,
            "UntagResource": self.glue.untag_resource,
            "SendMessageBatch": self.sqs.send_message_batch,
            "DeleteMessageBatch": self.sqs.delete_message_batch,
            "ReceiveMessage": self.sqs.receive_message,
            "ChangeMessageVisibilityBatch": self.sqs.change_message_visibility_batch,
            "GetQueueAttributes": self.sqs.get_queue_attributes,
            "PutEvents": self.events.put_events,
            "Publish": self.sns.publish,
        }

    @property
    def client_options(self) -> dict[str, Any]:
        """The options of `boto3.client` for this fake: fake credentials, no retries, no proxy."""
        return {
            "endpoint_url": self.endpoint,
            "region_name": REGION,
            "aws_access_key_id": "fake",
            "aws_secret_access_key": "fake",
            "config": Config(retries={"total_max_attempts": 1}, proxies={}, max_pool_connections=100),
        }

    def requests(self, operation: str) -> list[Json]:
        """List the parameters of each call of an operation, in order. Refused and lost calls are included."""
        return [call.parameters for call in self.calls if call.operation == operation]

    def reply(self, call: Call) -> Reply:
        """Record the call and answer it through the active faults."""
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
