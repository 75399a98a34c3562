"""Replace threads by lanes of virtual time, so that the real functions play a load the same way each time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from http import HTTPStatus
from math import inf
from random import Random
from typing import Any, Final, TypeVar

from botocore.exceptions import ClientError
from msgspec import json

from infra import costs
from tests.support.fakes.aws_server import FakeAws
from tests.support.fakes.clock import VirtualClock
from tests.support.fakes.exchange import Call, Json

T = TypeVar("T")
R = TypeVar("R")

START: Final = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
GLUE_OPERATIONS: Final = ("BatchStopJobRun", "GetJobRun", "GetJobRuns")

_TIMES: Final = frozenset({"StartedOn", "CompletedOn"})


class LaneClock(VirtualClock):
    """The time of the lane that is calling: each thread of an invocation is a lane with a time of its own."""

    seconds: float = 0.0

    def __call__(self) -> datetime:
        """Return the time."""
        return START + timedelta(seconds=self.seconds)

    def fan_out(
        self, call: Callable[[T], R], items: Sequence[T], *, workers: int, seconds: float | None
    ) -> list[tuple[T, Future[R]]]:
        """Make one call after another, each at the time of the lane that is free first.

        This replaces `gluebrake.aws.call_budget.fan_out`, whose threads call in another order each time.
        """
        lanes, until = [self.seconds] * workers, self.seconds + (inf if seconds is None else seconds)
        futures: list[Future[R]] = []
        for item in items:
            self.seconds = heappop(lanes)
            futures.append(_future(call, item) if self.seconds < until else _cancelled())
            heappush(lanes, self.seconds)
        self.seconds = max(lanes)
        return list(zip(items, futures, strict=True))


def _future(call: Callable[[T], R], item: T) -> Future[R]:
    future: Future[R] = Future()
    try:
        future.set_result(call(item))
    except Exception as error:  # noqa: BLE001 - as in a thread, the future carries it
        future.set_exception(error)
    return future


def _cancelled() -> Future[Any]:
    future: Future[Any] = Future()
    future.cancel()
    return future


@dataclass
class Client:
    """A client of all services. The fake AWS answers in this process, after the time that a call takes."""

    aws: FakeAws
    clock: LaneClock
    random: Random
    calls: Counter[str] = field(default_factory=Counter)
    accepted_at: dict[str, float] = field(default_factory=dict)
    """When Glue accepted the stop of each run, by its id."""
    final: list[tuple[str, str, float]] = field(default_factory=list)
    """The run id, the outcome and the time of each outcome event."""

    def __getattr__(self, method: str) -> Callable[..., Json]:
        operation = "".join(map(str.capitalize, method.split("_")))

        def call(**parameters: Any) -> Json:
            return self._call(operation, parameters)

        call.__name__ = method
        return call

    def _call(self, operation: str, parameters: Json) -> Json:
        """Make a call. As botocore does, repeat it once after up to a second if the service refuses it."""
        for pause in (self.random.random(), 0.0):
            is_glue = operation in GLUE_OPERATIONS
            self.clock.seconds += costs.GLUE_CALL_SECONDS if is_glue else costs.CALL_SECONDS
            self.calls[operation] += 1
            reply = self.aws.reply(Call(operation, parameters))
            if reply.status == HTTPStatus.OK:
                self._record(operation, parameters, reply.payload)
                return _parsed(reply.payload)
            self.clock.seconds += pause
        error: Any = {"Error": {"Code": reply.payload["__type"]}, "ResponseMetadata": {"RetryAttempts": 1}}
        raise ClientError(error, operation)

    def _record(self, operation: str, parameters: Json, payload: Json) -> None:
        if operation == "BatchStopJobRun":
            submitted = [run["JobRunId"] for run in payload["SuccessfulSubmissions"]]
            self.accepted_at.update(dict.fromkeys(submitted, self.clock.seconds))
        elif operation == "PutEvents":
            details = [json.decode(entry["Detail"]) for entry in parameters["Entries"]]
            self.final += [(detail["jobRunId"], detail["outcome"], self.clock.seconds) for detail in details]


def _parsed(payload: Json) -> Json:
    """Parse the times of runs, as botocore does."""
    for run in payload.get("JobRuns", [payload["JobRun"]] if "JobRun" in payload else []):
        run.update({name: datetime.fromtimestamp(run[name], UTC) for name in _TIMES & run.keys()})
    return payload
