"""The emulator's schedules have context attributes and time zones as on AWS."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from local.aws import ACCOUNT, REGION
from local.emulator import Emulator
from tests.support.eventually import eventually


def test_context_attributes_are_replaced(emulator: Emulator) -> None:
    """The target gets the ARN, the time, the execution and the attempt instead of the keywords."""
    queue_url = emulator.aws.sqs.create_queue(QueueName="scheduled")["QueueUrl"]
    keywords = {"schedule-arn", "scheduled-time", "execution-id", "attempt-number"}
    began = datetime.now(UTC).replace(microsecond=0)
    created = emulator.aws.scheduler.create_schedule(
        Name="due-now",
        ScheduleExpression=f"at({began:%Y-%m-%dT%H:%M:%S})",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={
            "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:scheduled",
            "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/any",
            "Input": json.dumps({name: f"<aws.scheduler.{name}>" for name in keywords}),
        },
    )
    (message,) = eventually(lambda: emulator.aws.sqs.receive_message(QueueUrl=queue_url).get("Messages"))
    values = json.loads(message["Body"])
    assert values["schedule-arn"] == created["ScheduleArn"]
    assert timedelta() <= datetime.fromisoformat(values["scheduled-time"]) - began < timedelta(minutes=2)
    assert values["attempt-number"] == "1"
    assert values["execution-id"].isalnum()


def test_schedule_of_a_template_keeps_its_time_zone(emulator: Emulator) -> None:
    """GetSchedule returns the time zone of the template, in the schedule group of the template."""
    target = {"Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:any", "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/any"}
    schedule: dict[str, Any] = {
        "Name": "nightly",
        "GroupName": {"Ref": "Group"},
        "ScheduleExpression": "cron(0 20 ? * * *)",
        "ScheduleExpressionTimezone": "Europe/Berlin",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": target,
    }
    resources = {
        "Group": {"Type": "AWS::Scheduler::ScheduleGroup", "Properties": {"Name": "nights"}},
        "Schedule": {"Type": "AWS::Scheduler::Schedule", "Properties": schedule},
    }
    aws = emulator.aws
    aws.cloudformation.create_stack(StackName="nights", TemplateBody=json.dumps({"Resources": resources}))
    eventually(lambda: aws.scheduler.list_schedules(NamePrefix="nightly")["Schedules"])
    created = aws.scheduler.get_schedule(Name="nightly", GroupName="nights")
    assert created["ScheduleExpressionTimezone"] == "Europe/Berlin"
