"""Decide which policies the messages of an invocation make due, and at which due time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from gluebrake.model import Message, MessageResult
from gluebrake.outcomes import Outcome
from gluebrake.policies import DuePolicy, DueRequest, Policy, Trigger

_LATEST: Final[Mapping[Trigger, timedelta]] = {
    Trigger.SCHEDULE: timedelta(minutes=15),
    Trigger.SIGNAL: timedelta(hours=6),
}
"""How long after its due time a sweep may start. A policy that is due at 20:00 must stop nothing at 02:00."""

_LONGEST_NAMES: Final = 512  # a message can name policies of a megabyte


def due_policies(
    requests: Iterable[tuple[Message, DueRequest]], policies: Sequence[Policy], now: datetime
) -> tuple[list[DuePolicy], list[MessageResult]]:
    """Return the due policies in the configuration's order, and the result of each message.

    A policy that several messages name is due once, at the latest of their due times.
    """
    due: dict[str, DuePolicy] = {}
    by_name = {policy.name: policy for policy in policies}
    results: list[MessageResult] = []
    for message, request in requests:
        moment = min(request.due, now)
        if now - moment > _LATEST[request.trigger]:
            results.append(_late(message, request, now - moment))
            continue
        results.append(_swept(message, request, by_name))
        for name in request.policies:
            if name in by_name and (name not in due or due[name].due < moment):
                due[name] = DuePolicy(by_name[name], moment, request.trigger)
    return [due[policy.name] for policy in policies if policy.name in due], results


def _late(message: Message, request: DueRequest, delay: timedelta) -> MessageResult:
    why = (
        f"{_listed(request.policies)}: due at {request.due.isoformat()}, {delay} ago; "
        f"a {request.trigger} is dropped after {_LATEST[request.trigger]}"
    )
    return MessageResult(message, Outcome.SWEEP_LATE, why)


def _swept(message: Message, request: DueRequest, by_name: Mapping[str, Policy]) -> MessageResult:
    unknown = [name for name in request.policies if name not in by_name]
    if len(unknown) == len(request.policies):
        why = f"no such policy is deployed: {_listed(unknown)}"
        return MessageResult(message, Outcome.IGNORED, why)
    why = f"not deployed: {_listed(unknown)}" if unknown else ""
    return MessageResult(message, Outcome.SWEPT, why)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)[:_LONGEST_NAMES]
