"""The dashboard: what is asked, what becomes of it, and what to do when an alarm goes off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from gluebrake.model import Count, Measure
from gluebrake.outcomes import Outcome
from infra.alarms import Monitored
from infra.metrics import PERIOD, counted, dead_letters, measured, new_dead_letters, oldest
from infra.queries import QUERIES
from infra.queues import Messaging
from infra.runbook import RUNBOOK

_AT_STOP: Final = (
    Outcome.STOP_SUBMITTED,
    Outcome.ALREADY_STOPPING,
    Outcome.ALREADY_FINISHED,
    Outcome.NO_ACTIVE_RUNS,
    Outcome.RETRYING,
    Outcome.DEFERRED,
    Outcome.PROTECTED,
    Outcome.NOT_ALLOWED,
    Outcome.NOT_FOUND,
    Outcome.INVALID_REQUEST,
    Outcome.TOO_MANY_RUNS,
    Outcome.FAILED,
    Outcome.WOULD_STOP,
    Outcome.IGNORED,
)
_AT_CONFIRM: Final = (
    Outcome.STOPPED,
    Outcome.FINISHED_BEFORE_STOP,
    Outcome.NOT_YET_CONFIRMED,
    Outcome.STOP_TIMED_OUT,
    Outcome.INVALID_REQUEST,
)


class Dashboard(cloudwatch.Dashboard):
    """One page, named by CloudFormation."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        monitored: Monitored,
        alarms: Sequence[cloudwatch.IAlarm],
    ) -> None:
        text = cloudwatch.TextWidget(
            markdown=_what_to_do(folder=cdk.Stack.of(scope).stack_name), width=16, height=11
        )
        status = cloudwatch.AlarmStatusWidget(title="Alarms", alarms=[*alarms], width=8, height=11)
        super().__init__(
            scope,
            construct_id,
            default_interval=cdk.Duration.hours(12),
            widgets=[
                [text, status],
                _of_outcomes(),
                _of_runs(),
                _of_queues(monitored.messaging),
                _of_functions(monitored.functions),
            ],
        )


def _what_to_do(*, folder: str) -> str:
    lines = [
        "## When an alarm goes off",
        *[f"- **{name}** {line.do}" for name, line in RUNBOOK.items()],
        "",
        f"Saved queries (Logs Insights, folder `{folder}`): {', '.join(f'`{name}`' for name in QUERIES)}.",
        "The operator's command: `gluebrake --help`. The runbook: docs/operations.md.",
    ]
    return "\n".join(lines)


def _of_outcomes() -> list[cloudwatch.IWidget]:
    return [
        _graph("What STOP did", [counted("stop", outcome) for outcome in _AT_STOP], width=12, stacked=True),
        _graph(
            "What CONFIRM saw", [counted("confirm", outcome) for outcome in _AT_CONFIRM], width=12, stacked=True
        ),
    ]


def _of_runs() -> list[cloudwatch.IWidget]:
    requested, duplicates = (counted("stop", count) for count in (Count.RUNS_REQUESTED, Count.DUPLICATE_RUNS))
    calls = counted("stop", Count.STOP_CALLS)
    runs_per_call = cloudwatch.MathExpression(
        expression="submitted / calls",
        using_metrics={"submitted": counted("stop", Outcome.STOP_SUBMITTED), "calls": calls},
        label="runs submitted per call",
        period=PERIOD,
    )
    times = [measured(Measure.TIME_TO_STOP, statistic) for statistic in ("p50", "p95")]
    released = [measured(what, "Sum") for what in (Measure.DPUS_RELEASED, Measure.DPU_HOURS_CONSUMED)]
    return [
        _graph("Runs requested", [requested, duplicates], width=6),
        _graph("BatchStopJobRun calls", [calls], right=[runs_per_call], width=6),
        _graph("Seconds from submission to STOPPED", times, width=6),
        _graph("DPUs released, DPU-hours consumed", released, width=6),
    ]


def _of_queues(messaging: Messaging) -> list[cloudwatch.IWidget]:
    work = {"stop": messaging.stop_queue, "confirm": messaging.confirm_queue}
    ages = [oldest(queue).with_(label=name) for name, queue in work.items()]
    depths = [metric for name, queue in work.items() for metric in _depths(name, queue)]
    dead = messaging.dead_letter_queue
    return [
        _graph("Age of the oldest message, seconds", ages, width=8),
        _graph("Messages", depths, width=8),
        _graph("Dead letters", [dead_letters(dead)], right=[new_dead_letters(dead)], width=8),
    ]


def _depths(name: str, queue: sqs.IQueue) -> Iterator[cloudwatch.IMetric]:
    yield queue.metric_approximate_number_of_messages_visible(
        statistic="Maximum", period=PERIOD, label=f"{name}: waiting"
    )
    yield queue.metric_approximate_number_of_messages_delayed(
        statistic="Maximum", period=PERIOD, label=f"{name}: delayed"
    )
    yield queue.metric_approximate_number_of_messages_not_visible(
        statistic="Maximum", period=PERIOD, label=f"{name}: being worked on"
    )


def _of_functions(functions: Mapping[str, lambda_.Function]) -> list[cloudwatch.IWidget]:
    durations = [
        function.metric_duration(statistic=statistic, period=PERIOD, label=f"{name} {statistic}")
        for name, function in functions.items()
        for statistic in ("p50", "p95", "Maximum")
    ]
    troubles = [
        function.metric(metric, statistic="Sum", period=PERIOD, label=f"{name} {metric}")
        for name, function in functions.items()
        for metric in ("Errors", "Throttles")
    ]
    unexpected = [
        counted(name, Count.UNEXPECTED_ERRORS).with_(label=f"{name} unexpected errors") for name in functions
    ]
    return [
        _graph("Duration, milliseconds", durations, width=12),
        _graph("Errors and throttles", [*troubles, *unexpected], width=12),
    ]


def _graph(
    title: str,
    left: Sequence[cloudwatch.IMetric],
    *,
    right: Sequence[cloudwatch.IMetric] = (),
    width: int,
    stacked: bool = False,
) -> cloudwatch.GraphWidget:
    axis = cloudwatch.YAxisProps(min=0)
    return cloudwatch.GraphWidget(
        title=title,
        left=[*left],
        right=[*right],
        left_y_axis=axis,
        right_y_axis=axis,
        stacked=stacked,
        width=width,
        height=6,
    )
