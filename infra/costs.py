"""The cost model: an idle stack by the month, a million stop requests, and guardrail policies by the month.

List prices of us-east-1 without a free tier. Sizes and calls are those of simulated invocations, which tests
compare with this module: https://aws.amazon.com/cloudwatch/pricing/, https://aws.amazon.com/sqs/pricing/,
https://aws.amazon.com/lambda/pricing/, https://aws.amazon.com/eventbridge/pricing/,
https://aws.amazon.com/sns/pricing/, https://aws.amazon.com/xray/pricing/,
https://aws.amazon.com/cloudtrail/pricing/, https://aws.amazon.com/guardduty/pricing/
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

_MILLION: Final = 1_000_000
_SECONDS_OF_A_DAY: Final = 24 * 3600
_DAYS_OF_A_MONTH: Final = 30

# Lambda polls an idle queue with five pollers. A long poll takes up to 20 seconds:
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
POLLERS: Final = 5
_POLL_SECONDS: Final = 20
_MESSAGES_OF_A_CALL: Final = 10
"""The most messages or events of one call of SQS or EventBridge."""

RUNS_OF_A_CALL: Final = 25
"""The most runs of a BatchStopJobRun call, and of a message to CONFIRM in these loads."""

STOP_LINE_BYTES: Final = 543
CONFIRM_LINE_BYTES: Final = 633
"""The measured size of a log line, with a run id of Glue's length."""

STOP_METRIC_BYTES: Final = 200
CONFIRM_METRIC_BYTES: Final = 191
"""The measured size of the metrics of an invocation whose runs have the usual outcome."""
OUTCOME_METRICS: Final = 2
"""The outcomes of a request whose run is stopped, each a custom metric: StopSubmitted and Stopped."""

# Assumptions. The benchmark measures about these seconds of own CPU time: docs/performance.md.
GLUE_CALL_SECONDS: Final = 0.050
CALL_SECONDS: Final = 0.020
"""A call of SQS, EventBridge or SNS."""
OWN_CPU_SECONDS: Final = 0.002
OWN_CPU_SECONDS_OF_A_RUN: Final = 0.0001
_MEMORY_OF_A_CPU: Final = 1769
"""The MB of memory with which a function has one vCPU. With less, it has that part of one:
https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html"""
LAMBDA_LOG_BYTES: Final = 400
"""The START, END and REPORT lines of an invocation, which Lambda writes."""


class Price(NamedTuple):
    """A list price in USD, for so many units."""

    usd: float
    per: int = 1

    @property
    def text(self) -> str:
        """The price in words."""
        return f"{self.usd:.2f} {'a million' if self.per == _MILLION else 'each'}"


SQS_REQUEST: Final = Price(0.40, _MILLION)
INVOCATION: Final = Price(0.20, _MILLION)
GIGABYTE_SECOND: Final = Price(13.3334, _MILLION)
"""On arm64."""
LOG_GIGABYTE: Final = Price(0.50)
EVENT: Final = Price(1.00, _MILLION)
PUBLICATION: Final = Price(0.50, _MILLION)
TRACE: Final = Price(5.00, _MILLION)
ALARM_METRIC: Final = Price(0.10)
CUSTOM_METRIC: Final = Price(0.30)
DASHBOARD: Final = Price(3.00)
TRAIL_EVENT: Final = Price(20.00, _MILLION)
"""A management event in a further copy of a trail. The first copy is free."""
THREAT_EVENT: Final = Price(4.00, _MILLION)
"""A management event that GuardDuty reads, of the first 500 million in a month."""


class Line(NamedTuple):
    """A line of a bill: what is billed, how much of it, and its price."""

    name: str
    quantity: float
    price: Price

    @property
    def service(self) -> str:
        """The AWS service that bills the line."""
        return self.name.partition(":")[0]

    @property
    def usd(self) -> float:
        """What the line costs."""
        return self.quantity * self.price.usd / self.price.per


def total(lines: Iterable[Line]) -> float:
    """Return what the lines cost together."""
    return sum(line.usd for line in lines)


class Billed(NamedTuple):
    """What of a stack costs money by the month, whether or not it is used."""

    mappings: int
    alarm_metrics: int
    dashboards: int

    @classmethod
    def of_template(cls, template: Mapping[str, Any]) -> Billed:
        """Count the resources of a synthesised template. An alarm is billed by the metrics that it reads."""
        by_type: dict[str, list[Mapping[str, Any]]] = {}
        for resource in template["Resources"].values():
            by_type.setdefault(resource["Type"], []).append(resource.get("Properties", {}))
        alarms = by_type.get("AWS::CloudWatch::Alarm", [])
        return cls(
            mappings=len(by_type.get("AWS::Lambda::EventSourceMapping", [])),
            alarm_metrics=sum(
                sum("MetricStat" in query for query in alarm.get("Metrics", [])) or 1 for alarm in alarms
            ),
            dashboards=len(by_type.get("AWS::CloudWatch::Dashboard", [])),
        )


DEFAULT_STACK: Final = Billed(mappings=2, alarm_metrics=18, dashboards=0)
"""The stack of the default configuration."""


def idle_month(stack: Billed) -> list[Line]:
    """Return the bill of a month without any request. No custom metric has a value then."""
    return [
        Line("SQS: five long polls of 20 seconds for each work queue", _polls(stack.mappings), SQS_REQUEST),
        Line("CloudWatch: metrics that alarms read", stack.alarm_metrics, ALARM_METRIC),
        Line("CloudWatch: dashboards", stack.dashboards, DASHBOARD),
    ]


def _polls(mappings: int) -> float:
    return POLLERS * mappings * _DAYS_OF_A_MONTH * _SECONDS_OF_A_DAY / _POLL_SECONDS


SWEEPING_STACK: Final = Billed(mappings=3, alarm_metrics=24, dashboards=0)
"""The stack with guardrail policies that have a schedule."""
SWEEP_CALLS: Final = 1482
"""The calls of AWS Glue in a sweep of 1,000 jobs with a year of runs, as the benchmark counts them."""
SWEEP_CALLS_A_SECOND: Final = 10
SWEEPS_A_MONTH: Final = _DAYS_OF_A_MONTH * 24
"""One an hour."""


def policies_month(memory_mb: int) -> list[Line]:
    """Return what guardrail policies add to the bill of a month with a sweep of 1,000 jobs an hour."""
    calls = SWEEPS_A_MONTH * SWEEP_CALLS
    mappings = SWEEPING_STACK.mappings - DEFAULT_STACK.mappings
    metrics = SWEEPING_STACK.alarm_metrics - DEFAULT_STACK.alarm_metrics
    return [
        Line("SQS: five long polls of 20 seconds of the sweep queue", _polls(mappings), SQS_REQUEST),
        Line("CloudWatch: metrics that alarms read", metrics, ALARM_METRIC),
        Line("CloudWatch: custom metric SweepsCompleted, in the hours in which it has data", 1, CUSTOM_METRIC),
        Line("Lambda: GB-seconds on arm64", calls / SWEEP_CALLS_A_SECOND * memory_mb / 1024, GIGABYTE_SECOND),
        Line("CloudTrail: each copy of the calls of AWS Glue after the first", calls, TRAIL_EVENT),
        Line("GuardDuty: the calls of AWS Glue", calls, THREAT_EVENT),
    ]


class Usage(NamedTuple):
    """What a number of requests uses, besides the message that a producer sends for each of them."""

    requests: int
    queue_requests: float
    invocations: float
    gigabyte_seconds: float
    log_gigabytes: float
    events: float
    publications: float
    metric_months: float
    """The custom metrics, by the part of a month in which these requests arrive."""

    def bill(self, *, tracing: bool = False) -> list[Line]:
        """Return what the usage costs, line by line."""
        return [
            Line("SQS: producers, one message each", self.requests, SQS_REQUEST),
            Line("SQS: receiving, deleting, sending to CONFIRM", self.queue_requests, SQS_REQUEST),
            Line("Lambda: invocations", self.invocations, INVOCATION),
            Line("Lambda: GB-seconds on arm64", self.gigabyte_seconds, GIGABYTE_SECOND),
            Line("CloudWatch: GB of logs", self.log_gigabytes, LOG_GIGABYTE),
            Line("EventBridge: outcome events", self.events, EVENT),
            Line("SNS: notices", self.publications, PUBLICATION),
            Line("CloudWatch: custom metrics of outcomes", self.metric_months, CUSTOM_METRIC),
            *([Line("X-Ray: traces", self.invocations, TRACE)] if tracing else []),
        ]


class Invocation(NamedTuple):
    """What one invocation of a stage does: bytes of log lines, calls of Glue, and its other calls."""

    log_bytes: int
    glue_calls: int
    sends: int = 0
    events_calls: int = 0
    publications: int = 0

    @classmethod
    def of_stop(cls, runs: int) -> Invocation:
        """Return what STOP does for so many runs, 25 of each job, for one request each."""
        calls = math.ceil(runs / RUNS_OF_A_CALL)
        logged = runs * STOP_LINE_BYTES + STOP_METRIC_BYTES
        return cls(logged, calls, sends=math.ceil(calls / _MESSAGES_OF_A_CALL))

    @classmethod
    def of_confirm(cls, runs: int) -> Invocation:
        """Return what CONFIRM does for so many runs, 25 of each job, if all have stopped."""
        reads, events_calls = math.ceil(runs / RUNS_OF_A_CALL), math.ceil(runs / _MESSAGES_OF_A_CALL)
        logged = runs * CONFIRM_LINE_BYTES + CONFIRM_METRIC_BYTES
        return cls(logged, reads, events_calls=events_calls, publications=1)

    def seconds(self, runs: int, *, memory_mb: int, calls_at_once: int) -> float:
        """Return how long the invocation takes, with so much memory and as many calls at once."""
        others = (self.sends, self.events_calls, self.publications)
        rounds = sum(math.ceil(calls / calls_at_once) for calls in others)
        glue = math.ceil(self.glue_calls / calls_at_once)
        return own_seconds(runs, memory_mb) + glue * GLUE_CALL_SECONDS + rounds * CALL_SECONDS


def own_seconds(runs: int, memory_mb: int) -> float:
    """Return how long an invocation computes for so many runs, besides its calls."""
    cpu_seconds = OWN_CPU_SECONDS + runs * OWN_CPU_SECONDS_OF_A_RUN
    return cpu_seconds / min(1, memory_mb / _MEMORY_OF_A_CPU)


class Load(NamedTuple):
    """A profile under a load, by the messages that an invocation gets.

    In a `burst`, a poll receives ten messages. Otherwise it receives each message by itself.
    """

    name: str
    stop_batch: int
    confirm_batch: int
    burst: bool

    def usage(self, *, memory_mb: int, calls_at_once: int) -> Usage:
        """Return the usage of a million requests, each for one run that has stopped by the first look."""
        stop, confirm = Invocation.of_stop(self.stop_batch), Invocation.of_confirm(self.confirm_batch)
        stops, confirms = _MILLION / self.stop_batch, _MILLION / self.confirm_batch
        size = {"memory_mb": memory_mb, "calls_at_once": calls_at_once}
        seconds = stops * stop.seconds(self.stop_batch, **size)
        seconds += confirms * confirm.seconds(self.confirm_batch, **size)
        logged = stops * stop.log_bytes + confirms * confirm.log_bytes + (stops + confirms) * LAMBDA_LOG_BYTES
        return Usage(
            requests=_MILLION,
            queue_requests=self._queue_requests(stops, confirms, sends=stops * stop.sends),
            invocations=stops + confirms,
            gigabyte_seconds=seconds * memory_mb / 1024,
            log_gigabytes=logged / 1e9,
            events=_MILLION,
            publications=confirms,
            metric_months=OUTCOME_METRICS * _MILLION / (REQUESTS_A_DAY * _DAYS_OF_A_MONTH),
        )

    def _queue_requests(self, stops: float, confirms: float, *, sends: float) -> float:
        """Return the requests of both queues. A message to CONFIRM has up to 25 runs, a call ten messages."""
        if self.burst:
            # The messages of a send are received together, and deleted together.
            return 2 * _MILLION / _MESSAGES_OF_A_CALL + 3 * sends
        deletions = stops * math.ceil(self.stop_batch / _MESSAGES_OF_A_CALL)
        deletions += confirms * math.ceil(self.confirm_batch / _MESSAGES_OF_A_CALL)
        return 2 * _MILLION + sends + deletions


def batch(requests_a_day: float, *, size: int, window_seconds: int) -> int:
    """Return how many messages an invocation gets under a steady load.

    Lambda documents no number for this. Each poller gathers for itself, so it is the lowest possible.
    """
    arriving = requests_a_day / _SECONDS_OF_A_DAY * window_seconds / POLLERS
    return max(1, min(size, math.floor(arriving)))


REQUESTS_A_DAY: Final = 100_000
"""The steady load of the documents."""

LOADS: Final = {
    "low-latency": Load(
        name=f"million requests, {REQUESTS_A_DAY:,} a day",
        stop_batch=batch(REQUESTS_A_DAY, size=10, window_seconds=0),
        confirm_batch=batch(REQUESTS_A_DAY, size=1000, window_seconds=10),
        burst=False,
    ),
    "high-volume": Load(name="million requests, full batches", stop_batch=1000, confirm_batch=1000, burst=True),
}
"""The loads of the documents, by profile."""
