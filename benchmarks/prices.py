"""What AWS charges: the prices, and a bill by line for what was used.

`bill(usage)` is the answer to "what does a million requests cost?" once `usage` is that of a million.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

LOOKED_UP: Final = "2026-11-24"
REGION: Final = "us-east-1"

_MILLION: Final = 1e6
_GB: Final = 1e9
_DAYS_OF_A_MONTH: Final = 30


def _price(dollars: float, unit: str, page: str) -> Any:
    return field(default=dollars, metadata={"unit": unit, "page": page})


@dataclass(frozen=True, kw_only=True)
class Prices:
    """Dollars a unit, without the free tier and without discounts for volume; AWS's pages have them all."""

    sqs_requests: float = _price(0.40, "million requests to a standard queue, 64 kB each", "sqs")
    lambda_requests: float = _price(0.20, "million invocations", "lambda")
    lambda_seconds: float = _price(0.0000133334, "GB-second on arm64, initialisation included", "lambda")
    log_ingestion: float = _price(0.50, "GB of log lines, embedded metrics among them", "cloudwatch")
    log_storage: float = _price(0.03, "GB and month of stored log lines", "cloudwatch")
    events: float = _price(1.00, "million events of one's own, 64 kB each", "eventbridge")
    traces: float = _price(5.00, "million traces recorded", "xray")
    metrics: float = _price(0.30, "metric and month", "cloudwatch")
    alarms: float = _price(0.10, "alarm and month", "cloudwatch")
    dashboards: float = _price(3.00, "dashboard and month", "cloudwatch")


PRICES: Final = Prices()


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What was used, in the units of the services."""

    sqs_requests: float = 0
    empty_receives: float = 0
    invocations: float = 0
    gb_seconds: float = 0
    log_bytes: float = 0
    log_retention_days: float = 30
    events: float = 0
    traces: float = 0

    def __add__(self, other: Usage) -> Usage:
        """Return what both used; the logs are kept alike."""
        return self._each(lambda name: getattr(self, name) + getattr(other, name))

    def times(self, factor: float) -> Usage:
        """Return so many times as much."""
        return self._each(lambda name: getattr(self, name) * factor)

    def _each(self, value: Callable[[str], float]) -> Usage:
        names = [f.name for f in fields(self) if f.name != "log_retention_days"]
        return Usage(log_retention_days=self.log_retention_days, **{name: value(name) for name in names})


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What is there whether it is used or not."""

    metrics: int
    alarms: int
    dashboards: int


LINES: Final[Mapping[str, Callable[[Usage, Prices], float]]] = {
    "SQS requests": lambda usage, prices: usage.sqs_requests * prices.sqs_requests / _MILLION,
    "SQS empty receives": lambda usage, prices: usage.empty_receives * prices.sqs_requests / _MILLION,
    "Lambda requests": lambda usage, prices: usage.invocations * prices.lambda_requests / _MILLION,
    "Lambda GB-seconds": lambda usage, prices: usage.gb_seconds * prices.lambda_seconds,
    "Log ingestion": lambda usage, prices: usage.log_bytes * prices.log_ingestion / _GB,
    "Log storage": lambda usage, prices: (
        usage.log_bytes * usage.log_retention_days / _DAYS_OF_A_MONTH * prices.log_storage / _GB
    ),
    "Outcome events": lambda usage, prices: usage.events * prices.events / _MILLION,
    "X-Ray traces": lambda usage, prices: usage.traces * prices.traces / _MILLION,
}


def bill(usage: Usage, prices: Prices = PRICES) -> dict[str, float]:
    """Return the dollars by line."""
    return {line: dollars(usage, prices) for line, dollars in LINES.items()}


def monthly(standing: Standing, prices: Prices = PRICES) -> dict[str, float]:
    """Return the dollars a month by line that are due without a single request."""
    return {
        "Metrics": standing.metrics * prices.metrics,
        "Alarms": standing.alarms * prices.alarms,
        "Dashboard": standing.dashboards * prices.dashboards,
    }
