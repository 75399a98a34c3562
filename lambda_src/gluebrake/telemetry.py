"""What people and alarms see: one log line for each demand, one count for each outcome."""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from gluebrake.contract import NAMESPACE
from gluebrake.model import Count, Measure, MessageResult, RunResult
from gluebrake.outcomes import Outcome

# By service: these are counted when there are none as well, so that an alarm on them has data.
FAILURES: Final[Mapping[str, frozenset[Outcome]]] = {
    "stop": frozenset(
        {
            Outcome.FAILED,
            Outcome.NOT_FOUND,
            Outcome.NOT_ALLOWED,
            Outcome.INVALID_REQUEST,
            Outcome.TOO_MANY_RUNS,
        }
    ),
    "confirm": frozenset({Outcome.STOP_TIMED_OUT, Outcome.INVALID_REQUEST}),
}

_UNITS: Final[Mapping[str, MetricUnit]] = {Measure.TIME_TO_STOP: MetricUnit.Seconds}

# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
_VALUES_OF_A_METRIC: Final = 100


def _encode(line: Mapping[str, Any]) -> str:
    try:
        return msgspec.json.encode(line, enc_hook=str).decode()
    except UnicodeEncodeError:
        return json.dumps(line, default=str)  # escapes what is no Unicode text


class Telemetry:
    """A function's log and metrics; `service` is its name in both."""

    def __init__(self, service: str) -> None:
        self._logger = Logger(service=service, json_serializer=_encode, location=None, use_rfc3339=True)
        self._troubles = FAILURES[service]
        self._metrics = EphemeralMetrics(namespace=NAMESPACE, service=service)
        self._values: defaultdict[str, list[float]] = defaultdict(list)

    def begin(self, context: Any) -> None:
        """Put the invocation's id on each line."""
        self._logger.append_keys(function_request_id=context.aws_request_id)

    def account(
        self,
        results: Sequence[RunResult],
        message_results: Sequence[MessageResult],
        counts: Mapping[Count, int],
        undelivered: frozenset[str],
    ) -> None:
        """Log and count each outcome; `undelivered` are messages that will come back, since a send failed."""
        for result in results:
            self._log(result.outcome, _told(result, undelivered))
            self._measure(result.measures)
        for message_result in message_results:
            self._log(message_result.outcome, _told_of_message(message_result, undelivered))
        outcomes = Counter[str](dict.fromkeys(self._troubles, 0))
        outcomes.update(result.outcome for result in results)
        outcomes.update(result.outcome for result in message_results)
        outcomes.update(counts)
        self._count(outcomes)

    def crashed(self, error: Exception) -> None:
        """Log and count an exception that nobody foresaw."""
        self._logger.error("UnexpectedError", exc_info=error)
        self._count({Count.UNEXPECTED_ERRORS: 1})

    def events_lost(self, lost: Mapping[str, int]) -> None:
        """Log and count the outcomes that could not be published, by error code."""
        for code, count in lost.items():
            self._logger.warning("OutcomeEventsLost", extra={"error_code": code, "events": count})
        self._count({Count.OUTCOME_EVENTS_LOST: sum(lost.values())})

    def end(self, counts: Mapping[Count, int]) -> None:
        """Publish all that was counted."""
        self._count({Count.UNEXPECTED_ERRORS: 0, **counts})
        # Powertools' `add_metric` formats all values of a metric for each that is added.
        for metrics in _blobs(self._values):
            sys.stdout.write(_encode(self._metrics.serialize_metric_set(metrics=metrics)) + "\n")
        self._values.clear()

    def _log(self, outcome: Outcome, told: dict[str, Any]) -> None:
        log = self._logger.warning if outcome in self._troubles else self._logger.info
        log(outcome.value, extra={"outcome": outcome.value, **told})

    def _count(self, counts: Mapping[Count, int] | Mapping[str, int]) -> None:
        for metric, count in counts.items():
            self._values[metric].append(count)

    def _measure(self, measures: Mapping[Measure, float | None]) -> None:
        for measure, value in measures.items():
            if value is not None:
                self._values[measure].append(value)


def _blobs(values: Mapping[str, Sequence[float]]) -> Iterator[dict[str, Any]]:
    """Yield the metrics as Powertools has them, as few times as hold all their values."""
    for start in range(0, max(map(len, values.values())), _VALUES_OF_A_METRIC):
        yield {
            str(metric): {
                "Unit": _UNITS.get(metric, MetricUnit.Count).value,
                "Value": of_metric[start : start + _VALUES_OF_A_METRIC],
            }
            for metric, of_metric in values.items()
            if start < len(of_metric)
        }


def _told(result: RunResult, undelivered: frozenset[str]) -> dict[str, Any]:
    target = result.target
    return {
        "job_name": target.run.job_name,
        "job_run_id": target.run.run_id,
        "error_code": result.code,
        "error_message": result.error,
        "state": result.state,
        "attempt": target.attempt,
        "dry_run": target.dry_run,
        "reason": target.reason,
        "requested_by": target.requested_by,
        "sender": target.sender,
        "message_ids": target.message_ids,
        "will_redeliver": not undelivered.isdisjoint(target.message_ids),
        **{name.value: "unknown" if value is None else value for name, value in result.measures.items()},
    }


def _told_of_message(result: MessageResult, undelivered: frozenset[str]) -> dict[str, Any]:
    request = result.request
    return {
        "job_name": request.job_name if request else "",
        "error_code": result.code,
        "error_message": result.why,
        "attempt": result.message.attempt,
        "reason": (request.reason if request else "") or "",
        "requested_by": (request.requested_by if request else "") or "",
        "sender": result.message.sender,
        "message_ids": [result.message.message_id],
        "will_redeliver": result.message.message_id in undelivered,
    }
