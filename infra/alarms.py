"""The alarms: what each of the runbook's lines looks at, and from when on it matters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from gluebrake.model import Count
from gluebrake.outcomes import Outcome
from infra.config import Config
from infra.metrics import PERIOD, counted, lost_events, new_dead_letters, oldest, total
from infra.queues import Messaging
from infra.runbook import RUNBOOK

# What STOP refuses. What CONFIRM cannot read was put on its queue by somebody else.
_REFUSALS: Final = (Outcome.INVALID_REQUEST, Outcome.TOO_MANY_RUNS, Outcome.NOT_ALLOWED, Outcome.NOT_FOUND)


@dataclass(frozen=True, kw_only=True)
class Monitored:
    """What something can be the matter with; `functions` by their names in the metrics."""

    config: Config
    messaging: Messaging
    functions: Mapping[str, lambda_.Function]
    rules: Sequence[events.CfnRule]
    signal_topic: sns.Topic


@dataclass(frozen=True, kw_only=True)
class AlarmSpec:
    """When an alarm goes off: when so many of the last periods reach the threshold."""

    metric: cloudwatch.IMetric
    threshold: float = 1
    breaching: int = 1
    periods: int = 1

    def alarm(self, scope: Construct, name: str) -> cloudwatch.Alarm:
        """Define the alarm; while there is no data, nothing is the matter."""
        line = RUNBOOK[name]
        return cloudwatch.Alarm(
            scope,
            name,
            alarm_description=f"{line.means} {line.do} More: docs/operations.md",
            metric=self.metric,
            threshold=self.threshold,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            datapoints_to_alarm=self.breaching,
            evaluation_periods=self.periods,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )


def alarms(scope: Construct, monitored: Monitored) -> list[cloudwatch.Alarm]:
    """Define an alarm for each line of the runbook, in its order."""
    conditions = {
        **_of_counts(monitored),
        **_of_queues(monitored.config, monitored.messaging),
        **_of_dead_letters(monitored.messaging.dead_letter_queue),
        **_of_deliveries(monitored),
        **_of_functions(monitored),
    }
    return [conditions[name].alarm(scope, name) for name in RUNBOOK]


def _of_counts(monitored: Monitored) -> dict[str, AlarmSpec]:
    refused = [
        *(counted("stop", outcome) for outcome in _REFUSALS),
        counted("confirm", Outcome.INVALID_REQUEST),
    ]
    unexpected = [counted(name, Count.UNEXPECTED_ERRORS) for name in monitored.functions]
    lost = [counted(name, Count.OUTCOME_EVENTS_LOST) for name in monitored.functions]
    return {
        "RunsFailed": AlarmSpec(metric=counted("stop", Outcome.FAILED)),
        "StopTimedOut": AlarmSpec(metric=counted("confirm", Outcome.STOP_TIMED_OUT)),
        "RequestsRefused": AlarmSpec(metric=total("refused", refused)),
        "UnexpectedErrors": AlarmSpec(metric=total("unexpected errors", unexpected)),
        "OutcomeEventsLost": AlarmSpec(metric=total("outcome events lost", lost)),
    }


def _of_queues(config: Config, messaging: Messaging) -> dict[str, AlarmSpec]:
    # A message may wait for the longest delay, and lie hidden once after a crash. More is not our doing.
    hidden = messaging.visibility_timeout.to_seconds()
    first, longest = config.retry_seconds
    retry = min(longest, first << max(config.max_attempts - 2, 0))
    look = config.confirm_seconds[1]
    return {
        "StopQueueStalls": AlarmSpec(metric=oldest(messaging.stop_queue), threshold=retry + hidden),
        "ConfirmQueueStalls": AlarmSpec(metric=oldest(messaging.confirm_queue), threshold=look + hidden),
    }


def _of_dead_letters(queue: sqs.IQueue) -> dict[str, AlarmSpec]:
    lying = queue.metric_approximate_number_of_messages_visible(statistic="Minimum", period=PERIOD)
    return {
        # A queue that was asleep shows its metrics up to a quarter of an hour late: one of three periods.
        "DeadLettersArrive": AlarmSpec(metric=new_dead_letters(queue), breaching=1, periods=3),
        "DeadLettersWait": AlarmSpec(metric=lying, breaching=12, periods=12),
    }


def _of_deliveries(monitored: Monitored) -> dict[str, AlarmSpec]:
    topic = monitored.signal_topic
    lost = [
        *(f.metric("DeadLetterErrors", statistic="Sum", period=PERIOD) for f in monitored.functions.values()),
        *(lost_events(rule) for rule in monitored.rules),
        topic.metric("NumberOfNotificationsFailedToRedriveToDlq", statistic="Sum", period=PERIOD),
    ]
    return {"DeliveriesLost": AlarmSpec(metric=total("lost", lost))}


def _of_functions(monitored: Monitored) -> dict[str, AlarmSpec]:
    # What is to be done is the same for each function, so each alarm looks at both.
    return {
        "FunctionErrors": AlarmSpec(metric=_over_all(monitored, "Errors")),
        "FunctionThrottles": AlarmSpec(metric=_over_all(monitored, "Throttles")),
        "RecursionDropped": AlarmSpec(metric=_over_all(monitored, "RecursiveInvocationsDropped")),
    }


def _over_all(monitored: Monitored, metric_name: str) -> cloudwatch.IMetric:
    functions = monitored.functions.values()
    return total(metric_name, [f.metric(metric_name, statistic="Sum", period=PERIOD) for f in functions])
