"""What the alarms of tests watch: a metric that Glue publishes for a job or a run."""

from __future__ import annotations

from typing import Any, Final

ELAPSED_TIME: Final[dict[str, Any]] = {
    "Namespace": "Glue",
    "MetricName": "glue.driver.aggregate.elapsedTime",
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 1,
    "Threshold": 1.0,
    "ComparisonOperator": "GreaterThanThreshold",
}
"""Members of PutMetricAlarm, without name, dimensions and actions."""
