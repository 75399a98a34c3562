"""Clients that answer immediately, so that only the function's own CPU time remains."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from benchmarks.streams import Request
from gluebrake.aws.listings import PAGE
from gluebrake.handlers.confirm import ConfirmDependencies
from gluebrake.handlers.stop import StopDependencies
from tests.support.fakes.exchange import Json

D = TypeVar("D", StopDependencies, ConfirmDependencies)


def with_stubs(dependencies: D, requests: Iterable[Request]) -> D:
    """Replace the clients by stubs. The Glue stub reports the requests' runs as stopped."""
    return _with_clients(dependencies, glue=_Glue(requests), sqs=_Sqs(), events=_EventBridge(), sns=_Sns())


def with_client(dependencies: D, client: Any) -> D:
    """Replace the clients of all services by one."""
    return _with_clients(dependencies, glue=client, sqs=client, events=client, sns=client)


def _with_clients(dependencies: D, *, glue: Any, sqs: Any, events: Any, sns: Any) -> D:
    return replace(
        dependencies,
        glue=replace(dependencies.glue, client=glue),
        queues=replace(dependencies.queues, client=sqs),
        event_bus=replace(dependencies.event_bus, make_client=lambda: events),
        notice_topic=replace(dependencies.notice_topic, make_client=lambda: sns),
    )


class _Glue:
    """A Glue client that accepts every stop."""

    def __init__(self, requests: Iterable[Request]) -> None:
        self._runs: dict[str, list[Json]] = defaultdict(list)
        now = datetime.now(UTC)
        for job_name, run_ids in requests:
            details = {"WorkerType": "G.1X", "NumberOfWorkers": 10, "MaxCapacity": 10.0, "ExecutionTime": 60}
            states = {"JobRunState": "STOPPED", "StartedOn": now, "CompletedOn": now}
            self._runs[job_name] += [{"Id": run_id, **states, **details} for run_id in run_ids]

    def batch_stop_job_run(self, *, JobName: str, JobRunIds: Sequence[str]) -> Json:  # noqa: N803 - Glue's names
        return {"SuccessfulSubmissions": [{"JobName": JobName, "JobRunId": run_id} for run_id in JobRunIds]}

    def get_job_runs(self, *, JobName: str, NextToken: str = "0", **_: object) -> Json:  # noqa: N803 - Glue's names
        start, runs = int(NextToken), self._runs[JobName]
        token = {"NextToken": str(start + PAGE)} if start + PAGE < len(runs) else {}
        return {"JobRuns": runs[start : start + PAGE], **token}

    def get_job_run(self, *, JobName: str, RunId: str) -> Json:  # noqa: N803 - Glue's names
        return {"JobRun": next(run for run in self._runs[JobName] if run["Id"] == RunId)}


class _Sqs:
    """An SQS client that accepts every message."""

    def send_message_batch(self, *, Entries: Sequence[Json], **_: object) -> Json:  # noqa: N803 - SQS's name
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}


class _Sns:
    """An SNS client that accepts every notice."""

    def publish(self, **_: object) -> Json:
        return {"MessageId": "1"}


class _EventBridge:
    """An EventBridge client that accepts every event."""

    def put_events(self, *, Entries: Sequence[Json]) -> Json:  # noqa: N803 - EventBridge's name
        return {"Entries": [{"EventId": "1"} for _ in Entries]}
