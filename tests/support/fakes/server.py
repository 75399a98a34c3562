"""An HTTP server for AWS's JSON and query protocols, on the loopback interface, in a thread of this process."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
import struct
from collections.abc import Callable
from concurrent.futures import Executor
from itertools import count
from threading import Thread
from types import TracebackType
from typing import Any, Final, Self, cast
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from tests.support.fakes.exchange import Call, Ending, Reply

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TARGET: Final = re.compile(rb"\r\nx-amz-target: *\w+\.(\w+)", re.IGNORECASE)
_FORM: Final = re.compile(rb"\r\ncontent-type: *application/x-www-form-urlencoded", re.IGNORECASE)
_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER, on, for 0 seconds: closing sends RST in place of FIN


class Server:
    """A server that calls `reply` for each call and sends the result, while the context is entered.

    Calls are handled one at a time in the server's thread or, where replying takes time, in the threads of
    `replying`. An exception in a reply is raised again when the context exits.
    """

    def __init__(
        self,
        reply: Callable[[Call], Reply],
        *,
        replying: Executor | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._reply = reply
        self._tls = tls
        self._replying = replying
        self.connections: set[asyncio.Transport] = set()

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._errors: list[BaseException] = []
        self._loop.set_exception_handler(lambda _, context: self._errors.append(_cause(context)))
        starting = self._loop.create_server(
            lambda: _Connection(self), "127.0.0.1", 0, ssl=self._tls, backlog=1024
        )
        self._server = self._loop.run_until_complete(starting)
        self._thread = Thread(target=self._loop.run_forever, name="aws-server", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        if self._errors and kind is None:
            raise self._errors[0]

    async def _close(self) -> None:
        self._server.close()
        for transport in tuple(self.connections):
            transport.abort()
        await asyncio.sleep(0)

    @property
    def endpoint(self) -> str:
        """The server's URL."""
        host, port = self._server.sockets[0].getsockname()
        return f"{'https' if self._tls else 'http'}://{host}:{port}"

    def handle(self, call: Call, send: Callable[[Reply], None]) -> None:
        """Get the reply to a call, and send it after its delay."""
        if self._replying is None:
            self._send_later(self._reply(call), send)
        else:
            replying = self._loop.run_in_executor(self._replying, self._reply, call)
            replying.add_done_callback(lambda future: self._send_later(future.result(), send))

    def _send_later(self, reply: Reply, send: Callable[[Reply], None]) -> None:
        if reply.delay:
            self._loop.call_later(reply.delay, send, reply)
        else:
            send(reply)


def _cause(context: dict[str, Any]) -> BaseException:
    return context.get("exception") or RuntimeError(context["message"])


def _xml(reply: Reply) -> str:
    """Write a reply in the query protocol. Its parts are texts.

    https://docs.aws.amazon.com/sns/latest/api/API_Publish.html#API_Publish_Examples
    """
    payload = reply.payload
    if "__type" in payload:
        error = {"Code": payload["__type"], "Message": payload["message"]}
        return f"<ErrorResponse><Error>{_elements(error)}</Error></ErrorResponse>"
    return f"<PublishResponse><PublishResult>{_elements(payload)}</PublishResult></PublishResponse>"


def _elements(values: dict[str, str]) -> str:
    return "".join(f"<{name}>{escape(value)}</{name}>" for name, value in values.items())


class _Connection(asyncio.Protocol):
    """One client's connection. Requests follow each other, each with a Content-Length."""

    _request_ids = count(1)

    def __init__(self, server: Server) -> None:
        self._server = server
        self._received = bytearray()
        self._is_query = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._server.connections.add(self._transport)

    def connection_lost(self, _error: Exception | None) -> None:
        self._server.connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while call := self._next_call():
            self._server.handle(call, self._send)

    def _next_call(self) -> Call | None:
        body_at = self._received.find(b"\r\n\r\n") + 4
        if body_at < 4:
            return None
        head = bytes(self._received[:body_at])
        length, target = _LENGTH.search(head), _TARGET.search(head)
        end = body_at + (int(length[1]) if length else 0)
        if len(self._received) < end:
            return None
        body = bytes(self._received[body_at:end])
        del self._received[:end]
        self._is_query = bool(_FORM.search(head))
        if self._is_query:
            parameters = dict(parse_qsl(body.decode(), strict_parsing=True))
            return Call(parameters.pop("Action"), parameters)
        # A call in another protocol has no target header and may not be JSON. The fake refuses it as unknown.
        return Call(target[1].decode(), json.loads(body or b"{}")) if target else Call("", {})

    def _send(self, reply: Reply) -> None:
        if self._transport.is_closing():
            return
        if reply.ending is Ending.RESET_WITHOUT_REPLY:
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._transport.abort()
        elif reply.ending is Ending.CLOSED_WITHOUT_REPLY:
            self._transport.close()
        else:
            self._write(reply)

    def _write(self, reply: Reply) -> None:
        body = (_xml(reply) if self._is_query else json.dumps(reply.payload)).encode()
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
