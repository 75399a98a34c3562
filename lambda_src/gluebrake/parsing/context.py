"""What a reader knows besides the body."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from msgspec import Struct

from gluebrake.contract import StopRequest
from gluebrake.model import AwsEnvironment, NotARequest


class Context(Struct, frozen=True):
    """Where runs may be stopped, and when the message was sent: no signal in it is younger."""

    aws_environment: AwsEnvironment
    sent_at: datetime
    topic_region: str = ""
    """The Region of the SNS topic that it came through, if any."""

    def elsewhere(self, *, account: str, region: str) -> NotARequest | None:
        """Return why a signal of that account and Region asks for nothing here, or None if it is of home."""
        if (account, region) == (self.aws_environment.account, self.aws_environment.region):
            return None
        here = f"account {self.aws_environment.account} in {self.aws_environment.region}"
        return NotARequest(f"it is of account {account[:64]} in {region[:64]}; only runs of {here} are stopped")

    def at(self, text: str) -> datetime:
        """Return the time that a signal gives for itself, but none later than the message's."""
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return self.sent_at
        return min(moment, self.sent_at) if moment.tzinfo else self.sent_at


def region_of(arn: str) -> str:
    """Return the Region that an ARN gives, nothing if it gives none."""
    match arn.split(":"):
        case [_, _, _, region, *_]:
            return region
        case _:
            return ""


Reader = Callable[[bytes, Context], StopRequest | NotARequest]
"""Reads a body of one family; raises ReadingError for one that cannot be used."""
