"""The only module that calls SNS: publishes notices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gluebrake.aws import best_effort
from gluebrake.aws.call_budget import fan_out
from gluebrake.model import Notice

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class NoticeTopic:
    """The SNS topic for notices. The client is created when the first notice is published."""

    make_client: Callable[[], SNSClient]
    arn: str

    def publish(self, notice: Notice, seconds: float) -> str:
        """Publish a notice within `seconds`. Return the error code if it was lost, else an empty text.

        No run's outcome depends on a notice, so nothing is retried and no exception is raised.
        """
        if seconds < best_effort.SHORTEST_CALL_SECONDS:
            return best_effort.NO_TIME
        ((_, published),) = fan_out(self._publish, [notice], workers=1, seconds=seconds)
        return best_effort.failure(published)

    def _publish(self, notice: Notice) -> None:
        self.make_client().publish(
            TopicArn=self.arn, Subject=notice.subject, Message=notice.message, MessageStructure="json"
        )
