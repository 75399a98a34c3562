"""The only module that talks to AWS: a deployed Gluebrake, found by its stack. Importing it loads boto3."""

from __future__ import annotations

import getpass
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from gluebrake.aws.glue import CallBudget, Glue
from gluebrake.model import AwsEnvironment, JobRun, RunFacts
from gluebrake_cli.errors import OperatorError
from gluebrake_cli.following import Line, outcome_line
from gluebrake_cli.health import Alarm, Depth, MappingState

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef, MetricStatTypeDef, MetricTypeDef
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_lambda.type_defs import EventSourceMappingConfigurationTypeDef
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_sqs import SQSClient

WORK_QUEUES: Final = {
    "stop": "StopQueueUrl",
    "confirm": "ConfirmQueueUrl",
    "dead letters": "DeadLetterQueueUrl",
}
FUNCTIONS: Final = {"stop": "StopFunctionName", "confirm": "ConfirmFunctionName"}
"""The stack's outputs, by what they name."""

_SINGLE_LOOKS: Final = 5
_LOG_PAGES: Final = 20
_AGE: Final = timedelta(minutes=15)


class Clients:
    """Clients of AWS's services, each made when it is first used."""

    cloudformation: CloudFormationClient
    cloudwatch: CloudWatchClient
    glue: GlueClient
    lambda_: LambdaClient
    logs: CloudWatchLogsClient
    sqs: SQSClient
    sts: Any  # one call of it is used

    def __init__(self, session: boto3.Session, **options: Any) -> None:
        self._session = session
        config = Config(
            connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 4}
        )
        self._options = {"config": config, **options}

    def __getattr__(self, name: str) -> Any:
        """Make the client of a service that is declared above, and keep it."""
        if name not in Clients.__annotations__:
            raise AttributeError(name)
        service: Any = name.rstrip("_")
        client = self._session.client(service, **self._options)
        setattr(self, name, client)
        return client


def connect(*, stack: str, profile: str | None, region: str | None) -> Deployment:
    """Find the stack, by the profile's credentials and in its Region where none is given."""
    session = boto3.Session(profile_name=profile, region_name=region)
    return find(stack, Clients(session), session.region_name)


def find(stack: str, clients: Clients, region: str | None) -> Deployment:
    """Find the stack; raise OperatorError if it is not there or is none of ours."""
    try:
        (found,) = clients.cloudformation.describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        if "does not exist" not in error.response["Error"]["Message"]:
            raise
        raise OperatorError(
            f"no stack {stack!r} in {region}: "
            "deploy it (make deploy), or give --stack, GLUEBRAKE_STACK, --profile or --region"
        ) from error
    outputs = {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}
    if missing := {*WORK_QUEUES.values(), *FUNCTIONS.values()} - outputs.keys():
        raise OperatorError(
            f"the stack {stack!r} is no Gluebrake, since it lacks the output {min(missing)}: give --stack"
        )
    return Deployment(clients, stack, outputs)


@dataclass(frozen=True)
class Queue:
    """An SQS queue. What a batch call refuses it returns, by the entry's key, with SQS's words."""

    client: SQSClient
    url: str

    def attributes(self, *names: str) -> Mapping[str, str]:
        """Return some of the queue's attributes."""
        chosen: Any = names or ("All",)
        answer = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=chosen)
        return {str(name): value for name, value in answer["Attributes"].items()}

    def depth(self) -> int:
        """Return about how many messages there are, those in flight included."""
        counts = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        return sum(int(count) for count in self.attributes(*counts).values())

    def receive(self, hold_seconds: int) -> Sequence[Mapping[str, Any]]:
        """Return up to ten messages that nobody else will see for so long, none if there seem to be none."""
        answer = self.client.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=hold_seconds,
            WaitTimeSeconds=1,  # to wait at all is to ask all of SQS's servers, not some
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
        )
        return answer.get("Messages", [])

    def hold(self, receipt_handles: Mapping[str, str], seconds: int) -> Mapping[str, str]:
        """Have messages stay invisible for so many seconds from now; for none they are seen at once."""
        entries = [{**entry, "VisibilityTimeout": seconds} for entry in _entries(receipt_handles)]
        return _refused(
            self.client.change_message_visibility_batch(QueueUrl=self.url, Entries=entries),  # type: ignore[arg-type]
            receipt_handles,
        )

    def send(self, messages: Mapping[str, tuple[str, Mapping[str, Any]]]) -> Mapping[str, str]:
        """Send bodies with their attributes, ten at most."""
        entries: list[Any] = [
            {"Id": str(index), "MessageBody": body, "MessageAttributes": attributes}
            for index, (body, attributes) in enumerate(messages.values())
        ]
        return _refused(self.client.send_message_batch(QueueUrl=self.url, Entries=entries), messages)

    def send_one(self, body: str) -> str:
        """Send a message and return its id; raise OperatorError with SQS's words if it is refused."""
        answer = self.client.send_message_batch(QueueUrl=self.url, Entries=[{"Id": "0", "MessageBody": body}])
        for failed in answer.get("Failed", []):
            raise OperatorError(f"SQS did not take the request: {failed['Code']}: {failed.get('Message', '')}")
        return answer["Successful"][0]["MessageId"]

    def delete(self, receipt_handles: Mapping[str, str]) -> Mapping[str, str]:
        """Delete messages, ten at most."""
        if not receipt_handles:
            return {}
        entries: list[Any] = _entries(receipt_handles)
        return _refused(self.client.delete_message_batch(QueueUrl=self.url, Entries=entries), receipt_handles)


def _entries(receipt_handles: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        {"Id": str(index), "ReceiptHandle": handle} for index, handle in enumerate(receipt_handles.values())
    ]


def _refused(answer: Any, asked: Mapping[str, Any]) -> dict[str, str]:
    """Return what the answer does not call successful: silence is no success."""
    keys = list(asked)
    taken = {keys[int(entry["Id"])] for entry in answer.get("Successful", [])}
    why = {keys[int(one["Id"])]: f"{one['Code']}: {one.get('Message', '')}" for one in answer.get("Failed", [])}
    return {key: why.get(key, "SQS did not answer for it") for key in keys if key not in taken}


@dataclass(frozen=True)
class Deployment:
    """A deployed Gluebrake."""

    clients: Clients
    stack: str
    outputs: Mapping[str, str]

    @property
    def stop_queue(self) -> Queue:
        """The queue for stop requests."""
        return self._queue("stop")

    @property
    def dead_letter_queue(self) -> Queue:
        """The queue of what could not be done."""
        return self._queue("dead letters")

    def _queue(self, name: str) -> Queue:
        return Queue(self.clients.sqs, self.outputs[WORK_QUEUES[name]])

    def aws_environment(self) -> AwsEnvironment:
        """Return the account and the Region that it stops runs in."""
        _, _, _, region, account, _ = self.dead_letter_queue.attributes("QueueArn")["QueueArn"].split(":")
        return AwsEnvironment(account, region)

    def caller(self) -> str:
        """Return who asks: the identity's ARN or, when AWS does not tell, the user's name on this machine."""
        try:
            return str(self.clients.sts.get_caller_identity()["Arn"])
        except Exception:  # noqa: BLE001 - whatever it is, a stop must not wait for it
            return getpass.getuser()

    def active_runs(self, job_name: str, now: datetime) -> Sequence[RunFacts]:
        """Return the job's active runs; raise OperatorError if they cannot be listed."""
        glue = Glue(self.clients.glue, calls_at_once=1, protect_tag="", job_arn_prefix="")
        search = glue.find([job_name], CallBudget(lambda: 600.0), now)[job_name]
        if search.complete:
            return search.runs
        raise ClientError({"Error": {"Code": search.code, "Message": search.error}}, "GetJobRuns")

    def states(self, runs: Iterable[JobRun]) -> dict[JobRun, str]:
        """Read the states of runs of one job: by pages while these show any, then a few of the rest singly."""
        left = dict.fromkeys(runs)
        found: dict[JobRun, str] = {}
        if len(left) > _SINGLE_LOOKS:
            job_name = next(iter(left)).job_name
            for page in self.clients.glue.get_paginator("get_job_runs").paginate(JobName=job_name):
                shown = {JobRun(job_name, run["Id"]): run["JobRunState"] for run in page["JobRuns"]}
                on_page = {run: state for run, state in shown.items() if run in left}
                found |= on_page
                if not on_page or len(found) == len(left):
                    break
        rest = [run for run in left if run not in found]
        # Others each time: one that Glue does not know must not keep them from being looked at.
        singles = random.sample(rest, min(len(rest), _SINGLE_LOOKS))
        return {**found, **{run: state for run in singles if (state := self._state(run))}}

    def _state(self, run: JobRun) -> str:
        try:
            answer = self.clients.glue.get_job_run(JobName=run.job_name, RunId=run.run_id)
        except self.clients.glue.exceptions.EntityNotFoundException:
            return ""
        return answer["JobRun"]["JobRunState"]

    def outcomes(self, since: datetime) -> list[Line]:
        """Return the lines of both functions' logs that tell an outcome, oldest first."""
        lines = [line for group in self._log_groups for line in self._lines(group, since)]
        return sorted(lines, key=lambda line: str(line["timestamp"]))

    @cached_property
    def _log_groups(self) -> list[str]:
        configurations = [self.configuration(function) for function in FUNCTIONS]
        return [configuration["LoggingConfig"]["LogGroup"] for configuration in configurations]

    def _lines(self, group: str, since: datetime) -> Iterator[Line]:
        pages = self.clients.logs.get_paginator("filter_log_events").paginate(
            logGroupName=group, filterPattern="{ $.outcome = * }", startTime=int(since.timestamp() * 1000)
        )
        for page, _ in zip(pages, range(_LOG_PAGES), strict=False):
            yield from filter(None, (outcome_line(event["message"]) for event in page["events"]))

    def configuration(self, function: str) -> Mapping[str, Any]:
        """Return a function's configuration, as Lambda tells it."""
        name = self.outputs[FUNCTIONS[function]]
        return self.clients.lambda_.get_function_configuration(FunctionName=name)

    def depths(self) -> list[Depth]:
        """Return what is on each queue."""
        return [Depth.of(name, self._queue(name).attributes()) for name in WORK_QUEUES]

    def oldest_ages(self, now: datetime) -> Mapping[str, int]:
        """Return how many seconds old each queue's oldest message is, where CloudWatch knows it."""
        names = dict(enumerate(WORK_QUEUES))
        answer = self.clients.cloudwatch.get_metric_data(
            StartTime=now - _AGE,
            EndTime=now,
            ScanBy="TimestampDescending",
            MetricDataQueries=[self._age(f"q{index}", name) for index, name in names.items()],
        )
        newest = {result["Id"]: result["Values"][:1] for result in answer["MetricDataResults"]}
        return {name: int(*newest[f"q{index}"]) for index, name in names.items() if newest.get(f"q{index}")}

    def _age(self, query_id: str, queue: str) -> MetricDataQueryTypeDef:
        queue_name = self.outputs[WORK_QUEUES[queue]].rpartition("/")[2]
        metric: MetricTypeDef = {
            "Namespace": "AWS/SQS",
            "MetricName": "ApproximateAgeOfOldestMessage",
            "Dimensions": [{"Name": "QueueName", "Value": queue_name}],
        }
        stat: MetricStatTypeDef = {"Metric": metric, "Period": 60, "Stat": "Maximum"}
        return {"Id": query_id, "MetricStat": stat}

    def mappings(self) -> list[MappingState]:
        """Return for each function whether its queue is mapped to it, and how."""
        return [
            MappingState(function, str(mapping["State"]))
            for function, output in FUNCTIONS.items()
            for mapping in self._mappings(self.outputs[output])
        ]

    def _mappings(self, function_name: str) -> Sequence[EventSourceMappingConfigurationTypeDef]:
        return self.clients.lambda_.list_event_source_mappings(FunctionName=function_name)[
            "EventSourceMappings"
        ]

    def alarms(self) -> list[Alarm]:
        """Return the alarms of the stack."""
        listed = self.clients.cloudformation.get_paginator("list_stack_resources")
        names = [
            one["PhysicalResourceId"]
            for page in listed.paginate(StackName=self.stack)
            for one in page["StackResourceSummaries"]
            if one["ResourceType"] in ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm")
        ]
        return [
            alarm for start in range(0, len(names), 100) for alarm in self._alarms(names[start : start + 100])
        ]

    def _alarms(self, names: Sequence[str]) -> Iterator[Alarm]:
        answer = self.clients.cloudwatch.describe_alarms(
            AlarmNames=names, AlarmTypes=["MetricAlarm", "CompositeAlarm"], MaxRecords=100
        )
        for alarm in (*answer.get("MetricAlarms", []), *answer.get("CompositeAlarms", [])):
            yield Alarm(alarm["AlarmName"], alarm["StateValue"], alarm.get("AlarmDescription", ""))
