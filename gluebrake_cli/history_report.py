"""The result of `gluebrake history`: the runs that one query found, and the log groups that it searched."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from gluebrake.settings import PREFIX
from gluebrake_cli import history, history_lines, insights
from gluebrake_cli.history import RunHistory
from gluebrake_cli.history_query import Search
from gluebrake_cli.insights import LogGroup, Query, QueryResult
from gluebrake_cli.sections import Sections

if TYPE_CHECKING:
    from gluebrake_cli.stack import Deployment

# The logs of these functions have the outcomes of runs. SWEEP's log has only the runs that policies matched.
_FUNCTIONS: Final = ("stop", "confirm")


class HistoryReport(Struct, frozen=True, kw_only=True):
    """The result of a search, newest first. If a log group does not exist, `unknown` has the error."""

    search: Search
    now: datetime
    found: Sequence[RunHistory]
    result: QueryResult
    log_groups: Sequence[LogGroup]
    unknown: Mapping[str, str]
    sweep_sender_ids: frozenset[str]
    """The sender ids that SQS reports for SWEEP's messages: the id of its role."""

    @property
    def goes_back_to(self) -> datetime | None:
        """The time from which the logs are complete, None if they cannot be read."""
        return max((group.goes_back_to(self.now) for group in self.log_groups), default=None)

    @property
    def problems(self) -> list[str]:
        """The reasons why the result may be incomplete."""
        text = (
            f"the query returned {insights.MOST_LINES:,} log lines, which is the most: older ones are missing."
            " Give a shorter --since, --run or --job"
        )
        return [text] if self.result.is_full else []

    def as_json(self, limit: int) -> dict[str, Any]:
        """Return the members of the JSON output, with at most `limit` runs."""
        conditions = {name: text for name, text in msgspec.structs.asdict(self.search).items() if text}
        return {
            "search": conditions,
            "runs": [history.as_json(each, self.sweep_sender_ids) for each in self.found[:limit]],
            "found": len(self.found),
            "stopped": history.total(self.found),
            "scanned": {"bytes": self.result.bytes_scanned, "records": self.result.records_scanned},
            "log_groups": self.log_groups,
            "goes_back_to": self.goes_back_to,
            "unknown": self.unknown,
            "wrong": self.problems,
        }


def read(deployment: Deployment, search: Search, now: datetime, timeout_seconds: float) -> HistoryReport:
    """Search the logs of STOP and CONFIRM with one query."""
    names = [deployment.log_groups[function] for function in _FUNCTIONS]
    query = Query(log_groups=names, text=search.query, since=search.since, until=now)
    result = insights.run(deployment.clients, query, timeout_seconds)
    lines = filter(None, map(history_lines.parse, result.messages))
    sections = Sections()
    groups = sections.read("log groups", lambda: insights.log_groups(deployment.clients, names)) or []
    return HistoryReport(
        search=search,
        now=now,
        found=history.runs(filter(search.matches, lines)),
        result=result,
        log_groups=groups,
        unknown=sections.unknown,
        sweep_sender_ids=_sweep_sender_ids(deployment),
    )


def _sweep_sender_ids(deployment: Deployment) -> frozenset[str]:
    variables = deployment.configuration("stop").get("Environment", {}).get("Variables", {})
    return frozenset(json.loads(variables.get(f"{PREFIX}SWEEP_SENDER_IDS", "[]")))
