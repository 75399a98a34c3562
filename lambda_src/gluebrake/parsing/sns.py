"""Notifications of an SNS topic, around what was published to it.

Shape: https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from gluebrake.contract import StopRequest
from gluebrake.model import NotARequest
from gluebrake.parsing.context import Context, Reader, region_of
from gluebrake.parsing.errors import ReadingError, broken_rule


class _Notification(Struct, rename="pascal"):
    topic_arn: str
    message: str
    type: str = "Notification"
    timestamp: str = ""


_notification: Final = msgspec.json.Decoder(_Notification)


def read(body: bytes, context: Context, *, published: Reader) -> StopRequest | NotARequest:
    """Read a notification; `published` reads the message in it."""
    try:
        notification = _notification.decode(body)
    except msgspec.ValidationError as error:
        raise broken_rule(error) from error
    if notification.type != "Notification":
        return NotARequest(f"an SNS message of type {notification.type[:64]!r} publishes nothing")
    try:
        return published(notification.message.encode(), _inner(notification, context))
    except ReadingError as error:
        raise ReadingError(f"in the SNS notification's Message: {error}") from error


def _inner(notification: _Notification, context: Context) -> Context:
    return msgspec.structs.replace(
        context,
        sent_at=context.at(notification.timestamp),
        topic_region=region_of(notification.topic_arn),
    )
