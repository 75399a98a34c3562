"""Stands between the deployed functions and the emulator's AWS, and lets each call go wrong that is to."""

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
_OTHERS: Final = {
    "SendMessageBatch": ("AmazonSQS", "sqs"),
    "DeleteMessageBatch": ("AmazonSQS", "sqs"),
    "PutEvents": ("AWSEvents", "events"),
}
"""The target prefix and the signing name of the operations that are not Glue's."""


class Proxy(Server):
    """Forwards each call of Glue, SQS and EventBridge to an endpoint, through the faults in force."""

    def __init__(self, endpoint: str) -> None:
        self._pool = ThreadPoolExecutor(CALLS_AT_ONCE, thread_name_prefix="proxy")
        super().__init__(self._answered, replying=self._pool)
        self.faults = Faults()
        self.calls: list[Call] = []
        self._upstream = urlsplit(endpoint).netloc

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self._pool.shutdown()

    def requests(self, operation: str) -> list[Json]:
        """List the parameters of each call of an operation, in order; refused and lost ones too."""
        return [call.parameters for call in tuple(self.calls) if call.operation == operation]

    def _answered(self, call: Call) -> Reply:
        self.calls.append(call)
        return self.faults.reply(call, self._forward)

    def _forward(self, call: Call) -> Reply:
        prefix, service = _OTHERS.get(call.operation, _GLUE)
        headers = {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"{prefix}.{call.operation}",
            "Authorization": f"AWS4-HMAC-SHA256 Credential={KEY}/20261124/{REGION}/{service}/aws4_request",
        }
        # A connection for each call: one that went stale would be a fault that nobody asked for.
        with contextlib.closing(http.client.HTTPConnection(self._upstream)) as upstream:
            try:
                upstream.request("POST", "/", json.dumps(call.parameters), headers)
                answer = upstream.getresponse()
                payload = json.loads(answer.read() or b"{}")
            except (OSError, http.client.HTTPException):
                # The emulator ends before the functions do.
                return Reply(payload={}, ending=Ending.CLOSED_WITHOUT_REPLY)
        query_error = answer.getheader("x-amzn-query-error", "")
        return Reply(payload=payload, status=answer.status, query_error=query_error)
