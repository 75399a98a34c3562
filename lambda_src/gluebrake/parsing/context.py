"""The context of a message for its parser, and the type of a parser."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from msgspec import Struct

from gluebrake.model import AwsEnvironment, NotARequest

R = TypeVar("R")


class Context(Struct, frozen=True):
    """The account and Region in which runs may be stopped, and the time at which the message was sent."""

    aws_environment: AwsEnvironment
    sent_at: datetime
    topic_region: str = ""
    """The Region of the SNS topic that delivered the message, if any."""

    def foreign(self, *, account: str, region: str) -> NotARequest | None:
        """Return why a signal from another account or Region requests nothing, else None."""
        here = self.aws_environment
        if (account, region) == (here.account, here.region):
            return None
        return NotARequest(
            f"it is of account {account[:64]} in {region[:64]}; "
            f"only runs of account {here.account} in {here.region} are stopped"
        )

    def time(self, text: str) -> datetime:
        """Return the time in a signal, or the time at which the message was sent if that is earlier."""
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
"""A function that parses a body into requests. It raises ParsingError for a body that cannot be used."""
