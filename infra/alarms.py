"""The CloudWatch alarms: one for each entry of the runbook, with its metric and its threshold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from gluebrake.metrics import Count
from gluebrake.problems import Problem
from gluebrake.stages import Queue
from infra.config import Config
from infra.metrics import (
    PERIOD,
    canary_stopped,
    count_metric,
    dropped_by_schedules,
    lost_events,
    new_dead_letters,
    oldest_message_age,
    problem_metric,
    sum_of,
    undelivered,
)
from infra.queues import Queues
from infra.runbook import RunbookEntry, runbook
from infra.sweep_triggers import SweepTriggers

# The first canary run or sweep starts when its schedule is created. Without a warm-up, the alarm would fire
# before this run or sweep is over: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-warm-up.html
_WARM_UP_MINUTES: Final = 120


@dataclass(frozen=True, kw_only=True)
class Monitored:
    """The resources that alarms and dashboard monitor. `functions` are by the `service` of their metrics."""

    config: Config
    queues: Queues
    functions: Mapping[str, lambda_.Function]
    rules: Sequence[events.CfnRule]
    signal_topic: sns.Topic
    sweep_triggers: SweepTriggers | None = None


@dataclass(frozen=True, kw_only=True)
class AlarmSpec:
    """An alarm's condition. By default, `breaching` of the last `periods` must reach the threshold."""

    metric: cloudwatch.IMetric
    threshold: float = 1
    breaching: int = 1
    periods: int = 1
    missing_data: cloudwatch.TreatMissingData = cloudwatch.TreatMissingData.NOT_BREACHING
    comparison: cloudwatch.ComparisonOperator = cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
    warm_up_minutes: int = 0

    def alarm(self, scope: Construct, name: str, entry: RunbookEntry) -> cloudwatch.Alarm:
        """Create the alarm, with the runbook's text as its description."""
        alarm = cloudwatch.Alarm(
            scope,
            name,
            alarm_description=f"{entry.meaning} {entry.action} Watched: {entry.watches}."
            " More: docs/operations.md",
            metric=self.metric,
            threshold=self.threshold,
            comparison_operator=self.comparison,
            datapoints_to_alarm=self.breaching,
            evaluation_periods=self.periods,
            treat_missing_data=self.missing_data,
        )
        if self.warm_up_minutes:
            resource = cast("cloudwatch.CfnAlarm", alarm.node.default_child)
            resource.warm_up_configuration = cloudwatch.CfnAlarm.WarmUpConfigurationProperty(
                warm_up_period_duration_in_minutes=self.warm_up_minutes
            )
        return alarm


def create_alarms(scope: Construct, monitored: Monitored) -> list[cloudwatch.Alarm]:
    """Create an alarm for each entry of the runbook that the configuration asks for, in the runbook's order."""
    specs = {
        **_problem_alarms(),
        **_queue_alarms(monitored.config, monitored.queues),
        **_dead_letter_alarms(monitored.queues.dead_letter_queue),
        **_delivery_alarms(monitored),
        **_function_alarms(monitored),
        "CanarySilent": _silence(canary_stopped(), math.ceil(1.5 * monitored.config.canary_hours)),
        **(_sweep_alarms(monitored.config, monitored.sweep_triggers) if monitored.sweep_triggers else {}),
    }
    return [specs[name].alarm(scope, name, entry) for name, entry in runbook(monitored.config).items()]


def _problem_alarms() -> dict[str, AlarmSpec]:
    # A function emits these metrics only when a problem occurs, so missing data is not breaching:
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
    return {problem.value: AlarmSpec(metric=problem_metric(problem)) for problem in Problem}


def _queue_alarms(config: Config, queues: Queues) -> dict[str, AlarmSpec]:
    # A message waits at most for the longest delay, plus one visibility timeout after a crash. An older message
    # shows that the queue is not consumed.
    hidden = {name: timeout.to_seconds() for name, timeout in queues.visibility_timeouts.items()}
    first, longest = config.retry_seconds
    retry_delay = min(longest, first << max(config.max_attempts - 2, 0))
    poll_delay = config.confirm_seconds[1]
    stop_age, confirm_age = map(oldest_message_age, (queues.stop_queue, queues.confirm_queue))
    return {
        "StopQueueStalls": AlarmSpec(metric=stop_age, threshold=retry_delay + hidden[Queue.STOP]),
        "ConfirmQueueStalls": AlarmSpec(metric=confirm_age, threshold=poll_delay + hidden[Queue.CONFIRM]),
    }


def _dead_letter_alarms(queue: sqs.IQueue) -> dict[str, AlarmSpec]:
    visible = queue.metric_approximate_number_of_messages_visible(statistic="Minimum", period=PERIOD)
    return {
        # The metrics of an inactive queue can be 15 minutes late, so one breaching period of three is enough.
        "DeadLettersArrive": AlarmSpec(metric=new_dead_letters(queue), breaching=1, periods=3),
        # SQS can stop reporting an idle queue after six hours, even if the queue has dead letters:
        # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/monitoring-using-cloudwatch.html
        # The alarm then stays in ALARM. The next call for the queue starts the metrics again.
        "DeadLettersWait": AlarmSpec(
            metric=visible, breaching=12, periods=12, missing_data=cloudwatch.TreatMissingData.IGNORE
        ),
    }


def _delivery_alarms(monitored: Monitored) -> dict[str, AlarmSpec]:
    topic = monitored.signal_topic
    lost = [
        *(f.metric("DeadLetterErrors", statistic="Sum", period=PERIOD) for f in monitored.functions.values()),
        *(lost_events(rule) for rule in monitored.rules),
        topic.metric("NumberOfNotificationsFailedToRedriveToDlq", statistic="Sum", period=PERIOD),
    ]
    return {"DeliveriesLost": AlarmSpec(metric=sum_of("lost", lost))}


def _function_alarms(monitored: Monitored) -> dict[str, AlarmSpec]:
    # The runbook's action is the same for every function, so one alarm covers them all.
    return {
        "FunctionErrors": AlarmSpec(metric=_sum_over_functions(monitored, "Errors")),
        "FunctionThrottles": AlarmSpec(metric=_sum_over_functions(monitored, "Throttles")),
        "RecursionDropped": AlarmSpec(metric=_sum_over_functions(monitored, "RecursiveInvocationsDropped")),
    }


def _sweep_alarms(config: Config, triggers: SweepTriggers) -> dict[str, AlarmSpec]:
    dropped = [dropped_by_schedules(triggers.group)] if triggers.group else []
    lost = [*dropped, *map(undelivered, triggers.topics.values())]
    completed = count_metric("sweep", Count.SWEEPS_COMPLETED).with_(period=cdk.Duration.hours(1))
    return {
        "SweepsMissing": _silence(completed, config.sweep_hours),
        "SweepRequestsLost": AlarmSpec(
            metric=sum_of("lost sweep requests", lost) if len(lost) > 1 else lost[0],
        ),
    }


def _silence(metric: cloudwatch.IMetric, hours: int) -> AlarmSpec:
    """Return the condition that the metric was zero or missing for this number of hours."""
    return AlarmSpec(
        metric=metric,
        comparison=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
        breaching=hours,
        periods=hours,
        missing_data=cloudwatch.TreatMissingData.BREACHING,
        warm_up_minutes=_WARM_UP_MINUTES,
    )


def _sum_over_functions(monitored: Monitored, metric_name: str) -> cloudwatch.IMetric:
    functions = monitored.functions.values()
    return sum_of(metric_name, [f.metric(metric_name, statistic="Sum", period=PERIOD) for f in functions])
