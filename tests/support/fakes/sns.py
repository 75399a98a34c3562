"""A fake of SNS's Publish that stores the published notices."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from tests.support.fakes.exchange import Json, ServiceError

_MOST_BYTES: Final = 262_144
_LONGEST_SUBJECT: Final = 99


class Published(NamedTuple):
    """A published message: its subject, and its form for each protocol."""

    subject: str
    forms: Mapping[str, str]

    @property
    def chat(self) -> Any:
        """The form that chat clients, queues and web servers get."""
        return json.loads(self.forms["default"])


class Sns:
    """The topics of one account. It refuses what SNS refuses.

    https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
    """

    def __init__(self, *topics: str) -> None:
        self._topics = frozenset(topics)
        self.published: list[Published] = []

    def publish(self, request: Json) -> Json:
        """Store a message with the structure `json`."""
        subject, message = request["Subject"], request["Message"]
        if request["TopicArn"] not in self._topics:
            raise ServiceError("NotFound", "Topic does not exist", status=404)
        if not 1 <= len(subject) <= _LONGEST_SUBJECT or not (subject.isascii() and subject.isprintable()):
            raise ServiceError("InvalidParameter", "Invalid parameter: Subject")
        if len(message.encode()) > _MOST_BYTES:
            raise ServiceError("InvalidParameter", "Invalid parameter: Message too long")
        forms = json.loads(message)
        if request["MessageStructure"] != "json" or "default" not in forms:
            raise ServiceError("InvalidParameter", "Invalid parameter: Message Structure")
        self.published.append(Published(subject, forms))
        return {"MessageId": f"{len(self.published):08d}-97b7-5d3f-8b1c-5b1d9d4b3a35"}
