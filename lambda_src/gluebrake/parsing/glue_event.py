"""Glue's event about a run that takes longer than its NotifyDelayAfter.

Shape: https://docs.aws.amazon.com/eventbridge/latest/ref/events-ref-glue.html, "Glue Job Run Status".
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from gluebrake.contract import Name, StopRequest
from gluebrake.model import NotARequest
from gluebrake.parsing import stop_request

_ACTIVE: Final = frozenset({"STARTING", "RUNNING"})


class _Condition(Struct, frozen=True):
    minutes: float | None = msgspec.field(default=None, name="NotifyDelayAfter")


class RunStatus(Struct, rename="camel"):
    """The event's `detail`."""

    job_name: Name
    job_run_id: Name
    state: str
    message: str | None = None
    notification_condition: _Condition | None = None


def parse(detail: RunStatus) -> list[StopRequest] | NotARequest:
    """Parse the event as a request to stop the run that it names."""
    if detail.state not in _ACTIVE:
        return NotARequest(f"the run is {detail.state[:64]}: there is nothing to stop")
    request = stop_request.from_signal(
        job_name=detail.job_name,
        job_run_ids=[detail.job_run_id],
        reason=": ".join(filter(None, (_limit(detail.notification_condition), detail.message))),
        requested_by="aws.glue",
        path="detail",
    )
    return [request]


def _limit(condition: _Condition | None) -> str:
    if condition is None or condition.minutes is None:
        return "runs too long"
    return f"runs longer than its NotifyDelayAfter of {condition.minutes:g} minutes"
