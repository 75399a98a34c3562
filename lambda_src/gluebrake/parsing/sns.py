"""Notifications of an SNS topic, and the messages in them.

Shape: https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from gluebrake.contract import StopRequest
from gluebrake.model import NotARequest
from gluebrake.parsing.context import Context, Parser, region_of
from gluebrake.parsing.errors import ParsingError, broken_rule


class _Notification(Struct, rename="pascal"):
    topic_arn: str
    message: str
    type: str = "Notification"
    timestamp: str = ""


_notification: Final = msgspec.json.Decoder(_Notification)


def parse(
    body: bytes, context: Context, *, parse_published: Parser[StopRequest]
) -> list[StopRequest] | NotARequest:
    """Parse a notification. `parse_published` parses the published message in the notification."""
    try:
        notification = _notification.decode(body)
    except msgspec.ValidationError as error:
        raise broken_rule(error) from error
    if notification.type != "Notification":
        return NotARequest(f"an SNS message of type {notification.type[:64]!r} publishes nothing")
    try:
        return parse_published(notification.message.encode(), _inner(notification, context))
    except ParsingError as error:
        raise ParsingError(f"in the SNS notification's Message: {error}") from error


def _inner(notification: _Notification, context: Context) -> Context:
    return msgspec.structs.replace(
        context,
        sent_at=context.time(notification.timestamp),
        topic_region=region_of(notification.topic_arn),
    )
