"""A fault-injecting proxy between the deployed functions and the emulator."""

from __future__ import annotations

import contextlib
import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Final
from urllib.parse import urlsplit

from local.aws import KEY, REGION
from tests.support.fakes.exchange import Call, Ending, Json, Reply
from tests.support.fakes.faults import Faults
from tests.support.fakes.server import Server

CALLS_AT_ONCE: Final = 64

_GLUE: Final = ("AWSGlue", "glue")
_OTHER_SERVICES: Final = {
    "SendMessageBatch": ("AmazonSQS", "sqs"),
    "DeleteMessageBatch": ("AmazonSQS", "sqs"),
    "PutEvents": ("AWSEvents", "events"),
}
"""By operation that is not one of Glue: the prefix of its target header, and its signing name."""


class Proxy(Server):
    """A server that forwards calls of Glue, SQS and EventBridge to an endpoint, through the active faults."""

    def __init__(self, endpoint: str) -> None:
        self._pool = ThreadPoolExecutor(CALLS_AT_ONCE, thread_name_prefix="proxy")
        super().__init__(self._reply_to, replying=self._pool)
        self.faults = Faults()
        self.calls: list[Call] = []
        self._upstream = urlsplit(endpoint).netloc

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self._pool.shutdown()

    def requests(self, operation: str) -> list[Json]:
        """Return the parameters of each call of an operation, in order, also of refused and lost calls."""
        return [call.parameters for call in tuple(self.calls) if call.operation == operation]

    def _reply_to(self, call: Call) -> Reply:
        self.calls.append(call)
        return self.faults.reply(call, self._forward)

    def _forward(self, call: Call) -> Reply:
        prefix, service = _OTHER_SERVICES.get(call.operation, _GLUE)
        headers = {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"{prefix}.{call.operation}",
            "Authorization": f"AWS4-HMAC-SHA256 Credential={KEY}/20261124/{REGION}/{service}/aws4_request",
        }
        # Each call has its own connection, since a stale connection would be an additional fault.
        with contextlib.closing(http.client.HTTPConnection(self._upstream)) as upstream:
            try:
                upstream.request("POST", "/", json.dumps(call.parameters), headers)
                answer = upstream.getresponse()
                payload = json.loads(answer.read() or b"{}")
            except (OSError, http.client.HTTPException):
                # At the end the emulator stops before the functions do.
                return Reply(payload={}, ending=Ending.CLOSED_WITHOUT_REPLY)
        query_error = answer.getheader("x-amzn-query-error", "")
        return Reply(payload=payload, status=answer.status, query_error=query_error)
