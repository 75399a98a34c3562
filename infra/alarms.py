"""The alarms: one for each entry of the runbook, with its metric and its threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from gluebrake.model import Count
from gluebrake.outcomes import OUTCOMES, Outcome
from gluebrake.stages import STAGES
from infra.config import Config
from infra.metrics import PERIOD, count_metric, lost_events, new_dead_letters, oldest_message_age, sum_of
from infra.queues import Queues
from infra.runbook import RUNBOOK


@dataclass(frozen=True, kw_only=True)
class Monitored:
    """The resources that alarms and dashboard monitor. `functions` are by the `service` of their metrics."""

    config: Config
    queues: Queues
    functions: Mapping[str, lambda_.Function]
    rules: Sequence[events.CfnRule]
    signal_topic: sns.Topic


@dataclass(frozen=True, kw_only=True)
class AlarmSpec:
    """An alarm's condition: `breaching` of the last `periods` reach the threshold."""

    metric: cloudwatch.IMetric
    threshold: float = 1
    breaching: int = 1
    periods: int = 1

    def alarm(self, scope: Construct, name: str) -> cloudwatch.Alarm:
        """Create the alarm. Missing data is not breaching."""
        entry = RUNBOOK[name]
        return cloudwatch.Alarm(
            scope,
            name,
            alarm_description=f"{entry.meaning} {entry.action} More: docs/operations.md",
            metric=self.metric,
            threshold=self.threshold,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            datapoints_to_alarm=self.breaching,
            evaluation_periods=self.periods,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )


def create_alarms(scope: Construct, monitored: Monitored) -> list[cloudwatch.Alarm]:
    """Create an alarm for each entry of the runbook, in its order."""
    specs = {
        **_outcome_alarms(),
        **_count_alarms(monitored),
        **_queue_alarms(monitored.config, monitored.queues),
        **_dead_letter_alarms(monitored.queues.dead_letter_queue),
        **_delivery_alarms(monitored),
        **_function_alarms(monitored),
    }
    return [specs[name].alarm(scope, name) for name in RUNBOOK]


def _outcome_alarms() -> dict[str, AlarmSpec]:
    entries = {name: entry for name, entry in RUNBOOK.items() if entry.outcomes}
    return {name: AlarmSpec(metric=_count_of(name, entry.outcomes)) for name, entry in entries.items()}


def _count_of(label: str, outcomes: Sequence[Outcome]) -> cloudwatch.IMetric:
    """Return the number of the outcomes, at each stage that decides them."""
    decided = [(stage, o) for stage in STAGES for o in outcomes if stage in OUTCOMES[o].stages]
    metrics = [count_metric(stage, outcome) for stage, outcome in decided]
    return sum_of(label, metrics) if len(metrics) > 1 else metrics[0]


def _count_alarms(monitored: Monitored) -> dict[str, AlarmSpec]:
    unexpected = [count_metric(service, Count.UNEXPECTED_ERRORS) for service in monitored.functions]
    lost = [count_metric(service, Count.OUTCOME_EVENTS_LOST) for service in monitored.functions]
    return {
        "UnexpectedErrors": AlarmSpec(metric=sum_of("unexpected errors", unexpected)),
        "OutcomeEventsLost": AlarmSpec(metric=sum_of("outcome events lost", lost)),
    }


def _queue_alarms(config: Config, queues: Queues) -> dict[str, AlarmSpec]:
    # A message waits at most for the longest delay, plus one visibility timeout after a crash. An older message
    # shows that the queue is not consumed.
    hidden = queues.visibility_timeout.to_seconds()
    first, longest = config.retry_seconds
    retry_delay = min(longest, first << max(config.max_attempts - 2, 0))
    poll_delay = config.confirm_seconds[1]
    stop_age, confirm_age = map(oldest_message_age, (queues.stop_queue, queues.confirm_queue))
    return {
        "StopQueueStalls": AlarmSpec(metric=stop_age, threshold=retry_delay + hidden),
        "ConfirmQueueStalls": AlarmSpec(metric=confirm_age, threshold=poll_delay + hidden),
    }


def _dead_letter_alarms(queue: sqs.IQueue) -> dict[str, AlarmSpec]:
    visible = queue.metric_approximate_number_of_messages_visible(statistic="Minimum", period=PERIOD)
    return {
        # The metrics of an inactive queue arrive up to 15 minutes late, so one of three periods is enough.
        "DeadLettersArrive": AlarmSpec(metric=new_dead_letters(queue), breaching=1, periods=3),
        "DeadLettersWait": AlarmSpec(metric=visible, breaching=12, periods=12),
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


def _sum_over_functions(monitored: Monitored, metric_name: str) -> cloudwatch.IMetric:
    functions = monitored.functions.values()
    return sum_of(metric_name, [f.metric(metric_name, statistic="Sum", period=PERIOD) for f in functions])
