"""A fake of EventBridge's PutEvents that stores the published events."""

from __future__ import annotations

import json
from typing import Final

from tests.support.fakes.exchange import Json, ServiceError

_MOST_ENTRIES: Final = 10
_MOST_BYTES: Final = 262_144
_REQUIRED: Final = ("Source", "DetailType", "Detail")


class Events:
    """The buses of one account. An entry for an unknown bus is refused."""

    def __init__(self, *buses: str) -> None:
        self._buses = frozenset(buses)
        self.published: list[Json] = []

    @property
    def details(self) -> list[Json]:
        """The detail of each accepted event, in order."""
        return [json.loads(entry["Detail"]) for entry in self.published]

    def put_events(self, request: Json) -> Json:
        """Store each entry, or return its error."""
        entries = request["Entries"]
        if not 1 <= len(entries) <= _MOST_ENTRIES:
            raise ServiceError(
                "ValidationException", f"{len(entries)} entries; 1 to {_MOST_ENTRIES} are allowed."
            )
        if (size := sum(map(_size, entries))) > _MOST_BYTES:
            raise ServiceError("ValidationException", f"{size} bytes; at most {_MOST_BYTES} are allowed.")
        answers = [self._put(entry) for entry in entries]
        return {"FailedEntryCount": sum("ErrorCode" in answer for answer in answers), "Entries": answers}

    def _put(self, entry: Json) -> Json:
        if missing := [name for name in _REQUIRED if not entry.get(name)]:
            return {"ErrorCode": "InvalidArgument", "ErrorMessage": f"{missing[0]} is missing."}
        if not isinstance(_parsed(entry["Detail"]), dict):
            return {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is not a JSON object."}
        if entry.get("EventBusName") not in self._buses:
            return {"ErrorCode": "NotAuthorizedForEventBus", "ErrorMessage": "There is no such bus."}
        self.published.append(entry)
        return {"EventId": f"{len(self.published):08d}-d6f2-d8a5-b8b1-1b2d5e0ad2c7"}


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _size(entry: Json) -> int:
    """Return the bytes that EventBridge counts.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html
    """
    texts = [entry.get(name, "") for name in _REQUIRED] + entry.get("Resources", [])
    return sum(len(text.encode()) for text in texts) + (14 if "Time" in entry else 0)
