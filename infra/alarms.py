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

from gluebrake.model import Count, Outcome
from infra.config import Config
from infra.messaging import Messaging
from infra.metrics import PERIOD, counted, lost_events, new_dead_letters, oldest, total
from infra.runbook import RUNBOOK

# What STOP refuses. What CONFIRM cannot read was put on its queue by somebody else.
_REFUSALS: Final = (Outcome.INVALID_REQUEST, Outcome.TOO_MANY_RUNS, Outcome.NOT_ALLOWED, Outcome.NOT_FOUND)


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What something can be the matter with; `functions` by their names in the metrics."""

    config: Config
    messaging: Messaging
    functions: Mapping[str, lambda_.Function]
    rules: Sequence[events.CfnRule]
    signal_topic: sns.Topic


@dataclass(frozen=True, kw_only=True)
class Condition:
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


def alarms(scope: Construct, watched: Watched) -> list[cloudwatch.Alarm]:
    """Define an alarm for each line of the runbook, in its order."""
    conditions = {
        **_of_counts(watched),
        **_of_queues(watched.config, watched.messaging),
        **_of_dead_letters(watched.messaging.dead_letter_queue),
        **_of_deliveries(watched),
        **_of_functions(watched),
    }
    return [conditions[name].alarm(scope, name) for name in RUNBOOK]


def _of_counts(watched: Watched) -> dict[str, Condition]:
    refused = [
        *(counted("stop", outcome) for outcome in _REFUSALS),
        counted("confirm", Outcome.INVALID_REQUEST),
    ]
    unexpected = [counted(name, Count.UNEXPECTED_ERRORS) for name in watched.functions]
    lost = [counted(name, Count.OUTCOME_EVENTS_LOST) for name in watched.functions]
    return {
        "RunsFailed": Condition(metric=counted("stop", Outcome.FAILED)),
        "StopTimedOut": Condition(metric=counted("confirm", Outcome.STOP_TIMED_OUT)),
        "RequestsRefused": Condition(metric=total("refused", refused)),
        "UnexpectedErrors": Condition(metric=total("unexpected errors", unexpected)),
        "OutcomeEventsLost": Condition(metric=total("outcome events lost", lost)),
    }


def _of_queues(config: Config, messaging: Messaging) -> dict[str, Condition]:
    # A message may wait for the longest delay, and lie hidden once after a crash. More is not our doing.
    hidden = messaging.visibility_timeout.to_seconds()
    first, longest = config.retry_seconds
    retry = min(longest, first << max(config.max_attempts - 2, 0))
    look = config.confirm_seconds[1]
    return {
        "StopQueueStalls": Condition(metric=oldest(messaging.stop_queue), threshold=retry + hidden),
        "ConfirmQueueStalls": Condition(metric=oldest(messaging.confirm_queue), threshold=look + hidden),
    }


def _of_dead_letters(queue: sqs.IQueue) -> dict[str, Condition]:
    lying = queue.metric_approximate_number_of_messages_visible(statistic="Minimum", period=PERIOD)
    return {
        # A queue that was asleep shows its metrics up to a quarter of an hour late: one of three periods.
        "DeadLettersArrive": Condition(metric=new_dead_letters(queue), breaching=1, periods=3),
        "DeadLettersWait": Condition(metric=lying, breaching=12, periods=12),
    }


def _of_deliveries(watched: Watched) -> dict[str, Condition]:
    topic = watched.signal_topic
    lost = [
        *(f.metric("DeadLetterErrors", statistic="Sum", period=PERIOD) for f in watched.functions.values()),
        *(lost_events(rule) for rule in watched.rules),
        topic.metric("NumberOfNotificationsFailedToRedriveToDlq", statistic="Sum", period=PERIOD),
    ]
    return {"DeliveriesLost": Condition(metric=total("lost", lost))}


def _of_functions(watched: Watched) -> dict[str, Condition]:
    # What is to be done is the same for each function, so each alarm looks at both.
    return {
        "FunctionErrors": Condition(metric=_over_all(watched, "Errors")),
        "FunctionThrottles": Condition(metric=_over_all(watched, "Throttles")),
        "RecursionDropped": Condition(metric=_over_all(watched, "RecursiveInvocationsDropped")),
    }


def _over_all(watched: Watched, metric_name: str) -> cloudwatch.IMetric:
    functions = watched.functions.values()
    return total(metric_name, [f.metric(metric_name, statistic="Sum", period=PERIOD) for f in functions])
