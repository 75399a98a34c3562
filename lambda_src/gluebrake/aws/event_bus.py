"""The only module that talks to EventBridge: tells whoever listens what became of the runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
from botocore.exceptions import ClientError

from gluebrake.contract import OUTCOME_SOURCE, STOP_OUTCOME, StopOutcome

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

# https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
MAX_ENTRIES: Final = 10
_SHORTEST_CALL_SECONDS: Final = 1.0
_NO_TIME: Final = "NoTime"
_NO_ANSWER: Final = "NoAnswer"


@dataclass(frozen=True, slots=True)
class Events:
    """The bus that outcomes are published on, if any. The client is made when the first one is."""

    make_client: Callable[[], EventBridgeClient]
    bus: str
    job_arn_prefix: str
    calls_at_once: int

    def publish(self, outcomes: Sequence[StopOutcome], seconds: float) -> Mapping[str, int]:
        """Publish, for at most so many seconds; return how many were lost for which error.

        Nothing else depends on it, so nothing is tried again and no error leaves it.
        """
        if not outcomes or not self.bus:
            return {}
        if seconds < _SHORTEST_CALL_SECONDS:
            return {_NO_TIME: len(outcomes)}
        try:
            return self._publish(outcomes, seconds)
        except Exception as error:  # noqa: BLE001 - whatever it is, what was done for the runs stays done
            return {_code(error): len(outcomes)}

    def _publish(self, outcomes: Sequence[StopOutcome], seconds: float) -> Counter[str]:
        batches = [outcomes[start : start + MAX_ENTRIES] for start in range(0, len(outcomes), MAX_ENTRIES)]
        client = self.make_client()
        pool = ThreadPoolExecutor(self.calls_at_once)
        futures = [pool.submit(self._put, client, batch) for batch in batches]
        wait(futures, timeout=seconds)
        pool.shutdown(wait=False, cancel_futures=True)
        lost = (_lost(future, batch) for future, batch in zip(futures, batches, strict=True))
        return sum(lost, Counter[str]())

    def _put(self, client: EventBridgeClient, batch: Sequence[StopOutcome]) -> Counter[str]:
        answer = client.put_events(Entries=[self._entry(outcome) for outcome in batch])
        entries = answer.get("Entries", [])
        lost = Counter(entry.get("ErrorCode", _NO_ANSWER) for entry in entries if "EventId" not in entry)
        return lost + Counter({_NO_ANSWER: len(batch) - len(entries)})

    def _entry(self, outcome: StopOutcome) -> PutEventsRequestEntryTypeDef:
        return {
            "EventBusName": self.bus,
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
