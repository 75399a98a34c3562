"""The only module that calls EventBridge: publishes outcome events and report events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec.structs import replace

from gluebrake.aws import best_effort
from gluebrake.aws.call_budget import fan_out
from gluebrake.contract import OUTCOME_SOURCE, STOP_OUTCOME, SWEEP_REPORT, StopOutcome
from gluebrake.error_codes import NO_ANSWER
from gluebrake.grouping import chunked

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef as Entry

    from gluebrake.sweep_contract import SweepReport

# https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
MAX_ENTRIES: Final = 10

_LONGEST_LIST: Final = 100
# PutEvents accepts 256 kB for an entry, which counts every member of the entry in UTF-8.
_LARGEST_DETAIL: Final = 240_000


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class EventBus:
    """The bus for outcome events and report events. With an empty `name`, no event is published.

    The client is created when the first event is published.
    """

    make_client: Callable[[], EventBridgeClient]
    name: str
    job_arn_prefix: str
    calls_at_once: int

    def publish(self, outcomes: Sequence[StopOutcome], seconds: float) -> Mapping[str, int]:
        """Publish outcomes within `seconds`. Return how many events were lost, by error code.

        No run's outcome depends on an event, so nothing is retried and no exception is raised.
        """
        return self._publish_each([self._outcome_entry(outcome) for outcome in outcomes], seconds)

    def publish_report(self, report: SweepReport, seconds: float) -> Mapping[str, int]:
        """Publish a sweep's report within `seconds`. Return how many events were lost, by error code."""
        return self._publish_each([self._report_entry(report)], seconds)

    def _publish_each(self, entries: Sequence[Entry], seconds: float) -> Mapping[str, int]:
        if not entries or not self.name:
            return {}
        if seconds < best_effort.SHORTEST_CALL_SECONDS:
            return {best_effort.NO_TIME: len(entries)}
        try:
            return self._publish(entries, seconds)
        except Exception as error:  # noqa: BLE001 - a lost event must not change the results of the stage
            return {best_effort.code(error): len(entries)}

    def _publish(self, entries: Sequence[Entry], seconds: float) -> Counter[str]:
        client = self.make_client()
        batches = list(chunked(entries, MAX_ENTRIES))
        published = fan_out(
            lambda batch: self._put(client, batch), batches, workers=self.calls_at_once, seconds=seconds
        )
        return sum((_lost(future, batch) for batch, future in published), Counter[str]())

    def _put(self, client: EventBridgeClient, batch: Sequence[Entry]) -> Counter[str]:
        response = client.put_events(Entries=batch)
        entries = response.get("Entries", [])
        lost = Counter(entry.get("ErrorCode", NO_ANSWER) for entry in entries if "EventId" not in entry)
        return lost + Counter({NO_ANSWER: len(batch) - len(entries)})

    def _outcome_entry(self, outcome: StopOutcome) -> Entry:
        return {
            "EventBusName": self.name,
            "Source": OUTCOME_SOURCE,
            "DetailType": STOP_OUTCOME,
            "Time": outcome.settled_at,
            "Resources": [self.job_arn_prefix + outcome.job_name],
            "Detail": msgspec.json.encode(outcome).decode(),
        }

    def _report_entry(self, report: SweepReport) -> Entry:
        return {
            "EventBusName": self.name,
            "Source": OUTCOME_SOURCE,
            "DetailType": SWEEP_REPORT,
            "Time": report.swept_at,
            "Detail": _report_detail(report),
        }


def _report_detail(report: SweepReport, entries: int = _LONGEST_LIST) -> str:
    """Return a report as JSON. If it is too large, its lists are cut and `truncated` is true."""
    lists = {name: getattr(report, name) for name in ("runs", "jobs_not_read", "jobs_left_out", "errors")}
    cut: dict[str, Any] = {name: of_list[:entries] for name, of_list in lists.items()}
    detail = msgspec.json.encode(replace(report, **cut, truncated=cut != lists)).decode()
    fits = len(detail.encode()) <= _LARGEST_DETAIL or not entries
    return detail if fits else _report_detail(report, entries // 2)


def _lost(future: Future[Counter[str]], batch: Sequence[Entry]) -> Counter[str]:
    failure = best_effort.failure(future)
    return Counter({failure: len(batch)}) if failure else future.result()
