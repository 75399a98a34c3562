"""Schedules of EventBridge Scheduler with context attributes and time zones, which ministack drops.

ministack looks for due schedules every ten seconds. So a scheduled time is when the emulator found the schedule
due, up to ten seconds after the time on AWS. A schedule keeps its time zone, but the emulator evaluates every
expression in UTC.
"""

# ruff: noqa: SLF001 - ministack has no public hooks; the shim pins its version and tests/local covers each patch

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from ministack.services import eventbridge, scheduler
from ministack.services.cloudformation import provisioners

Data = dict[str, Any]
InvokeTarget = Callable[..., None]
CreateSchedule = Callable[[str, Data, str], tuple[str, Data]]


def install() -> None:
    """Replace context attributes in the input of a schedule's target, and keep the time zone of a template."""
    eventbridge._invoke_target = _with_context(eventbridge._invoke_target)
    handlers = provisioners._RESOURCE_HANDLERS["AWS::Scheduler::Schedule"]
    handlers["create"] = _with_time_zone(handlers["create"])


def _with_context(invoke: InvokeTarget) -> InvokeTarget:
    def invoke_target(target: Data, event: Data, rule: Data, *view: Any) -> None:
        if event.get("Source") == "aws.scheduler" and "Input" in target:
            target = {**target, "Input": _replaced(target["Input"], event, rule)}
        invoke(target, event, rule, *view)

    return invoke_target


def _replaced(text: str, event: Data, schedule: Data) -> str:
    """Replace the context attributes by their values.

    https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
    """
    values = {
        "schedule-arn": schedule["Arn"],
        "scheduled-time": datetime.fromtimestamp(event["Time"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "execution-id": secrets.token_hex(8),
        "attempt-number": "1",
    }
    for name, value in values.items():
        text = text.replace(f"<aws.scheduler.{name}>", value)
    return text


def _with_time_zone(create: CreateSchedule) -> CreateSchedule:
    def create_schedule(logical_id: str, properties: Data, stack_name: str) -> tuple[str, Data]:
        name, attributes = create(logical_id, properties, stack_name)
        schedule = scheduler._schedules[f"{properties.get('GroupName', 'default')}/{name}"]
        schedule["ScheduleExpressionTimezone"] = properties.get("ScheduleExpressionTimezone", "UTC")
        return name, attributes

    return create_schedule
