"""A proxy before the emulator, in which a test replaces one call of an operation."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self
from urllib.parse import urlsplit

from local.aws import HOST


class Proxy:
    """Forwards every request to an endpoint, except one call of an operation, at which it runs a function."""

    def __init__(self, endpoint: str) -> None:
        self._upstream = urlsplit(endpoint).netloc
        self._calls_left: dict[str, int] = {}
        self._action: Callable[[], object] = lambda: None
        self._server = ThreadingHTTPServer((HOST, 0), self._handler())
        self.endpoint = f"http://{HOST}:{self._server.server_address[1]}"

    def replace_call(self, target: str, number: int, action: Callable[[], object]) -> None:
        """Run a function in place of one call of an operation; the first call is number 1."""
        self._calls_left, self._action = {target: number}, action

    def __enter__(self) -> Self:
        self._thread = Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            """Forwards a request."""

            def do_POST(self) -> None:
                """Forward the request, or close the connection without a response."""
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if proxy.replaces(self.headers.get("X-Amz-Target", "")):
                    self.close_connection = True
                    return
                status, headers, answer = proxy.forward(self.path, dict(self.headers), body)
                self.send_response(status)
                for name, value in headers:
                    if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Write no log."""

        return Handler

    def replaces(self, target: str) -> bool:
        """Return whether this call is replaced. If it is, run the function."""
        if target not in self._calls_left:
            return False
        self._calls_left[target] -= 1
        if self._calls_left[target] == 0:
            self._action()
            return True
        return False

    def forward(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any, bytes]:
        """Send the request to the endpoint, and return the status, the headers and the body of its response."""
        connection = http.client.HTTPConnection(self._upstream)
        try:
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            return response.status, response.getheaders(), response.read()
        finally:
            connection.close()
