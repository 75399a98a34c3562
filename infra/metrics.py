"""The metrics of the dashboard and the alarms, and expressions over several of them."""

from collections.abc import Sequence
from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs

from gluebrake.contract import NAMESPACE
from gluebrake.metrics import Count, Measure
from gluebrake.outcomes import Outcome
from gluebrake.problems import ALL_FUNCTIONS, Problem

PERIOD: Final = cdk.Duration.minutes(5)


def count_metric(service: str, name: Outcome | Count) -> cloudwatch.Metric:
    """Return the metric of an outcome or another count. `service` is the function's name in the metrics."""
    return _custom_metric(service, name.value, "Sum")


def measure_metric(measure: Measure, statistic: str) -> cloudwatch.Metric:
    """Return the metric of a measure of stopped runs, which CONFIRM emits."""
    return _custom_metric("confirm", measure.value, statistic)


def _custom_metric(service: str, name: str, statistic: str) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace=NAMESPACE,
        metric_name=name,
        dimensions_map={"service": service},
        statistic=statistic,
        period=PERIOD,
    )


def problem_metric(problem: Problem) -> cloudwatch.Metric:
    """Return the metric of a problem, summed over all of its kinds and all functions."""
    return _custom_metric(ALL_FUNCTIONS, problem.value, "Sum")


def canary_stopped() -> cloudwatch.Metric:
    """Return the metric of the canary's runs that were confirmed STOPPED in each hour."""
    return cloudwatch.Metric(
        namespace=NAMESPACE, metric_name="CanaryStopped", statistic="Sum", period=cdk.Duration.hours(1)
    )


def sum_of(
    label: str, metrics: Sequence[cloudwatch.IMetric], *, prefix: str = "m"
) -> cloudwatch.MathExpression:
    """Return the sum of metrics, without metrics that lack data. Each sum in a graph needs its own `prefix`."""
    by_id = {f"{prefix}{number}": metric for number, metric in enumerate(metrics)}
    return cloudwatch.MathExpression(
        expression=f"SUM([{', '.join(by_id)}])", using_metrics=by_id, label=label, period=PERIOD
    )


def oldest_message_age(queue: sqs.IQueue) -> cloudwatch.Metric:
    """Return the metric of the age, in seconds, of a queue's oldest message.

    SQS leaves out a message that was received three times without being deleted.
    """
    return queue.metric_approximate_age_of_oldest_message(statistic="Maximum", period=PERIOD)


def depths(name: str, queue: sqs.IQueue) -> list[cloudwatch.Metric]:
    """Return the metrics of the numbers of a queue's messages: visible, delayed, and in flight."""
    return [
        queue.metric_approximate_number_of_messages_visible(
            statistic="Maximum", period=PERIOD, label=f"{name}: visible"
        ),
        queue.metric_approximate_number_of_messages_delayed(
            statistic="Maximum", period=PERIOD, label=f"{name}: delayed"
        ),
        queue.metric_approximate_number_of_messages_not_visible(
            statistic="Maximum", period=PERIOD, label=f"{name}: in flight"
        ),
    ]


def dead_letters(queue: sqs.IQueue) -> cloudwatch.Metric:
    """Return the number of visible dead letters. By the maximum, messages that a reader hides briefly count."""
    return queue.metric_approximate_number_of_messages_visible(statistic="Maximum", period=PERIOD)


def new_dead_letters(queue: sqs.IQueue) -> cloudwatch.MathExpression:
    """Return a lower bound of the number of new dead letters.

    NumberOfMessagesSent leaves out messages that SQS itself moves to the queue. The growth of the queue
    includes them, but it is too low while other dead letters are removed.
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
    """
    return cloudwatch.MathExpression(
        expression="MAX([sent, DIFF(FILL(visible, 0))])",
        using_metrics={
            "sent": queue.metric_number_of_messages_sent(statistic="Sum", period=PERIOD),
            "visible": dead_letters(queue),
        },
        label="new dead letters",
        period=PERIOD,
    )


def lost_events(rule: events.CfnRule) -> cloudwatch.Metric:
    """Return the metric of events that a rule could send neither to its target nor to the dead-letter queue."""
    # The ARN ends in `rule/name` on the default bus, and in `rule/bus/name` on any other bus.
    arn_parts = cdk.Fn.split("/", rule.attr_arn)
    if rule.event_bus_name:
        dimensions = {"EventBusName": rule.event_bus_name, "RuleName": cdk.Fn.select(2, arn_parts)}
    else:
        dimensions = {"RuleName": cdk.Fn.select(1, arn_parts)}
    return cloudwatch.Metric(
        namespace="AWS/Events",
        metric_name="InvocationsFailedToBeSentToDlq",
        dimensions_map=dimensions,
        statistic="Sum",
        period=PERIOD,
    )


def dropped_by_schedules(group: scheduler.CfnScheduleGroup) -> cloudwatch.Metric:
    """Return the metric of messages that the schedules of a group could not send within their retry policy.

    https://docs.aws.amazon.com/scheduler/latest/UserGuide/monitoring-cloudwatch.html
    """
    return cloudwatch.Metric(
        namespace="AWS/Scheduler",
        metric_name="InvocationDroppedCount",
        dimensions_map={"ScheduleGroup": group.ref},
        statistic="Sum",
        period=PERIOD,
    )


def undelivered(topic: sns.ITopic) -> cloudwatch.Metric:
    """Return the metric of notifications that a topic without a dead-letter queue could not deliver."""
    return topic.metric_number_of_notifications_failed(statistic="Sum", period=PERIOD)
