"""The messages that start a sweep: the input of a schedule, or any message of a policy's signal topic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Struct

from gluebrake.model import NotARequest
from gluebrake.parsing.context import Context
from gluebrake.parsing.errors import ParsingError, broken_rule, malformed
from gluebrake.policies import DueRequest, Trigger
from gluebrake.sweep_contract import SweepRequest

ALLOWED: Final = {".": tuple(field.encode_name for field in msgspec.structs.fields(SweepRequest))}


class _Notification(Struct, rename="pascal"):
    """The members of an SNS notification. The published message is not read.

    https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html
    """

    topic_arn: str
    timestamp: str = ""
    type: str = "Notification"


_request: Final = msgspec.json.Decoder(SweepRequest)
_notification: Final = msgspec.json.Decoder(_Notification)


def parse(body: bytes, context: Context, *, signals: Mapping[str, str]) -> list[DueRequest] | NotARequest:
    """Parse a message of the sweep queue. `signals` has the policy of each signal topic, by the topic's ARN.

    Raise ParsingError with the field's path and the rule.
    """
    try:
        notification = _notification.decode(body)
    except msgspec.ValidationError:
        return [_scheduled(body)]
    except msgspec.DecodeError as error:
        raise malformed(body, error) from error
    if notification.type != "Notification":
        return NotARequest(f"an SNS message of type {notification.type[:64]!r} publishes nothing")
    policy = signals.get(notification.topic_arn)
    if policy is None:
        raise ParsingError(f"TopicArn: {notification.topic_arn[:256]!r} is the topic of no deployed policy")
    return [DueRequest((policy,), context.time(notification.timestamp), Trigger.SIGNAL)]


def _scheduled(body: bytes) -> DueRequest:
    try:
        request = _request.decode(body)
    except msgspec.ValidationError as error:
        raise broken_rule(error, ALLOWED) from error
    return DueRequest(request.policies, request.due, Trigger.SCHEDULE)
