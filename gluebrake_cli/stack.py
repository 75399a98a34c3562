"""A deployment of Gluebrake, found by its CloudFormation stack."""

from __future__ import annotations

import getpass
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from gluebrake.aws.call_budget import CallBudget
from gluebrake.aws.glue import Glue
from gluebrake.model import AwsEnvironment, JobRun, RunFacts
from gluebrake.stages import STAGES, Queue
from gluebrake_cli import problem_kinds, queue_ages, run_states, stack_alarms
from gluebrake_cli.clients import Clients, open_session
from gluebrake_cli.errors import OperatorError
from gluebrake_cli.health import Alarm, MappingState, QueueDepth
from gluebrake_cli.runs import LogLine, parse_log_line
from gluebrake_cli.sqs import SqsQueue

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import StackResourceSummaryTypeDef
    from mypy_boto3_lambda.type_defs import EventSourceMappingConfigurationTypeDef

QUEUES: Final = {
    **{stage.queue: f"{stage.title}QueueUrl" for stage in STAGES.values()},
    Queue.DEAD_LETTER: "DeadLetterQueueUrl",
}
FUNCTIONS: Final = {stage.name: f"{stage.title}FunctionName" for stage in STAGES.values()}
"""The stack's outputs, by the name of the queue or the function."""

_OPTIONAL: Final = frozenset(
    name for s in STAGES.values() if s.is_optional for name in (QUEUES[s.queue], FUNCTIONS[s.name])
)


def connect(*, stack: str, profile: str | None, region: str | None, account: str | None) -> Deployment:
    """Find the stack with the profile's credentials. With `account`, check that they are of this account."""
    session = open_session(profile=profile, region=region)
    clients = Clients(session)
    if account:
        check_account(clients, account, profile)
    return find(stack, clients, session.region_name, profile)


def check_account(clients: Clients, account: str, profile: str | None) -> None:
    """Raise OperatorError unless the credentials are of this account. The call needs no permission.

    https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
    """
    actual = clients.sts.get_caller_identity()["Account"]
    if actual != account:
        source = f"the profile {profile!r} has" if profile else "the environment variables have"
        raise OperatorError(
            f"{source} credentials of account {actual}, and the environment is in account {account}:"
            " nothing was read. Give --profile-for NAME=PROFILE"
        )


def find(stack: str, clients: Clients, region: str | None, profile: str | None = None) -> Deployment:
    """Find the stack. Raise OperatorError if it does not exist or is not a Gluebrake stack."""
    try:
        (found,) = clients.cloudformation.describe_stacks(StackName=stack)["Stacks"]
    except clients.cloudformation.exceptions.ClientError as error:
        if "does not exist" not in error.response["Error"]["Message"]:
            raise
        raise OperatorError(
            f"no stack {stack!r} in {region}{_account(clients)}: "
            "deploy it (make deploy), or give --stack, GLUEBRAKE_STACK, --profile or --region"
        ) from error
    outputs = {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}
    if missing := {*QUEUES.values(), *FUNCTIONS.values()} - _OPTIONAL - outputs.keys():
        raise OperatorError(
            f"the stack {stack!r} is not a Gluebrake stack: it has no output {min(missing)}; give --stack"
        )
    return Deployment(clients, found["StackId"], outputs, profile)


def _account(clients: Clients) -> str:
    """Return the account of the credentials for an error message, or nothing if STS fails."""
    try:
        return f" (account {clients.sts.get_caller_identity()['Account']})"
    except Exception:  # noqa: BLE001 - the message is useful without the account
        return ""


@dataclass(frozen=True)
class Deployment:
    """A deployment of Gluebrake."""

    clients: Clients
    stack_id: str
    """The stack's ARN."""
    outputs: Mapping[str, str]
    profile: str | None = None
    """The AWS profile, if one was given."""
    environment: str = ""
    """The name of the environment, if one was given."""

    @property
    def stack(self) -> str:
        """The stack's name."""
        return self.stack_id.split("/")[1]

    @property
    def aws_environment(self) -> AwsEnvironment:
        """The account and the Region of the deployment."""
        _, _, _, region, account, _ = self.stack_id.split(":")
        return AwsEnvironment(account, region)

    @property
    def function_names(self) -> Mapping[str, str]:
        """The name in AWS of each function that the stack has."""
        return {name: self.outputs[output] for name, output in FUNCTIONS.items() if output in self.outputs}

    @property
    def queue_urls(self) -> Mapping[Queue, str]:
        """The URL of each queue that the stack has."""
        return {name: self.outputs[output] for name, output in QUEUES.items() if output in self.outputs}

    @property
    def observes(self) -> bool:
        """Whether the stack reads each request as a dry run. A stack before 0.2 has no such output."""
        return self.outputs.get("Observe") == "true"

    def refuse_under_observe(self, instead: str = "give --dry-run") -> None:
        """Raise OperatorError if the stack would consume a stop request without stopping a run."""
        if self.observes:
            raise OperatorError(
                f"the stack {self.stack!r} observes: it reads a stop request, reports what it would stop,"
                f" and stops nothing. Deploy with `observe: false` first, or {instead}"
            )

    @property
    def stop_queue(self) -> SqsQueue:
        """The queue for stop requests."""
        return self._queue(Queue.STOP)

    @property
    def dead_letter_queue(self) -> SqsQueue:
        """The queue of messages that failed."""
        return self._queue(Queue.DEAD_LETTER)

    def _queue(self, name: Queue) -> SqsQueue:
        return SqsQueue(self.clients.sqs, self.queue_urls[name])

    def caller(self) -> str:
        """Return the ARN of the credentials' identity or, if STS fails, the user's name on this machine."""
        try:
            return str(self.clients.sts.get_caller_identity()["Arn"])
        except Exception:  # noqa: BLE001 - no error of STS may prevent a stop
            return getpass.getuser()

    def active_runs(
        self, job_name: str, now: datetime, ended_since: datetime | None = None
    ) -> Sequence[RunFacts]:
        """Return the job's active runs, and those that ended since a time, if it is given.

        Raise ClientError if they cannot be listed.
        """
        glue = Glue(self.clients.glue, calls_at_once=1, protect_tag="", job_arn_prefix="")
        active = glue.list_active({job_name: ended_since}, CallBudget(lambda: 600.0), now)[job_name]
        if active.complete:
            return active.runs
        raise self.clients.glue.exceptions.ClientError(
            {"Error": {"Code": active.code, "Message": active.error}}, "GetJobRuns"
        )

    def states(self, runs: Iterable[JobRun]) -> dict[JobRun, str]:
        """Read states with a few calls, which may not return the states of all runs."""
        return run_states.read(self.clients.glue, runs)

    def outcomes(self, since: datetime, until: datetime | None = None) -> list[LogLine]:
        """Return the outcomes in the functions' logs from `since` to before `until`, oldest first."""
        messages = (
            message
            for function in self.function_names
            for message in self.log_messages(function, "{ $.outcome = * }", since, until)
        )
        return sorted(filter(None, map(parse_log_line, messages)), key=lambda line: str(line["timestamp"]))

    def problem_messages(self, since: datetime) -> Iterator[str]:
        """Yield the log lines of the functions about problems since a time."""
        for function in self.function_names:
            yield from self.log_messages(function, problem_kinds.PATTERN, since, None)

    def log_messages(
        self, function: str, pattern: str, since: datetime, until: datetime | None
    ) -> Iterator[str]:
        """Yield the messages in a function's log that match `pattern`, from `since` to before `until`."""
        # Every page is read, because pages can be empty and the last page has the newest events.
        end: Any = {} if until is None else {"endTime": _milliseconds(until) - 1}
        for page in self.clients.logs.get_paginator("filter_log_events").paginate(
            logGroupName=self.log_groups[function],
            filterPattern=pattern,
            startTime=_milliseconds(since),
            **end,
        ):
            yield from (event["message"] for event in page["events"])

    @cached_property
    def log_groups(self) -> Mapping[str, str]:
        """The name of each function's log group."""
        configurations = {function: self.configuration(function) for function in self.function_names}
        return {
            function: configuration["LoggingConfig"]["LogGroup"]
            for function, configuration in configurations.items()
        }

    def configuration(self, function: str) -> Mapping[str, Any]:
        """Return a function's configuration as Lambda has it."""
        return self.clients.lambda_.get_function_configuration(FunctionName=self.function_names[function])

    def depths(self) -> list[QueueDepth]:
        """Return the depth of each queue."""
        return [QueueDepth.parse(name, self._queue(name).attributes()) for name in self.queue_urls]

    def oldest_ages(self, now: datetime) -> Mapping[str, int]:
        """Return the age in seconds of each queue's oldest message, if CloudWatch has the age."""
        queue_names: dict[str, str] = {name: url.rpartition("/")[2] for name, url in self.queue_urls.items()}
        return queue_ages.read(self.clients, queue_names, now)

    def mappings(self) -> list[MappingState]:
        """Return the state of each function's event source mapping."""
        return [
            MappingState(function, mapping["State"], mapping["UUID"])
            for function, name in self.function_names.items()
            for mapping in self._mappings(name)
        ]

    def _mappings(self, function_name: str) -> Sequence[EventSourceMappingConfigurationTypeDef]:
        return self.clients.lambda_.list_event_source_mappings(FunctionName=function_name)[
            "EventSourceMappings"
        ]

    def alarms(self) -> list[Alarm]:
        """Return the alarms of the stack."""
        return stack_alarms.read(self.clients.cloudwatch, self.resources())

    def resources(self) -> list[StackResourceSummaryTypeDef]:
        """Return the stack's resources."""
        pages = self.clients.cloudformation.get_paginator("list_stack_resources").paginate(StackName=self.stack)
        return [resource for page in pages for resource in page["StackResourceSummaries"]]


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
