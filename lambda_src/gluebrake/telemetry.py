"""The logs and metrics for operators and alarms: a log line for each result, a metric for each outcome."""

from __future__ import annotations

import json
import logging
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TextIO, cast

import msgspec
from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit
from msgspec import UNSET, Struct, UnsetType

from gluebrake.contract import NAMESPACE
from gluebrake.metrics import METRICS_OF_STOPPED_RUNS, WATCHED, Count, Measure
from gluebrake.model import MessageResult, RunResult
from gluebrake.outcomes import Outcome
from gluebrake.problems import ALL_FUNCTIONS, PROBLEM_OF

if TYPE_CHECKING:
    from gluebrake.sweep_contract import SweepReport

_UNITS: Final[Mapping[str, MetricUnit]] = {Measure.TIME_TO_STOP: MetricUnit.Seconds}

# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
_VALUES_OF_A_METRIC: Final = 100

_NO_MEASURES: Final[Mapping[Measure, float | None]] = {}
_encoder: Final = msgspec.json.Encoder(enc_hook=str)

# CloudWatch Logs cuts a line at 256 kB. A run with the longest names takes about 2 kB.
_RUNS_IN_A_LINE: Final = 100


class ResultLine(Struct, frozen=True, gc=False, kw_only=True):
    """The fields of a log line about a run, or about a message without `job_run_id`."""

    outcome: Outcome
    job_name: str
    job_run_id: str | UnsetType = UNSET
    error_code: str
    error_message: str
    state: str = ""
    attempt: int
    dry_run: bool
    reason: str
    requested_by: str
    sender: str
    via: str | UnsetType
    message_ids: Sequence[str]
    will_redeliver: bool


def _encode(members: Any) -> str:
    try:
        return _encoder.encode(members).decode()
    except UnicodeEncodeError:
        # The standard library's encoder escapes unpaired surrogates, which UTF-8 cannot encode.
        return json.dumps(msgspec.to_builtins(members, enc_hook=str), default=str)


def _joined(*objects: str) -> str:
    """Return one JSON object with the members of several objects, which have no name in common."""
    return f"{{{','.join([text[1:-1] for text in objects])}}}"


class Telemetry:
    """A function's log and metrics. `service`, the name of its stage, is in every line and metric.

    Without `detailed`, only outcomes and counts with an alarm are metrics. CloudWatch bills a metric for each
    hour in which it has a value, so a count of zero is not emitted: https://aws.amazon.com/cloudwatch/pricing/
    """

    def __init__(self, service: str, *, observe: bool = False, detailed: bool = True) -> None:
        self._logger = Logger(service=service, json_serializer=_encode, location=None, use_rfc3339=True)
        # Otherwise the lines of a function that observes would look like dry runs that a sender requested.
        if observe:
            self._logger.append_keys(observe=True)
        self._detailed = detailed
        self._metrics = EphemeralMetrics(namespace=NAMESPACE, service=service)
        self._values: defaultdict[str, list[float]] = defaultdict(list)
        self._problem_metrics = EphemeralMetrics(namespace=NAMESPACE, service=ALL_FUNCTIONS)
        self._problems: defaultdict[str, list[float]] = defaultdict(list)

    def start_invocation(self, context: Any) -> None:
        """Add the invocation's id to each line that follows."""
        self._logger.append_keys(function_request_id=context.aws_request_id)

    def record_results(
        self,
        results: Sequence[RunResult],
        message_results: Sequence[MessageResult],
        counts: Mapping[Count, int],
        undelivered: frozenset[str],
    ) -> None:
        """Log and count each outcome. SQS redelivers the messages in `undelivered`.

        SQS redelivers a target's result only if it redelivers all messages of the target.
        """
        self._log(
            [
                *((_run_line(result, undelivered), result.measures) for result in results),
                *((_message_line(result, undelivered), _NO_MEASURES) for result in message_results),
            ]
        )
        for result in results:
            if result.outcome is Outcome.STOPPED:
                self._measure(result.measures)
        outcomes = Counter[str](result.outcome for result in results)
        outcomes.update(result.outcome for result in message_results)
        outcomes.update(counts)
        self._count(outcomes)

    def record_report(self, report: SweepReport, *, will_repeat: bool) -> None:
        """Log a sweep's report, at most 100 runs a line. With `will_repeat`, SQS redelivers the request."""
        shared = {"swept_at": report.swept_at, "complete": report.complete, "will_redeliver": will_repeat}
        for policy in report.policies:
            fields = {**shared, **msgspec.to_builtins(policy)}
            self._logger.info("SweepReport", extra=fields)
            if policy.over_cap and policy.mode == "stop":
                self._logger.warning(Count.POLICY_OVER_CAP.value, extra=fields)
        for start in range(0, len(report.runs), _RUNS_IN_A_LINE):
            runs = msgspec.to_builtins(report.runs[start : start + _RUNS_IN_A_LINE])
            self._logger.info("SweepRuns", extra={**shared, "runs": runs})
        if not report.complete:
            unread = {"jobs_not_read": report.jobs_not_read, "errors": report.errors}
            self._logger.warning(Count.SWEEP_INCOMPLETE.value, extra={**shared, **unread})

    def record_exception(self, error: Exception) -> None:
        """Log and count an unhandled exception."""
        self._logger.error(Count.UNEXPECTED_ERRORS.value, exc_info=error)
        self._count({Count.UNEXPECTED_ERRORS: 1})

    def record_lost_events(self, lost: Mapping[str, int]) -> None:
        """Log and count the events that could not be published, by error code."""
        for code, count in lost.items():
            self._logger.warning(Count.OUTCOME_EVENTS_LOST.value, extra={"error_code": code, "events": count})
        self._count({Count.OUTCOME_EVENTS_LOST: sum(lost.values())})

    def record_lost_notice(self, error_code: str) -> None:
        """Log and count a notice that could not be published. An empty error code means that none was lost."""
        if error_code:
            self._logger.warning(Count.NOTICES_LOST.value, extra={"error_code": error_code})
        self._count({Count.NOTICES_LOST: int(bool(error_code))})

    def flush(self, counts: Mapping[Count, int]) -> None:
        """Write the metrics of the invocation, with `counts`."""
        self._count(counts)
        # Powertools' `add_metric` would format all values of a metric again for each value that is added.
        for metrics, values in ((self._metrics, self._values), (self._problem_metrics, self._problems)):
            for metric_set in _metric_sets(values):
                sys.stdout.write(_encode(metrics.serialize_metric_set(metrics=metric_set)) + "\n")
            values.clear()

    def _log(self, lines: Sequence[tuple[ResultLine, Mapping[Measure, float | None]]]) -> None:
        """Write the lines together, each in the form of Powertools' Logger.

        Logger takes more time for a line than the rest of an invocation takes for a run. So Logger formats one
        line for each level, and each line adds only its own fields.
        """
        least, shared = self._logger.log_level, dict[int, str]()
        written: list[str] = []
        for line, measures in lines:
            level = logging.WARNING if line.outcome in PROBLEM_OF else logging.INFO
            if level < least:
                continue
            if level not in shared:
                shared[level] = _encode(self._fields_of_logger(level))
            known = {name: "unknown" if value is None else value for name, value in measures.items()}
            written.append(_joined(shared[level], _encode({"message": line.outcome, **known}), _encode(line)))
        self._write("".join(f"{line}\n" for line in written))

    def _write(self, text: str) -> None:
        """Write to the log. As in Logger, an error does not stop the invocation."""
        handler = cast("logging.StreamHandler[TextIO]", self._logger.registered_handler)
        try:
            handler.stream.write(text)
            handler.flush()
        except Exception:  # noqa: BLE001 - `handleError` reports it on standard error
            handler.handleError(self._record(logging.ERROR))

    def _fields_of_logger(self, level: int) -> dict[str, Any]:
        """Return the fields that Logger adds to each line of a level, without the message."""
        text = self._logger.registered_formatter.format(self._record(level))
        fields: dict[str, Any] = msgspec.json.decode(text)
        return {name: value for name, value in fields.items() if name != "message"}

    def _record(self, level: int) -> logging.LogRecord:
        return logging.LogRecord(self._logger.name, level, "", 0, "", None, None)

    def _count(self, counts: Mapping[Count, int] | Mapping[str, int]) -> None:
        for metric, count in counts.items():
            if not count:
                continue
            if self._detailed or isinstance(metric, Outcome) or metric in WATCHED:
                self._values[metric].append(count)
            if problem := PROBLEM_OF.get(metric):
                self._problems[problem].append(count)

    def _measure(self, measures: Mapping[Measure, float | None]) -> None:
        for measure in METRICS_OF_STOPPED_RUNS if self._detailed else ():
            if (value := measures.get(measure)) is not None:
                self._values[measure].append(value)


def _metric_sets(values: Mapping[str, Sequence[float]]) -> Iterator[dict[str, Any]]:
    """Yield metrics in Powertools' form, in the fewest sets that hold all their values."""
    for start in range(0, max(map(len, values.values()), default=0), _VALUES_OF_A_METRIC):
        yield {
            str(metric): {
                "Unit": _UNITS.get(metric, MetricUnit.Count).value,
                "Value": of_metric[start : start + _VALUES_OF_A_METRIC],
            }
            for metric, of_metric in values.items()
            if start < len(of_metric)
        }


def _run_line(result: RunResult, undelivered: frozenset[str]) -> ResultLine:
    target = result.target
    return ResultLine(
        outcome=result.outcome,
        job_name=target.run.job_name,
        job_run_id=target.run.run_id,
        error_code=result.code,
        error_message=result.error,
        state=result.state,
        attempt=target.attempt,
        dry_run=target.request.dry_run,
        reason=target.request.reason or "",
        requested_by=target.request.requested_by or "",
        sender=target.sender,
        via=target.via or UNSET,
        message_ids=target.message_ids,
        will_redeliver=undelivered.issuperset(target.message_ids),
    )


def _message_line(result: MessageResult, undelivered: frozenset[str]) -> ResultLine:
    request, message = result.request, result.message
    return ResultLine(
        outcome=result.outcome,
        job_name=request.job_name if request else "",
        error_code=result.code,
        error_message=result.why,
        attempt=message.attempt,
        dry_run=request.dry_run if request else False,
        reason=(request.reason or "") if request else "",
        requested_by=(request.requested_by or "") if request else "",
        sender=message.sender,
        via=message.via or UNSET,
        message_ids=[message.message_id],
        will_redeliver=message.message_id in undelivered,
    )
