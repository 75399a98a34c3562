"""The event, the notification or the alarm action that carried a request, as its body claims."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from gluebrake.model import Message

LONGEST_VIA: Final = 256


class _Envelope(Struct):
    """The members that identify AWS's envelopes. A stop request has none of them."""

    detail_type: str = msgspec.field(default="", name="detail-type")
    source: str = ""
    id: str = ""
    account: str = ""
    topic_arn: str = msgspec.field(default="", name="TopicArn")
    notification_id: str = msgspec.field(default="", name="MessageId")
    alarm_arn: str = msgspec.field(default="", name="alarmArn")


_envelope: Final = msgspec.json.Decoder(_Envelope)


def with_via(message: Message) -> Message:
    """Return the message with its `via`, which a retry has in an attribute and other messages in the body."""
    text = message.via or _via(message.body)
    return msgspec.structs.replace(message, via=text[:LONGEST_VIA]) if text else message


def _via(body: str) -> str:
    try:
        envelope = _envelope.decode(body)
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError):
        return ""
    if envelope.topic_arn:
        return f"notification {envelope.notification_id} of {envelope.topic_arn}"
    if envelope.detail_type:
        event = f"event {envelope.id} of {envelope.source} in account {envelope.account}"
        return event if envelope.id and envelope.source else ""
    return f"action of {envelope.alarm_arn}" if envelope.alarm_arn else ""
