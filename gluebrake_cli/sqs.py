"""An SQS queue, and the entries that its batch operations refuse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gluebrake_cli.errors import OperatorError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


@dataclass(frozen=True)
class SqsQueue:
    """A queue. Its batch operations accept ten entries, and return the error messages of refused entries."""

    client: SQSClient
    url: str

    def attributes(self, *names: str) -> Mapping[str, str]:
        """Return these attributes of the queue, by default all."""
        chosen: Any = names or ("All",)
        answer = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=chosen)
        return {str(name): value for name, value in answer["Attributes"].items()}

    def depth(self) -> int:
        """Return about how many messages the queue has, including messages in flight."""
        counts = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        return sum(int(count) for count in self.attributes(*counts).values())

    def receive(self, visibility_seconds: int) -> Sequence[Mapping[str, Any]]:
        """Receive up to ten messages, and hide them from other consumers for `visibility_seconds`."""
        answer = self.client.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=visibility_seconds,
            WaitTimeSeconds=1,  # long polling: a short poll asks only some of SQS's servers
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
        )
        return answer.get("Messages", [])

    def change_visibility(self, receipt_handles: Mapping[str, str], seconds: int) -> Mapping[str, str]:
        """Hide messages for `seconds` from now. With 0, they are visible at once."""
        entries: list[Any] = [{**entry, "VisibilityTimeout": seconds} for entry in _entries(receipt_handles)]
        return _refused(
            self.client.change_message_visibility_batch(QueueUrl=self.url, Entries=entries), receipt_handles
        )

    def send(self, messages: Mapping[str, tuple[str, Mapping[str, Any]]]) -> Mapping[str, str]:
        """Send messages: bodies with their attributes."""
        entries: list[Any] = [
            {"Id": str(index), "MessageBody": body, "MessageAttributes": attributes}
            for index, (body, attributes) in enumerate(messages.values())
        ]
        return _refused(self.client.send_message_batch(QueueUrl=self.url, Entries=entries), messages)

    def send_one(self, body: str) -> str:
        """Send a message and return its id. If SQS refuses it, raise OperatorError with SQS's error message."""
        answer = self.client.send_message_batch(QueueUrl=self.url, Entries=[{"Id": "0", "MessageBody": body}])
        for failure in answer.get("Failed", []):
            raise OperatorError(f"SQS refused the request: {failure['Code']}: {failure.get('Message', '')}")
        return answer["Successful"][0]["MessageId"]

    def delete(self, receipt_handles: Mapping[str, str]) -> Mapping[str, str]:
        """Delete messages."""
        if not receipt_handles:
            return {}
        entries: list[Any] = _entries(receipt_handles)
        return _refused(self.client.delete_message_batch(QueueUrl=self.url, Entries=entries), receipt_handles)


def _entries(receipt_handles: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        {"Id": str(index), "ReceiptHandle": handle} for index, handle in enumerate(receipt_handles.values())
    ]


def _refused(answer: Any, entries: Mapping[str, Any]) -> dict[str, str]:
    """Return the entries that a response does not list as successful. An entry without a result has failed."""
    keys = list(entries)
    successful = {keys[int(entry["Id"])] for entry in answer.get("Successful", [])}
    errors = {
        keys[int(entry["Id"])]: f"{entry['Code']}: {entry.get('Message', '')}"
        for entry in answer.get("Failed", [])
    }
    return {key: errors.get(key, "SQS returned no result for it") for key in keys if key not in successful}
