"""Clients of a fake that a later fake uses again, because creating them takes longer than many simulations."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Any, Final

import boto3
from botocore.awsrequest import AWSPreparedRequest

from tests.support.fakes.aws_server import FakeAws

_ANY_ENDPOINT: Final = "http://127.0.0.1:1"
_RESTING: Final = 8
"""How many clients of a service rest.

A function may leave a call running when its time is up. That call must not reach the next fake.
"""

_returned: Final[defaultdict[str, deque[_Client]]] = defaultdict(deque)


class _Client:
    """A client whose calls go to the endpoint that is set."""

    def __init__(self, service: Any, options: dict[str, Any]) -> None:
        self.endpoint = ""
        self.client: Any = boto3.client(service, **{**options, "endpoint_url": _ANY_ENDPOINT})
        self.client.meta.events.register("before-send", self._redirect)

    def _redirect(self, request: AWSPreparedRequest, **_: Any) -> None:
        request.url = request.url.replace(_ANY_ENDPOINT, self.endpoint, 1)


class LentClients:
    """The clients of one fake, which must be running."""

    def __init__(self, aws: FakeAws) -> None:
        self._aws = aws
        self._lent: list[tuple[str, _Client]] = []

    def get(self, service: str) -> Any:
        """Return a client of a service that nothing else uses until `give_back`."""
        returned = _returned[service]
        client = returned.popleft() if len(returned) > _RESTING else _Client(service, self._aws.client_options)
        client.endpoint = self._aws.endpoint
        self._lent.append((service, client))
        return client.client

    def give_back(self) -> None:
        """Let later fakes use the clients."""
        for service, client in self._lent:
            _returned[service].append(client)
        self._lent.clear()
