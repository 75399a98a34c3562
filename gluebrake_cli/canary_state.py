"""The states of the canary's job, schedule and alarm. Loads no boto3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from gluebrake_cli.errors import DEPLOY, OperatorError

if TYPE_CHECKING:
    from gluebrake_cli.clients import Clients
    from gluebrake_cli.stack_template import StackTemplate

DELETED: Final = "deleted"
"""The state of a resource that is in the template but does not exist in AWS."""


class CanaryState(Struct, frozen=True, kw_only=True):
    """The states of the canary's resources. While the canary is off, `schedule` and `alarm` are None."""

    job_name: str
    has_job: bool
    schedule: str | None = None
    """`ENABLED`, `DISABLED` or `deleted`."""
    alarm: str | None = None
    """The state of the alarm in CloudWatch, or `deleted`."""


def read(clients: Clients, template: StackTemplate, job_name: str) -> CanaryState:
    """Read the states of the canary. Raise OperatorError if the stack's version has no canary."""
    if not job_name:
        raise OperatorError(f"the stack is of a version without a canary: deploy this version {DEPLOY}")
    schedule = _physical_id(template, "AWS::Scheduler::Schedule", "Canary")
    alarm = _physical_id(template, "AWS::CloudWatch::Alarm", "ObservabilityCanarySilent")
    return CanaryState(
        job_name=job_name,
        has_job=_has_job(clients, job_name),
        schedule=schedule and _schedule_state(clients, schedule),
        alarm=alarm and _alarm_state(clients, alarm),
    )


def _physical_id(template: StackTemplate, kind: str, construct: str) -> str | None:
    """Return the physical id of a construct's resource of a type, or None if the template has none."""
    resources = template.body["Resources"].items()
    names = (name for name, resource in resources if resource["Type"] == kind and name.startswith(construct))
    return next((template.physical_ids[name] for name in names), None)


def _has_job(clients: Clients, job_name: str) -> bool:
    try:
        clients.glue.get_job(JobName=job_name)
    except clients.glue.exceptions.EntityNotFoundException:
        return False
    return True


def _schedule_state(clients: Clients, name: str) -> str:
    try:
        return str(clients.scheduler.get_schedule(Name=name)["State"])
    except clients.scheduler.exceptions.ResourceNotFoundException:
        return DELETED


def _alarm_state(clients: Clients, name: str) -> str:
    answer = clients.cloudwatch.describe_alarms(AlarmNames=[name])
    return next((alarm["StateValue"] for alarm in answer["MetricAlarms"]), DELETED)
