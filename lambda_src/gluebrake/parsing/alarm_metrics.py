"""Decide whether a metric identifies Glue runs: Glue's metrics do, and those of the allowed namespaces."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

NAMESPACE: Final = "Glue"
_OWN_PREFIX: Final = "glue."
"""The prefix of the name of each metric of Glue, as in `glue.driver.aggregate.elapsedTime`.

https://docs.aws.amazon.com/glue/latest/dg/monitoring-awsglue-with-cloudwatch-metrics.html
"""

EXAMPLE: Final = (
    'SELECT SUM("glue.driver.aggregate.elapsedTime") FROM SCHEMA(Glue, JobName, JobRunId, Type)'
    " WHERE Type = 'count' AND JobRunId != 'ALL' GROUP BY JobName, JobRunId ORDER BY SUM() DESC"
)

# Keywords ignore case, identifiers do not, and double quotes around an identifier are optional:
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-metrics-insights-querylanguage.html
# `re` compiles a pattern when an alarm with a query first arrives, so that no cold start pays for it.
_FLAGS: Final = re.ASCII | re.IGNORECASE | re.DOTALL
_QUOTED: Final = r'"(?:[^"\\]|\\.)*+"'
_NAME: Final = rf"({_QUOTED}|\w++)"
_QUERY: Final = (
    rf"\s*SELECT\s+(?:AVG|COUNT|MAX|MIN|SUM)\s*\(\s*{_NAME}\s*\)"
    rf"\s*FROM\b\s*(?:SCHEMA\s*\(\s*)?+{_NAME}(?=[\s,)]|\Z)"
)
_GROUPED_QUERY: Final = rf"\s*SELECT\b(?:[^'\"]|'(?:[^'\\]|\\.)*+'|{_QUOTED})*?\bGROUP\s+BY\b"


def rejection(namespace: str, name: str, allowed_namespaces: Sequence[str]) -> str:
    """Return why a metric does not identify runs of Glue, empty if it does."""
    if name.startswith(_OWN_PREFIX) if namespace == NAMESPACE else namespace in allowed_namespaces:
        return ""
    if namespace == NAMESPACE:
        return (
            f"the metric {name[:255]!r} in namespace Glue is not one of Glue's own, whose names start with"
            f" {_OWN_PREFIX!r}; publish it in another namespace, and add that to alarmNamespaces"
        )
    allowed = ", ".join((NAMESPACE, *allowed_namespaces))
    return (
        f"the metric {name[:255]!r} is in namespace {namespace[:255]!r}; allowed: {allowed};"
        " add the namespace to alarmNamespaces if its JobName is a job of Glue"
    )


def query_rejection(expression: str, allowed_namespaces: Sequence[str]) -> str:
    """Return why a Metrics Insights query does not identify runs of Glue, empty if it does."""
    if not (found := re.match(_QUERY, expression, _FLAGS)):
        return f"its query selects no metric of Glue; allowed is a query like {EXAMPLE}"
    name, namespace = (group.strip('"') for group in found.groups())
    return rejection(namespace, name, allowed_namespaces)


def is_query(expression: str) -> bool:
    """Return whether an expression is a Metrics Insights query rather than metric math."""
    return re.match(r"\s*SELECT\b", expression, _FLAGS) is not None


def has_contributors(expression: str) -> bool:
    """Return whether an alarm on this expression has contributors, one for each group in the query's result."""
    return re.match(_GROUPED_QUERY, expression, _FLAGS) is not None
