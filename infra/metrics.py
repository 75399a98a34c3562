"""What the dashboard and the alarms look at: our own metrics, and joins of several."""

from collections.abc import Sequence
from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_sqs as sqs

from gluebrake.contract import NAMESPACE
from gluebrake.model import Count, Measure
from gluebrake.outcomes import Outcome

PERIOD: Final = cdk.Duration.minutes(5)


def counted(service: str, what: Outcome | Count) -> cloudwatch.Metric:
    """Return how often a function, by its name in the metrics, counted an outcome or something else."""
    return _ours(service, what.value, "Sum")


def measured(what: Measure, statistic: str) -> cloudwatch.Metric:
    """Return what CONFIRM measured of the runs that stopped."""
    return _ours("confirm", what.value, statistic)


def _ours(service: str, name: str, statistic: str) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace=NAMESPACE,
        metric_name=name,
        dimensions_map={"service": service},
        statistic=statistic,
        period=PERIOD,
    )


def total(label: str, metrics: Sequence[cloudwatch.IMetric]) -> cloudwatch.MathExpression:
    """Join metrics into their sum; one that has no data counts for nothing."""
    by_id = {f"m{number}": metric for number, metric in enumerate(metrics)}
    return cloudwatch.MathExpression(
        expression=f"SUM([{', '.join(by_id)}])", using_metrics=by_id, label=label, period=PERIOD
    )


def oldest(queue: sqs.IQueue) -> cloudwatch.Metric:
    """Return the age of a queue's oldest message in seconds; SQS leaves out one received thrice in vain."""
    return queue.metric_approximate_age_of_oldest_message(statistic="Maximum", period=PERIOD)


def dead_letters(queue: sqs.IQueue) -> cloudwatch.Metric:
    """Return how many dead letters lie there. Whoever looks at them hides them for less than a period."""
    return queue.metric_approximate_number_of_messages_visible(statistic="Maximum", period=PERIOD)


def new_dead_letters(queue: sqs.IQueue) -> cloudwatch.MathExpression:
    """Return how many dead letters came, at least.

    SQS does not count as sent what it moves there itself: that shows in the growth alone, which in turn does
    not show what comes while others are taken away.
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
    """
    return cloudwatch.MathExpression(
        expression="MAX([sent, DIFF(FILL(lying, 0))])",
        using_metrics={
            "sent": queue.metric_number_of_messages_sent(statistic="Sum", period=PERIOD),
            "lying": dead_letters(queue),
        },
        label="new dead letters",
        period=PERIOD,
    )


def lost_events(rule: events.CfnRule) -> cloudwatch.Metric:
    """Return how many events a rule could put neither on its target nor on the dead-letter queue."""
    # The ARN ends in `rule/name`, or in `rule/bus/name` where the bus is not the default one.
    parts = cdk.Fn.split("/", rule.attr_arn)
    if rule.event_bus_name:
        where = {"EventBusName": rule.event_bus_name, "RuleName": cdk.Fn.select(2, parts)}
    else:
        where = {"RuleName": cdk.Fn.select(1, parts)}
    return cloudwatch.Metric(
        namespace="AWS/Events",
        metric_name="InvocationsFailedToBeSentToDlq",
        dimensions_map=where,
        statistic="Sum",
        period=PERIOD,
    )
