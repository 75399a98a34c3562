"""The only module that calls EventBridge: publishes outcome events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
from botocore.exceptions import ClientError

from gluebrake.aws.call_budget import fan_out
from gluebrake.contract import OUTCOME_SOURCE, STOP_OUTCOME, StopOutcome
from gluebrake.error_codes import NO_ANSWER
from gluebrake.grouping import chunked

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

# https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
MAX_ENTRIES: Final = 10
_SHORTEST_CALL_SECONDS: Final = 1.0
_NO_TIME: Final = "NoTime"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class EventBus:
    """The bus for outcome events; an empty name publishes none. The client is made for the first event."""

    make_client: Callable[[], EventBridgeClient]
    name: str
    job_arn_prefix: str
    calls_at_once: int

    def publish(self, outcomes: Sequence[StopOutcome], seconds: float) -> Mapping[str, int]:
        """Publish for at most so many seconds. Return how many events were lost, by error code.

        Nothing depends on an event, so nothing is retried and no exception is raised.
        """
        if not outcomes or not self.name:
            return {}
        if seconds < _SHORTEST_CALL_SECONDS:
            return {_NO_TIME: len(outcomes)}
        try:
            return self._publish(outcomes, seconds)
        except Exception as error:  # noqa: BLE001 - the outcomes of the runs stand, whatever happens here
            return {_code(error): len(outcomes)}

    def _publish(self, outcomes: Sequence[StopOutcome], seconds: float) -> Counter[str]:
        client = self.make_client()
        batches = list(chunked(outcomes, MAX_ENTRIES))
        published = fan_out(
            lambda batch: self._put(client, batch), batches, workers=self.calls_at_once, seconds=seconds
        )
        return sum((_lost(future, batch) for batch, future in published), Counter[str]())

    def _put(self, client: EventBridgeClient, batch: Sequence[StopOutcome]) -> Counter[str]:
        response = client.put_events(Entries=[self._entry(outcome) for outcome in batch])
        entries = response.get("Entries", [])
        lost = Counter(entry.get("ErrorCode", NO_ANSWER) for entry in entries if "EventId" not in entry)
        return lost + Counter({NO_ANSWER: len(batch) - len(entries)})

    def _entry(self, outcome: StopOutcome) -> PutEventsRequestEntryTypeDef:
        return {
            "EventBusName": self.name,
            "Source": OUTCOME_SOURCE,
            "DetailType": STOP_OUTCOME,
            "Time": outcome.settled_at,
            "Resources": [self.job_arn_prefix + outcome.job_name],
            "Detail": msgspec.json.encode(outcome).decode(),
        }


def _lost(future: Future[Counter[str]], batch: Sequence[StopOutcome]) -> Counter[str]:
    if future.cancelled() or not future.done():
        return Counter({_NO_TIME: len(batch)})
    if error := future.exception():
        return Counter({_code(error): len(batch)})
    return future.result()


def _code(error: BaseException) -> str:
    return error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
