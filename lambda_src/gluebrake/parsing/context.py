"""What a parser knows besides the body, and the type of a parser."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from msgspec import Struct

from gluebrake.model import AwsEnvironment, NotARequest

R = TypeVar("R")


class Context(Struct, frozen=True):
    """Where runs may be stopped, and when the message was sent: no time in it counts as later."""

    aws_environment: AwsEnvironment
    sent_at: datetime
    topic_region: str = ""
    """The Region of the SNS topic that delivered the message, if any."""

    def foreign(self, *, account: str, region: str) -> NotARequest | None:
        """Return why a signal of that account and Region requests nothing, or None if it is of this one."""
        here = self.aws_environment
        if (account, region) == (here.account, here.region):
            return None
        return NotARequest(
            f"it is of account {account[:64]} in {region[:64]}; "
            f"only runs of account {here.account} in {here.region} are stopped"
        )

    def time(self, text: str) -> datetime:
        """Return the time that a signal gives for itself, but none later than the message's."""
        try:
            time = datetime.fromisoformat(text)
        except ValueError:
            return self.sent_at
        return min(time, self.sent_at) if time.tzinfo else self.sent_at


def region_of(arn: str) -> str:
    """Return the Region of an ARN, empty if it has none."""
    match arn.split(":"):
        case [_, _, _, region, *_]:
            return region
        case _:
            return ""


Parser = Callable[[bytes, Context], list[R] | NotARequest]
"""Parses a body into requests. Raises ParsingError for one that cannot be used."""
