"""The states of the canary are read from the resources that the stack's template has."""

from __future__ import annotations

from typing import Any, Final

import pytest

from gluebrake_cli.canary_state import CanaryState, read
from gluebrake_cli.errors import OperatorError
from gluebrake_cli.facts import DeploymentFacts
from gluebrake_cli.stack_template import StackTemplate
from tests.cli.command_line import STACK_ID
from tests.cli.stubbed import Stubbed

JOB: Final = "Gluebrake-canary"
OFF: Final = {
    "CanaryRole1A": ("AWS::IAM::Role", "role"),
    "ObservabilityRunsFailed1A": ("AWS::CloudWatch::Alarm", "other-alarm"),
    "OtherSchedule1A": ("AWS::Scheduler::Schedule", "other-schedule"),
}
ON: Final = {
    **OFF,
    "CanarySchedulerRole1A": ("AWS::IAM::Role", "scheduler-role"),
    "CanarySchedule1A": ("AWS::Scheduler::Schedule", "the-schedule"),
    "ObservabilityCanarySilent1A": ("AWS::CloudWatch::Alarm", "the-alarm"),
}


def _template(resources: dict[str, tuple[str, str]]) -> StackTemplate:
    body = {"Resources": {name: {"Type": kind} for name, (kind, _) in resources.items()}}
    return StackTemplate(body, STACK_ID, {name: physical_id for name, (_, physical_id) in resources.items()})


def test_a_canary_that_is_off_has_a_job_only(stubbed: Stubbed) -> None:
    """Schedules and alarms of other constructs are not the canary's."""
    stubbed.answer("glue", "get_job", {"Job": {"Name": JOB}}, JobName=JOB)
    assert read(stubbed.clients, _template(OFF), JOB) == CanaryState(job_name=JOB, has_job=True)


@pytest.mark.parametrize(
    ("alarms", "alarm"), [([{"AlarmName": "the-alarm", "StateValue": "OK"}], "OK"), ([], "deleted")]
)
def test_the_schedule_and_the_alarm_are_read(
    stubbed: Stubbed, alarms: list[dict[str, Any]], alarm: str
) -> None:
    """CloudWatch leaves out an alarm that does not exist."""
    stubbed.answer("glue", "get_job", {"Job": {"Name": JOB}}, JobName=JOB)
    stubbed.answer("scheduler", "get_schedule", {"State": "DISABLED"}, Name="the-schedule")
    stubbed.answer("cloudwatch", "describe_alarms", {"MetricAlarms": alarms}, AlarmNames=["the-alarm"])
    state = CanaryState(job_name=JOB, has_job=True, schedule="DISABLED", alarm=alarm)
    assert read(stubbed.clients, _template(ON), JOB) == state


def test_deleted_resources_are_found(stubbed: Stubbed) -> None:
    """A job or a schedule that was deleted by hand is an error of AWS, and a state here."""
    stubbed.of("glue").add_client_error("get_job", "EntityNotFoundException")
    stubbed.of("scheduler").add_client_error("get_schedule", "ResourceNotFoundException")
    stubbed.answer("cloudwatch", "describe_alarms", {"MetricAlarms": []}, AlarmNames=["the-alarm"])
    state = CanaryState(job_name=JOB, has_job=False, schedule="deleted", alarm="deleted")
    assert read(stubbed.clients, _template(ON), JOB) == state


def test_a_stack_without_a_canary_cannot_be_checked(stubbed: Stubbed) -> None:
    """A version before the canary has no such output."""
    stubbed.answer(
        "cloudformation", "get_template", {"TemplateBody": '{"Resources": {}}'}, StackName="Gluebrake"
    )
    stubbed.answer(
        "cloudformation", "list_stack_resources", {"StackResourceSummaries": []}, StackName="Gluebrake"
    )
    with pytest.raises(OperatorError, match=r"a version without a canary.*with your configuration"):
        DeploymentFacts(stubbed.deployment).canary()
