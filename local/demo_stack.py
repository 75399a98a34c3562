"""The demo's stack on the emulator: sends the requests to the stack, and observes the results."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from gluebrake.contract import STOP_REQUESTED
from local import scenario
from local.aws import Aws
from local.deployment import log_group
from local.emulator import Emulator
from local.observation import DeadLetter, Observation
from local.scenario import Request

if TYPE_CHECKING:
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

SOURCE: Final = "demo.guardrail"
SCHEDULED_TIME: Final = "<aws.scheduler.scheduled-time>"
LAMBDAS_OWN: Final = ("START RequestId", "END RequestId", "REPORT RequestId")
"""The beginnings of the log lines that Lambda itself writes about each invocation."""


@dataclass(frozen=True, slots=True)
class DemoStack:
    """The demo's deployment, and the ids of its runs."""

    emulator: Emulator
    outputs: Mapping[str, str]
    ids: scenario.Ids

    @property
    def aws(self) -> Aws:
        """The emulator's clients."""
        return self.emulator.aws

    def runs(self) -> dict[str, dict[str, str]]:
        """Return the state of each run, by job and by run id."""
        answers = {name: self.aws.glue.get_job_runs(JobName=name)["JobRuns"] for name in scenario.RUNS}
        return {name: {run["Id"]: run["JobRunState"] for run in runs} for name, runs in answers.items()}

    def observe(self, dead_letters: tuple[DeadLetter, ...] = ()) -> Observation:
        """Return the current observation. The dead letters are passed in, because they are read only once."""
        runs, calls = self.runs(), self.emulator.glue_calls("BatchStopJobRun")
        lines = list(self._lines())
        log = [json.loads(line) for line in lines if line.startswith("{")]
        plain_log = [line for line in lines if not line.startswith(("{", *LAMBDAS_OWN))]
        return Observation(runs, log, calls, dead_letters, plain_log)

    def count_dead_letters(self) -> int:
        """Count the messages in the dead-letter queue."""
        answer = self.aws.sqs.get_queue_attributes(
            QueueUrl=self.outputs["DeadLetterQueueUrl"], AttributeNames=["ApproximateNumberOfMessages"]
        )
        return int(answer["Attributes"]["ApproximateNumberOfMessages"])

    def dead_letters(self) -> tuple[DeadLetter, ...]:
        """Receive the dead letters, which hides them from the next receiver."""
        answer = self.aws.sqs.receive_message(
            QueueUrl=self.outputs["DeadLetterQueueUrl"], MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        )
        return tuple(
            DeadLetter(
                message["MessageAttributes"]["ERROR_CODE"]["StringValue"],
                message["MessageAttributes"]["ERROR_MESSAGE"]["StringValue"],
                message["Body"],
            )
            for message in answer.get("Messages", [])
        )

    def send(self, request: Request) -> None:
        """Send a request in the way that the scenario gives."""
        SENDERS[request.via](self, request)

    def send_as_scheduled(self) -> None:
        """Send the message that EventBridge Scheduler sends when the policy's schedule is due."""
        (listed,) = self.aws.scheduler.list_schedules()["Schedules"]
        schedule = self.aws.scheduler.get_schedule(Name=listed["Name"], GroupName=listed["GroupName"])
        body = schedule["Target"]["Input"].replace(SCHEDULED_TIME, datetime.now(UTC).isoformat())
        self.aws.sqs.send_message(QueueUrl=self.outputs["SweepQueueUrl"], MessageBody=body)

    def _lines(self) -> Iterator[str]:
        pages = self.aws.logs.get_paginator("filter_log_events")
        for name in (name for output, name in self.outputs.items() if output.endswith("FunctionName")):
            for page in pages.paginate(logGroupName=log_group(self.aws, name)):
                yield from (event["message"] for event in page["events"])


def _to_queue(stack: DemoStack, request: Request) -> None:
    stack.aws.sqs.send_message(QueueUrl=stack.outputs["StopQueueUrl"], MessageBody=request.body(stack.ids))


def _to_bus(stack: DemoStack, request: Request) -> None:
    entry: PutEventsRequestEntryTypeDef = {
        "EventBusName": stack.outputs["EventBusName"],
        "Source": SOURCE,
        "DetailType": STOP_REQUESTED,
        "Detail": request.body(stack.ids),
    }
    stack.aws.events.put_events(Entries=[entry])


def _to_topic(stack: DemoStack, request: Request) -> None:
    stack.aws.sns.publish(TopicArn=stack.outputs["SignalTopicArn"], Message=request.body(stack.ids))


def _through_alarm(stack: DemoStack, request: Request) -> None:
    """Make an alarm on the metric of one run fire. The alarm's name has a prefix of `stopOnAlarms`."""
    (run_id,) = request.run_ids(stack.ids)
    dimensions = {"JobName": request.job, "JobRunId": run_id, "Type": "count"}
    alarm = f"{request.job}-too-long"
    stack.aws.cloudwatch.put_metric_alarm(
        AlarmName=alarm,
        Namespace="Glue",
        MetricName="glue.driver.aggregate.elapsedTime",
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        Statistic="Sum",
        Period=10800,
        EvaluationPeriods=1,
        Threshold=7200000,
        ComparisonOperator="GreaterThanThreshold",
    )
    stack.aws.cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="the demo")


SENDERS: Final[Mapping[scenario.Way, Callable[[DemoStack, Request], None]]] = {
    "queue": _to_queue,
    "bus": _to_bus,
    "topic": _to_topic,
    "alarm": _through_alarm,
}
