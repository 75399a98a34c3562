"""CloudWatch Logs Insights: one query over log groups, and the times from which the log groups have lines."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from gluebrake_cli import interrupts
from gluebrake_cli.errors import OperatorError

if TYPE_CHECKING:
    from gluebrake_cli.clients import Clients

MOST_LINES: Final = 10_000
"""The most lines that one page of results has, and that this command reads.

https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetQueryResults.html
"""

LONGEST_QUERY: Final = 10_000
"""The most characters of a query.

https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_StartQuery.html
"""

_RUNNING: Final = frozenset({"Scheduled", "Running", "Unknown"})
_FIRST_INTERVAL_SECONDS: Final = 0.1
_LONGEST_INTERVAL_SECONDS: Final = 1.0


class Query(Struct, frozen=True, kw_only=True):
    """A query over log groups, from `since` to `until`. Logs Insights uses whole seconds."""

    log_groups: Sequence[str]
    text: str
    since: datetime
    until: datetime


class QueryResult(Struct, frozen=True, kw_only=True):
    """The messages of the lines that a query matches, and the scanned bytes, which AWS bills."""

    messages: Sequence[str]
    bytes_scanned: int
    records_scanned: int

    @property
    def is_full(self) -> bool:
        """Whether more lines may match than the query returned."""
        return len(self.messages) >= MOST_LINES


class LogGroup(Struct, frozen=True, kw_only=True):
    """A log group. Without `retention_days`, it keeps its lines for ever."""

    name: str
    created: datetime
    retention_days: int | None

    def goes_back_to(self, now: datetime) -> datetime:
        """Return the time of the oldest line that the log group can have."""
        if self.retention_days is None:
            return self.created
        return max(self.created, now - timedelta(days=self.retention_days))


def run(clients: Clients, query: Query, timeout_seconds: float) -> QueryResult:
    """Run a query. Stop the query on Ctrl-C, or raise OperatorError if it does not complete in time."""
    query_id = clients.logs.start_query(
        logGroupNames=[*query.log_groups],
        queryString=query.text,
        startTime=int(query.since.timestamp()),
        endTime=int(query.until.timestamp()) + 1,
        limit=MOST_LINES,
    )["queryId"]
    try:
        answer = _wait(clients, query_id, timeout_seconds)
    except BaseException:
        # Otherwise, the query would continue, and cost money, for up to an hour.
        with suppress(Exception):
            clients.logs.stop_query(queryId=query_id)
        raise
    statistics = answer.get("statistics", {})
    return QueryResult(
        messages=[*_messages(clients, query_id, answer)],
        bytes_scanned=int(statistics.get("bytesScanned", 0)),
        records_scanned=int(statistics.get("recordsScanned", 0)),
    )


def _wait(clients: Clients, query_id: str, timeout_seconds: float) -> Mapping[str, Any]:
    """Return the first response in which the query is complete."""
    deadline, interval = time.monotonic() + timeout_seconds, _FIRST_INTERVAL_SECONDS
    while True:
        answer = clients.logs.get_query_results(queryId=query_id)
        if (status := answer["status"]) == "Complete":
            return answer
        if status not in _RUNNING:
            raise OperatorError(f"Logs Insights ended the query with the status {status}: repeat the command")
        if time.monotonic() >= deadline:
            raise OperatorError(
                f"the query did not complete within {timeout_seconds:g} seconds and was stopped:"
                " give a shorter --since, or a longer --timeout"
            )
        interrupts.sleep(interval)
        interval = min(2 * interval, _LONGEST_INTERVAL_SECONDS)


def _messages(clients: Clients, query_id: str, answer: Mapping[str, Any]) -> Iterator[str]:
    """Yield the message of each row, of all pages."""
    while True:
        for row in answer.get("results", ()):
            yield from (cell["value"] for cell in row if cell["field"] == "@message")
        if not (token := answer.get("nextToken")):
            return
        answer = clients.logs.get_query_results(queryId=query_id, nextToken=token)


def log_groups(clients: Clients, names: Sequence[str]) -> list[LogGroup]:
    """Return the log groups with these names."""
    found: list[LogGroup] = []
    for name in names:
        pages = clients.logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=name)
        found += [
            _log_group(each) for page in pages for each in page["logGroups"] if each["logGroupName"] == name
        ]
    return found


def _log_group(described: Mapping[str, Any]) -> LogGroup:
    return LogGroup(
        name=described["logGroupName"],
        created=datetime.fromtimestamp(described["creationTime"] / 1000, UTC),
        retention_days=described.get("retentionInDays"),
    )
