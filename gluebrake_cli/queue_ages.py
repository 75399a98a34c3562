"""The age of the oldest message of each queue, from CloudWatch, because SQS does not report it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef, MetricStatTypeDef, MetricTypeDef

    from gluebrake_cli.clients import Clients

_WINDOW: Final = timedelta(minutes=15)


def read(clients: Clients, queue_names: Mapping[str, str], now: datetime) -> dict[str, int]:
    """Return the ages in seconds by the keys of `queue_names`, if CloudWatch has the age."""
    ids = {f"q{index}": key for index, key in enumerate(queue_names)}
    answer = clients.cloudwatch.get_metric_data(
        StartTime=now - _WINDOW,
        EndTime=now,
        ScanBy="TimestampDescending",
        MetricDataQueries=[_query(query_id, queue_names[key]) for query_id, key in ids.items()],
    )
    newest = {result["Id"]: result["Values"][:1] for result in answer["MetricDataResults"]}
    return {key: int(*newest[query_id]) for query_id, key in ids.items() if newest.get(query_id)}


def _query(query_id: str, queue_name: str) -> MetricDataQueryTypeDef:
    metric: MetricTypeDef = {
        "Namespace": "AWS/SQS",
        "MetricName": "ApproximateAgeOfOldestMessage",
        "Dimensions": [{"Name": "QueueName", "Value": queue_name}],
    }
    stat: MetricStatTypeDef = {"Metric": metric, "Period": 60, "Stat": "Maximum"}
    return {"Id": query_id, "MetricStat": stat}
