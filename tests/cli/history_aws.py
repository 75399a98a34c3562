"""An AWS account with the functions' logs and Logs Insights, around the simulated SQS and Glue."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from msgspec import structs

from gluebrake import settings
from gluebrake.metrics import Measure
from gluebrake.model import MessageResult
from gluebrake.outcomes import Outcome, outcomes_of
from gluebrake.telemetry import Telemetry
from gluebrake_cli.stack import Deployment
from tests.cli.canary_aws import SETTINGS
from tests.cli.hooked_calls import Answer, Answered, Http, answer_calls, captured_telemetry
from tests.support.builders import result

SWEEP_ROLE: Final = "AROASWEEP"
SWEEP: Final = f"{SWEEP_ROLE}:Gluebrake-Sweep"
"""What SQS reports as the sender of SWEEP's messages."""

COST: Final = {
    Measure.TIME_TO_STOP: 18.0,
    Measure.DPUS_RELEASED: 10.0,
    Measure.DPU_HOURS_CONSUMED: 3.2,
    Measure.ESTIMATED_COST_USD: 1.408,
    Measure.FURTHER_COST_USD_AT_MOST: 52.8,
}
"""What is measured of a run that was stopped."""

_LIKE: Final = r"filter @message like /((?:[^/\\\n]|\\.)+)/"
_QUERY: Final = re.compile(rf"fields @timestamp, @message(?:\n\| {_LIKE})+\n\| sort @timestamp desc")
"""The only form of query that the fake accepts. Nothing in a regular expression can end it."""

_STATES: Final = {Outcome.STOPPED: "STOPPED", Outcome.FINISHED_BEFORE_STOP: "SUCCEEDED"}


class Logged(NamedTuple):
    """A line in the log of a function."""

    function: str
    time: datetime
    message: str


@dataclass
class HistoryAws:
    """The logs of the functions, which Logs Insights searches. A test changes it before it runs the command."""

    settings: dict[str, Any] = field(default_factory=lambda: {**SETTINGS, "sweep_sender_ids": [SWEEP_ROLE]})
    log: list[Logged] = field(default_factory=list)
    statuses: list[str] = field(default_factory=list)
    """What GetQueryResults answers at first, before the query is complete."""
    created: datetime = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    retention_days: int | None = None
    page: int = 10_000
    """How many rows an answer of GetQueryResults has."""
    refused: dict[str, str] = field(default_factory=dict)
    """By operation, the code with which the call is refused."""
    queries: list[Mapping[str, Any]] = field(default_factory=list)
    """The parameters of each query."""
    stopped: list[str] = field(default_factory=list)
    """The ids of the queries that were stopped."""

    def connect(self, deployment: Deployment) -> Deployment:
        """Return the deployment as it is with these logs."""
        clients = deployment.clients
        answers: list[tuple[Any, str, Answer]] = [
            (clients.lambda_, "GetFunctionConfiguration", self._get_function_configuration),
            (clients.logs, "StartQuery", self._start_query),
            (clients.logs, "GetQueryResults", self._get_query_results),
            (clients.logs, "StopQuery", self._stop_query),
            (clients.logs, "DescribeLogGroups", self._describe_log_groups),
        ]
        answer_calls(answers, self.refused)
        return replace(deployment)

    def record(
        self, outcome: Outcome, run_id: str = "jr_1", *, ago: timedelta = timedelta(), **changes: Any
    ) -> None:
        """Let the function of an outcome log it. `changes` are the result's, the target's or the request's.

        With `will_redeliver`, SQS redelivers the message.
        """
        redelivered = ["m-1"] if changes.pop("will_redeliver", False) else []
        fields = {name: changes.pop(name) for name in ("error", "measures") if name in changes}
        logged = structs.replace(
            result(outcome, run_id=run_id, **changes), state=_STATES.get(outcome, ""), **fields
        )
        with self._logging(outcome, ago) as telemetry:
            telemetry.record_results([logged], [], {}, frozenset(redelivered))

    def record_message(self, logged: MessageResult, *, ago: timedelta = timedelta()) -> None:
        """Let STOP log the outcome of a whole message."""
        with self._logging(logged.outcome, ago) as telemetry:
            telemetry.record_results([], [logged], {}, frozenset())

    @contextmanager
    def _logging(self, outcome: Outcome, ago: timedelta) -> Iterator[Telemetry]:
        """Make the telemetry of the function that decides an outcome, and add its lines with their time."""
        function = "stop" if outcome in outcomes_of("stop") else "confirm"
        time = datetime.now(UTC) - ago
        with captured_telemetry(function) as (telemetry, output):
            yield telemetry
        for line in output.getvalue().splitlines():
            message = re.sub('"timestamp":"[^"]+"', f'"timestamp":"{time.isoformat()}"', line, count=1)
            self.log.append(Logged(function, time, message))

    def _get_function_configuration(self, parameters: Mapping[str, Any]) -> Answered:
        variables = settings.environment(self.settings)
        group = f"/{parameters['FunctionName'].removesuffix('FunctionName').lower()}"
        return Http(), {"Environment": {"Variables": variables}, "LoggingConfig": {"LogGroup": group}}

    def _start_query(self, parameters: Mapping[str, Any]) -> Answered:
        patterns = _patterns(parameters["queryString"])
        if patterns is None:
            return Http(400), {"Error": {"Code": "MalformedQueryException", "Message": "unexpected symbol"}}
        self.queries.append({**parameters, "patterns": patterns})
        return Http(), {"queryId": f"query-{len(self.queries)}"}

    def _get_query_results(self, parameters: Mapping[str, Any]) -> Answered:
        if self.statuses:
            return Http(), {"status": self.statuses.pop(0), "results": [], "statistics": {}}
        scanned, found = self._search(self.queries[int(parameters["queryId"].removeprefix("query-")) - 1])
        start = int(parameters.get("nextToken", 0))
        token = {"nextToken": str(start + self.page)} if start + self.page < len(found) else {}
        size = float(sum(len(line.message.encode()) for line in scanned))
        statistics = {"bytesScanned": size, "recordsScanned": float(len(scanned))}
        rows = [_row(line) for line in found[start : start + self.page]]
        return Http(), {"status": "Complete", "results": rows, "statistics": statistics, **token}

    def _search(self, query: Mapping[str, Any]) -> tuple[list[Logged], list[Logged]]:
        """Return the lines that a query scans, and those that it returns."""
        scanned = [
            line
            for line in self.log
            if f"/{line.function}" in query["logGroupNames"]
            and query["startTime"] <= line.time.timestamp() <= query["endTime"]
        ]
        found = [line for line in scanned if all(each.search(line.message) for each in query["patterns"])]
        return scanned, sorted(found, key=lambda line: line.time, reverse=True)[: query["limit"]]

    def _stop_query(self, parameters: Mapping[str, Any]) -> Answered:
        self.stopped.append(parameters["queryId"])
        return Http(), {"success": True}

    def _describe_log_groups(self, parameters: Mapping[str, Any]) -> Answered:
        retention = {} if self.retention_days is None else {"retentionInDays": self.retention_days}
        created = int(self.created.timestamp() * 1000)
        prefix = parameters["logGroupNamePrefix"]
        names = (prefix, f"{prefix}-of-another-stack")
        groups = [{"logGroupName": name, "creationTime": created, **retention} for name in names]
        return Http(), {"logGroups": groups}


def _patterns(query: str) -> list[re.Pattern[str]] | None:
    """Return the regular expressions of a query's filters, None if the query has another form."""
    return [re.compile(text) for text in re.findall(_LIKE, query)] if _QUERY.fullmatch(query) else None


def _row(line: Logged) -> list[dict[str, str]]:
    time = line.time.strftime("%Y-%m-%d %H:%M:%S.000")
    values = {"@timestamp": time, "@message": line.message, "@ptr": "CmEKJgoiMTI"}
    return [{"field": name, "value": value} for name, value in values.items()]
