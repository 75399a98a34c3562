"""Notifications of an SNS topic, around what was published to it.

Shape: https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from gluebrake.model import Nothing, StopRequest
from gluebrake.reading.context import Context, Reader, region_of
from gluebrake.reading.errors import ReadingError, broken_rule


class _Notification(Struct, rename="pascal"):
    topic_arn: str
    message: str
    type: str = "Notification"
    timestamp: str = ""


_notification: Final = msgspec.json.Decoder(_Notification)


def _inner(notification: _Notification, context: Context) -> Context:
    return msgspec.structs.replace(
        context,
        sent_at=context.at(notification.timestamp),
        topic_region=region_of(notification.topic_arn),
    )


def reader(published: Reader) -> Reader:
    """Return the reader of notifications whose message `published` reads."""

    def read(body: bytes, context: Context) -> StopRequest | Nothing:
        try:
            notification = _notification.decode(body)
        except msgspec.ValidationError as error:
            raise broken_rule(error, {}) from error
        if notification.type != "Notification":
            return Nothing(f"an SNS message of type {notification.type[:64]!r} publishes nothing")
        try:
            return published(notification.message.encode(), _inner(notification, context))
        except ReadingError as error:
            raise ReadingError(f"in the SNS notification's Message: {error}") from error

    return read
