"""A simulation of SQS and Lambda around the handlers, with a clock that a test advances."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache, cached_property, partial
from io import StringIO
from types import TracebackType
from typing import Any, Final, Self

from gluebrake.aws.event_bus import EventBus
from gluebrake.aws.glue import Glue
from gluebrake.aws.notice_topic import NoticeTopic
from gluebrake.aws.sqs import Queues
from gluebrake.contract import STOP_REQUESTED
from gluebrake.decisions.planning import Limits
from gluebrake.decisions.routing import Backoff, RetryPolicy
from gluebrake.handlers import confirm, stop
from gluebrake.lambda_event import Bookkeeping
from gluebrake.model import AwsEnvironment
from gluebrake.outcomes import NoticeKind
from gluebrake.prices import Prices
from gluebrake.problems import ALL_FUNCTIONS
from gluebrake.stages import Queue
from gluebrake.telemetry import Telemetry
from tests.support.fakes import sqs
from tests.support.fakes.aws_server import ACCOUNT, BUS, REGION, TOPIC_ARN, FakeAws
from tests.support.fakes.clock import VirtualClock
from tests.support.fakes.exchange import Call, Json
from tests.support.fakes.lent_clients import LentClients
from tests.support.lambda_context import Context as Context  # noqa: PLC0414 - the tests import it from here

STOP: Final = "stop"
CONFIRM: Final = "confirm"

EVENT_ID: Final = "17793124-05d4-b198-2fde-7ededc63b103"
JOB_ARN_PREFIX: Final = f"arn:aws:glue:{REGION}:{ACCOUNT}:job/"
MAX_RECEIVE_COUNT: Final = 5
VISIBILITY_SECONDS: Final = 180
_MOST_STEPS: Final = 2000

Function = Callable[[Json, "Context"], Json | None]
"""A deployed function. It returns None if it ended without an answer."""


@dataclass(frozen=True)
class Delivery:
    """A message, and how many times it was received."""

    message: sqs.Message
    receive_count: int = 1

    @property
    def message_id(self) -> str:
        """The id that SQS gave the message, the same at each delivery."""
        return self.message.message_id


@dataclass(frozen=True)
class Invocation:
    """One invocation of a function: its messages, calls, output and answer."""

    service: str
    deliveries: Sequence[Delivery]
    calls: Sequence[Call]
    output: str
    answer: Json | None

    @property
    def failures(self) -> list[str]:
        """The message ids in the answer's batchItemFailures, in order."""
        failures = self.answer["batchItemFailures"] if self.answer else []
        return [failure["itemIdentifier"] for failure in failures]

    @cached_property
    def lines(self) -> list[Json]:
        """The log lines, without the metrics."""
        return [line for line in self._json_lines if "_aws" not in line]

    @property
    def outcomes(self) -> list[Json]:
        """The log lines that have an outcome."""
        return [line for line in self.lines if "outcome" in line]

    @cached_property
    def metrics(self) -> list[Json]:
        """The lines in CloudWatch's embedded metric format, without the sums for alarms over all functions."""
        return [line for line in self.all_metrics if line["service"] != ALL_FUNCTIONS]

    @property
    def all_metrics(self) -> list[Json]:
        """All lines in CloudWatch's embedded metric format."""
        return [line for line in self._json_lines if "_aws" in line]

    @cached_property
    def values(self) -> dict[str, list[float]]:
        """The values of each metric."""
        values: dict[str, list[float]] = {}
        for line in self.metrics:
            for directive in line["_aws"]["CloudWatchMetrics"]:
                for metric in directive["Metrics"]:
                    values.setdefault(metric["Name"], []).extend(line[metric["Name"]])
        return values

    @property
    def counts(self) -> Counter[str]:
        """The sum of each metric's values, without those that are 0."""
        return Counter({name: int(sum(values)) for name, values in self.values.items() if sum(values)})

    def called(self, operation: str) -> list[Json]:
        """Return the parameters of each of the invocation's calls of an operation."""
        return [call.parameters for call in self.calls if call.operation == operation]

    @cached_property
    def _json_lines(self) -> list[Json]:
        # For Lambda only a newline ends a line. `splitlines` also splits at other characters.
        return [json.loads(line) for line in self.output.split("\n") if line]


@dataclass
class SimulatedAws:
    """An AWS account with the three queues and both functions. It exists while the context is entered."""

    clock: VirtualClock = field(default_factory=VirtualClock)
    jobs: Sequence[str] = ("*",)
    protected_jobs: Sequence[str] = ()
    max_runs_per_request: int = 1000
    calls_at_once: int = 8
    batch_size: int = 10_000
    jitter: float = 0.5
    skew: timedelta = timedelta()
    """How far the functions' clock is ahead of the clock of SQS and Glue."""
    outcome_events: bool = True
    notices: bool = True
    observe: bool = False
    """Whether STOP reads each request as a dry run. Powertools marks the lines of later tests in the process,
    unless the loggers are removed."""
    context: Context = field(default_factory=Context)
    invocations: list[Invocation] = field(default_factory=list)
    moved: list[Delivery] = field(default_factory=list)
    """The messages that SQS moved to the dead-letter queue after too many receives."""

    def __post_init__(self) -> None:
        self.aws = FakeAws(clock=self.clock)
        self._clients = LentClients(self.aws)
        self.stop_queue = self.aws.sqs.add_queue("stop")
        self.confirm_queue = self.aws.sqs.add_queue("confirm")
        self.dead_letter_queue = self.aws.sqs.add_queue("dead-letter")
        self._invisible: dict[str, list[tuple[datetime, Delivery]]] = {STOP: [], CONFIRM: []}

    def __enter__(self) -> Self:
        self.aws.__enter__()
        of_stop = self._dependencies()
        of_confirm = replace(
            of_stop,
            telemetry=Telemetry(CONFIRM),
            bookkeeping=_bookkeeping(CONFIRM, confirm.MAX_POLLS),
            queue=Queue.CONFIRM,
        )
        self.dependencies: dict[str, stop.StopDependencies] = {STOP: of_stop, CONFIRM: of_confirm}
        handlers: dict[str, Callable[..., Json]] = {STOP: stop.handler, CONFIRM: confirm.handler}
        self.functions: dict[str, Function] = {
            service: partial(self._in_process, service, handler) for service, handler in handlers.items()
        }
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.aws.__exit__(kind, error, trace)
        self._clients.give_back()

    def request_stop(
        self, job_name: str, *run_ids: str, sender_id: str = "AROAEXAMPLE:producer", **fields: Any
    ) -> str:
        """Put a stop request on the stop queue. Return its message id."""
        return self.put(stop_request(job_name, *run_ids, **fields), sender_id=sender_id)

    def put(self, body: str, *, sender_id: str = "AROAEXAMPLE:producer") -> str:
        """Put any message on the stop queue. Return its id."""
        return self.stop_queue.put(body, sender_id=sender_id).message_id

    def put_on_confirm_queue(self, job_name: str, *run_ids: str, submitted_at: datetime) -> str:
        """Put a message on the confirm queue, as STOP does. Return its id."""
        attributes = {
            "GluebrakeAttempt": {"DataType": "String", "StringValue": "0"},
            "GluebrakeSubmittedAt": {"DataType": "String", "StringValue": submitted_at.isoformat()},
        }
        message = self.confirm_queue.put(
            stop_request(job_name, *run_ids),
            attributes=attributes,
            sender_id=f"{sqs.FUNCTION_ROLE_ID}:gluebrake",
        )
        return message.message_id

    def redrive(self) -> None:
        """Move the dead letters to the stop queue, unchanged."""
        for message in self.dead_letter_queue.take():
            self.stop_queue.put(message.body, attributes=message.attributes)

    def run(self) -> None:
        """Deliver messages as their delays end, until both work queues are empty."""
        for _ in range(_MOST_STEPS):
            if not self.step():
                return
        raise AssertionError(f"the work queues are not empty after {_MOST_STEPS} steps")

    def step(self) -> bool:
        """Deliver the messages that are due, or advance the clock to the next. Return False if none is left."""
        if due := self._due():
            for service, deliveries in due:
                self.deliver(service, deliveries)
            return True
        times = [message.due_at for queue in (self.stop_queue, self.confirm_queue) for message in queue]
        times += [visible_at for invisible in self._invisible.values() for visible_at, _ in invisible]
        if times:
            self.clock.advance((min(times) - self.clock()).total_seconds())
        return bool(times)

    def deliver(self, service: str, deliveries: Sequence[Delivery]) -> Invocation:
        """Invoke a function with messages. SQS redelivers those that it does not acknowledge."""
        event = {"Records": [d.message.record(receive_count=d.receive_count) for d in deliveries]}
        invocation = self._invoke(service, event, deliveries)
        visible_at = self.clock() + timedelta(seconds=VISIBILITY_SECONDS)
        failed = self.unacknowledged(invocation)
        self._invisible[service] += [(visible_at, d) for d in deliveries if d.message_id in failed]
        return invocation

    def invoke_directly(self, service: str, event: Json) -> Invocation:
        """Invoke a function without a queue."""
        return self._invoke(service, event, ())

    def _invoke(self, service: str, event: Json, deliveries: Sequence[Delivery]) -> Invocation:
        first_call = len(self.aws.calls)
        with _captured_output(service) as output:
            answer = self.functions[service](event, self.context)
        calls = self.aws.calls[first_call:]
        invocation = Invocation(service, deliveries, calls, output.getvalue(), answer)
        self.invocations.append(invocation)
        return invocation

    def unacknowledged(self, invocation: Invocation) -> set[str]:
        """Return the messages that SQS redelivers. Without an answer these are all that were not deleted."""
        if invocation.answer is None:
            deleted = {handle.rpartition("/")[0] for handle in self.aws.sqs.deleted}
            return {delivery.message_id for delivery in invocation.deliveries} - deleted
        return set(invocation.failures)

    def deliver_due(self, service: str, *, receive_count: int = 1) -> Invocation:
        """Invoke a function once, with all messages that are due for the first time."""
        queue = self.stop_queue if service == STOP else self.confirm_queue
        return self.deliver(service, [Delivery(message, receive_count) for message in queue.take()])

    @property
    def outcomes(self) -> list[tuple[str, str, str]]:
        """Job name, run id and outcome of each log line about a run so far, in order of time."""
        lines = [line for invocation in self.invocations for line in invocation.outcomes]
        return [
            (line["job_name"], line["job_run_id"], line["outcome"]) for line in lines if "job_run_id" in line
        ]

    def history(self, job_name: str, run_id: str) -> list[str]:
        """Return the outcomes of a run so far."""
        return [outcome for *run, outcome in self.outcomes if run == [job_name, run_id]]

    @property
    def counts(self) -> Counter[str]:
        """The sums of all metrics so far."""
        return sum((invocation.counts for invocation in self.invocations), Counter())

    def stop_calls(self) -> list[tuple[str, list[str]]]:
        """Return job name and run ids of each BatchStopJobRun call so far."""
        requests = self.aws.requests("BatchStopJobRun")
        return [(request["JobName"], request["JobRunIds"]) for request in requests]

    def dead_letters(self) -> list[tuple[Any, str, str, str]]:
        """Return body (parsed if it is JSON), error code, error message and attempts of each dead letter."""
        return [
            (_json(message.body), *map(partial(_text, message.attributes), _ERROR_ATTRIBUTES))
            for message in self.dead_letter_queue
        ]

    def _in_process(
        self,
        service: str,
        handler: Callable[..., Json],
        event: Json,
        context: Context,
    ) -> Json:
        return handler(event, context, self.dependencies[service])

    def _due(self) -> list[tuple[str, list[Delivery]]]:
        due = []
        for service, queue in ((STOP, self.stop_queue), (CONFIRM, self.confirm_queue)):
            deliveries = [*self._visible_again(service), *map(Delivery, queue.take())]
            starts = range(0, len(deliveries), self.batch_size)
            due += [(service, deliveries[start : start + self.batch_size]) for start in starts]
        return due

    def _visible_again(self, service: str) -> list[Delivery]:
        invisible, now = self._invisible[service], self.clock()
        self._invisible[service] = [(at, delivery) for at, delivery in invisible if at > now]
        visible = [delivery for at, delivery in invisible if at <= now]
        for delivery in visible:
            if delivery.receive_count >= MAX_RECEIVE_COUNT:
                self.moved.append(delivery)
                message = delivery.message
                self.dead_letter_queue.put(message.body, attributes=message.attributes)
        return [replace(d, receive_count=d.receive_count + 1) for d in visible if d not in self.moved]

    def _dependencies(self) -> stop.StopDependencies:
        client = self._clients.get
        urls = {
            Queue.STOP: self.stop_queue.url,
            Queue.CONFIRM: self.confirm_queue.url,
            Queue.DEAD_LETTER: self.dead_letter_queue.url,
        }
        return stop.StopDependencies(
            aws_environment=AwsEnvironment(ACCOUNT, REGION),
            glue=Glue(
                client("glue"),
                calls_at_once=self.calls_at_once,
                protect_tag="gluebrake:protect",
                job_arn_prefix=JOB_ARN_PREFIX,
            ),
            queues=Queues(client("sqs"), urls=urls, calls_at_once=self.calls_at_once),
            event_bus=EventBus(
                cache(partial(client, "events")),
                name=BUS if self.outcome_events else "",
                job_arn_prefix=JOB_ARN_PREFIX,
                calls_at_once=self.calls_at_once,
            ),
            prices=Prices(),
            notice_topic=NoticeTopic(cache(partial(client, "sns")), arn=TOPIC_ARN if self.notices else ""),
            notify_on=frozenset(NoticeKind),
            telemetry=Telemetry(STOP, observe=self.observe),
            limits=Limits(tuple(self.jobs), tuple(self.protected_jobs), self.max_runs_per_request),
            retry_policy=RetryPolicy(
                delays={
                    Queue.STOP: Backoff(5, 900, first_attempt=1),
                    Queue.CONFIRM: Backoff(15, 300, first_attempt=0),
                },
                deadline_seconds=1800,
                ids_in_a_message=min(500, self.max_runs_per_request),
            ),
            max_attempts=8,
            observe=self.observe,
            queue=Queue.STOP,
            bookkeeping=_bookkeeping(STOP, 8),
            jitter=lambda: self.jitter,
            clock=lambda: self.clock() + self.skew,
        )


_ERROR_ATTRIBUTES: Final = ("ERROR_CODE", "ERROR_MESSAGE", "RETRY_ATTEMPTS")


def _bookkeeping(stage: str, max_attempts: int) -> Bookkeeping:
    return Bookkeeping(stage, max_attempts, frozenset({sqs.FUNCTION_ROLE_ID}))


def stop_request(job_name: str, *run_ids: str, **fields: Any) -> str:
    """Write a stop request."""
    return json.dumps({"JobName": job_name, "JobRunIds": run_ids, **fields})


def stop_request_event(detail: str) -> str:
    """Write the EventBridge event that carries a stop request."""
    envelope = {"version": "0", "id": EVENT_ID, "source": "guardrail", "account": ACCOUNT}
    return json.dumps({**envelope, "detail-type": STOP_REQUESTED, "detail": json.loads(detail)})


def _text(attributes: Mapping[str, Json], name: str) -> str:
    return str(attributes[name]["StringValue"]) if name in attributes else ""


def _json(body: str) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body


@contextmanager
def _captured_output(service: str) -> Iterator[StringIO]:
    """Capture standard output and the output of the logger, which has its own stream."""
    output = StringIO()
    handlers = [h for h in logging.getLogger(service).handlers if isinstance(h, logging.StreamHandler)]
    streams = [handler.setStream(output) for handler in handlers]
    try:
        with redirect_stdout(output):
            yield output
    finally:
        for handler, stream in zip(handlers, streams, strict=True):
            handler.setStream(stream)
