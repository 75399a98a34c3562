"""Glue, SQS and EventBridge over a real loopback socket, as far as they are used, in a thread."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from threading import Thread
from types import TracebackType
from typing import Any, Final, Self, cast

from botocore.config import Config

from tests.fakes.events import Events
from tests.fakes.exchange import Call, Ending, Json, Reply, ServiceError
from tests.fakes.faults import Faults
from tests.fakes.glue import Glue
from tests.fakes.sqs import Sqs

REGION: Final = "eu-west-1"
ACCOUNT: Final = "123456789012"
BUS: Final = "gluebrake-bus"

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TARGET: Final = re.compile(rb"\r\nx-amz-target: *(?:AWSGlue|AmazonSQS|AWSEvents)\.(\w+)", re.IGNORECASE)
_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER, on, for no time: closing sends RST in place of FIN


class FakeAws:
    """A Glue, an SQS and an EventBridge to point clients at, while the context is entered.

    Set `glue`, `sqs`, `events` and `faults` up between calls, since calls are worked in the server's thread. An
    exception in a fault or in the fake itself is raised again when the context is left. With `tls` it speaks
    TLS, as AWS does.
    """

    def __init__(
        self, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC), tls: ssl.SSLContext | None = None
    ) -> None:
        self._tls = tls
        self.glue = Glue(clock=clock, region=REGION, account=ACCOUNT)
        self.sqs = Sqs(clock=clock, region=REGION, account=ACCOUNT)
        self.events = Events(BUS)
        self.faults = Faults()
        self.calls: list[Call] = []
        self.connections: set[asyncio.Transport] = set()
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

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._broken: list[BaseException] = []
        self._loop.set_exception_handler(lambda _, context: self._broken.append(_cause(context)))
        starting = self._loop.create_server(
            lambda: _Connection(self), "127.0.0.1", 0, ssl=self._tls, backlog=1024
        )
        self._server = self._loop.run_until_complete(starting)
        self._thread = Thread(target=self._loop.run_forever, name="fake-aws", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        if self._broken and kind is None:
            raise self._broken[0]

    async def _close(self) -> None:
        self._server.close()
        for transport in tuple(self.connections):
            transport.abort()
        await asyncio.sleep(0)

    @property
    def endpoint(self) -> str:
        """The URL of all three services."""
        host, port = self._server.sockets[0].getsockname()
        return f"{'https' if self._tls else 'http'}://{host}:{port}"

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


def _cause(context: dict[str, Any]) -> BaseException:
    return context.get("exception") or RuntimeError(context["message"])


class _Connection(asyncio.Protocol):
    """One client's connection: requests one after another, each with a Content-Length."""

    _request_ids = count(1)

    def __init__(self, aws: FakeAws) -> None:
        self._aws = aws
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._aws.connections.add(self._transport)

    def connection_lost(self, _error: Exception | None) -> None:
        self._aws.connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while call := self._next_call():
            reply = self._aws.reply(call)
            if reply.delay:
                asyncio.get_running_loop().call_later(reply.delay, self._send, reply)
            else:
                self._send(reply)

    def _next_call(self) -> Call | None:
        body_at = self._received.find(b"\r\n\r\n") + 4
        if body_at < 4:
            return None
        head = bytes(self._received[:body_at])
        length, target = _LENGTH.search(head), _TARGET.search(head)
        end = body_at + (int(length[1]) if length else 0)
        if len(self._received) < end:
            return None
        body = self._received[body_at:end]
        del self._received[:end]
        # Another service's protocol may not be JSON; of its call it is enough that nobody answers it.
        return Call(target[1].decode(), json.loads(body or b"{}")) if target else Call("", {})

    def _send(self, reply: Reply) -> None:
        if reply.ending is Ending.RESET_WITHOUT_REPLY:
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._transport.abort()
        elif reply.ending is Ending.CLOSED_WITHOUT_REPLY:
            self._transport.close()
        elif not self._transport.is_closing():
            self._write(reply)

    def _write(self, reply: Reply) -> None:
        body = json.dumps(reply.payload).encode()
        sent = body[: reply.sent_bytes]
        length = len(body if reply.whole_length else sent)
        header = f"x-amzn-query-error: {reply.query_error}\r\n" if reply.query_error else ""
        head = (
            f"HTTP/1.1 {reply.status} \r\nContent-Type: application/x-amz-json-1.1\r\n"
            f"Content-Length: {length}\r\nx-amzn-RequestId: {next(self._request_ids):032x}\r\n{header}\r\n"
        )
        self._transport.write(head.encode() + sent)
        if length > len(sent):
            self._transport.close()
