"""Each result has a log line, each outcome is counted, and no text from outside can forge either."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from io import StringIO
from types import SimpleNamespace
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gluebrake.metrics import Count, Measure
from gluebrake.model import MessageResult, RunResult
from gluebrake.outcomes import Outcome
from gluebrake.problems import PROBLEM_OF
from gluebrake.telemetry import Telemetry
from tests.support.builders import EVENT_VIA, SENDER_ID, message_result, result, target

pytestmark = [pytest.mark.disable_socket, pytest.mark.usefixtures("new_loggers")]

EMF: Final = '{"_aws": {"CloudWatchMetrics": [{"Namespace": "Gluebrake"}]}, "Failed": [1]}'
HOSTILE: Final = [
    "two\nlines",
    "\r\n" + EMF,
    EMF,
    '", "outcome": "Stopped", "x": "',
    "\x1b[31m\0\x07",
    "\u2028\u2029\x85",
    "%s %d %(message)s {0} {reason}",
]

Emitted = Callable[[], tuple[list[dict[str, Any]], list[dict[str, Any]]]]


@pytest.fixture
def log() -> StringIO:
    """Make a stream for the log, since pytest replaces its own in each phase of a test."""
    return StringIO()


@pytest.fixture
def telemetry(log: StringIO) -> Telemetry:
    """Make telemetry that writes its log to the stream."""
    telemetry = _telemetry(log)
    telemetry.start_invocation(SimpleNamespace(aws_request_id="request-1"))
    return telemetry


def _telemetry(log: StringIO, *, observe: bool = False, detailed: bool = True) -> Telemetry:
    telemetry = Telemetry("stop", observe=observe, detailed=detailed)
    for handler in logging.getLogger("stop").handlers:
        assert isinstance(handler, logging.StreamHandler)
        handler.setStream(log)
    return telemetry


@pytest.fixture
def emitted(log: StringIO, capsys: pytest.CaptureFixture[str]) -> Emitted:
    """Return what was written since the last call: log lines, and metrics. Each line of either is JSON."""

    def read() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        # Only a newline ends a line for Lambda, while `splitlines` recognises a dozen other characters.
        text = log.getvalue() + capsys.readouterr().out
        log.seek(0)
        log.truncate()
        written = [json.loads(line) for line in text.split("\n") if line]
        return [line for line in written if "_aws" not in line], [line for line in written if "_aws" in line]

    return read


def _record(telemetry: Telemetry, *results: RunResult | MessageResult, **counts: int) -> None:
    """Record results of runs and of messages, with counts, and flush the metrics."""
    of_runs = [result for result in results if isinstance(result, RunResult)]
    of_messages = [result for result in results if isinstance(result, MessageResult)]
    named_counts = {Count[name]: count for name, count in counts.items()}
    telemetry.record_results(of_runs, of_messages, named_counts, frozenset())
    telemetry.flush({})


def _sums(blobs: list[dict[str, Any]]) -> dict[str, float]:
    """Add up the values of each metric that the blobs declare."""
    sums: dict[str, float] = {}
    for blob in blobs:
        for directive in blob["_aws"]["CloudWatchMetrics"]:
            for metric in directive["Metrics"]:
                sums[metric["Name"]] = sums.get(metric["Name"], 0) + sum(blob[metric["Name"]])
    return sums


class _Broken(StringIO):
    """A stream whose reader is gone."""

    def write(self, _: str) -> int:
        raise BrokenPipeError


class TestLines:
    """The log lines."""

    def test_run_has_a_line_with_its_result_and_its_request(
        self, telemetry: Telemetry, emitted: Emitted
    ) -> None:
        """The line has the run, its outcome, the error, and who requested the stop."""
        failed = RunResult(
            target(attempt=2, message_ids=("m-1", "m-2")),
            Outcome.FAILED,
            "ThrottlingException",
            "Rate exceeded",
            "RUNNING",
        )
        _record(telemetry, failed)
        ((line,), _) = emitted()
        assert (
            line.items()
            >= {
                "level": "WARNING",
                "message": "Failed",
                "service": "stop",
                "function_request_id": "request-1",
                "outcome": "Failed",
                "job_name": "etl",
                "job_run_id": "jr_1",
                "error_code": "ThrottlingException",
                "error_message": "Rate exceeded",
                "state": "RUNNING",
                "attempt": 2,
                "dry_run": False,
                "reason": "over budget",
                "requested_by": "guardrail/nightly",
                "sender": SENDER_ID,
                "will_redeliver": False,
            }.items()
        )
        assert line["message_ids"] == ["m-1", "m-2"]

    @pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.STOP_SUBMITTED])
    @pytest.mark.parametrize("observe", [False, True])
    def test_line_is_what_logger_itself_would_write(
        self,
        log: StringIO,
        emitted: Emitted,
        outcome: Outcome,
        *,
        observe: bool,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Lines are written together and without Logger, and have its format and its fields."""
        monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3fe1be46a994272793")
        telemetry = _telemetry(log, observe=observe)
        telemetry.start_invocation(SimpleNamespace(aws_request_id="request-1"))
        _record(telemetry, result(outcome))
        ((line,), _) = emitted()
        own = {"level", "message", "timestamp", "service", "function_request_id", "observe", "xray_trace_id"}
        fields = {name: value for name, value in line.items() if name not in own}
        level = logging.WARNING if outcome.is_failure else logging.INFO
        logging.getLogger("stop").log(level, outcome.value, extra=fields)
        ((of_logger,), _) = emitted()
        first, second = (datetime.fromisoformat(each.pop("timestamp")) for each in (line, of_logger))
        assert line == of_logger
        assert timedelta() <= second - first < timedelta(seconds=10)

    def test_log_that_cannot_be_written_changes_nothing_else(
        self, log: StringIO, emitted: Emitted, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The metrics are written, and standard error has the reason."""
        telemetry = _telemetry(log)
        for handler in logging.getLogger("stop").handlers:
            assert isinstance(handler, logging.StreamHandler)
            handler.setStream(_Broken())
        telemetry.record_results([result(Outcome.STOPPED)], [], {}, frozenset())
        assert "BrokenPipeError" in capsys.readouterr().err
        telemetry.flush({})
        (_, metrics) = emitted()
        assert _sums(metrics)["Stopped"] == 1

    @pytest.mark.parametrize(("level", "messages"), [("INFO", ["Failed", "Stopped"]), ("WARNING", ["Failed"])])
    def test_level_of_logger_holds(
        self, log: StringIO, emitted: Emitted, monkeypatch: pytest.MonkeyPatch, level: str, messages: list[str]
    ) -> None:
        """With a higher level, successes are not in the log."""
        monkeypatch.setenv("POWERTOOLS_LOG_LEVEL", level)
        _record(_telemetry(log), result(Outcome.FAILED), result(Outcome.STOPPED))
        (lines, _) = emitted()
        assert [line["message"] for line in lines] == messages

    @pytest.mark.parametrize("via", ["", EVENT_VIA])
    def test_line_has_the_envelope_of_the_request(
        self, telemetry: Telemetry, emitted: Emitted, via: str
    ) -> None:
        """The event or notification that carried a request is in its lines, and absent without any."""
        of_message = message_result()
        _record(
            telemetry,
            result(Outcome.STOPPED, via=via),
            replace(of_message, message=replace(of_message.message, via=via)),
        )
        lines, _ = emitted()
        assert [line.get("via", "") for line in lines] == [via, via]
        assert all(("via" in line) is bool(via) for line in lines)

    @pytest.mark.parametrize("observe", [False, True])
    def test_line_of_a_function_that_observes_is_marked(
        self, log: StringIO, emitted: Emitted, *, observe: bool
    ) -> None:
        """Each line shows that nothing was stopped, also that of an exception and in a later invocation."""
        telemetry = _telemetry(log, observe=observe)
        for _ in range(2):
            telemetry.start_invocation(SimpleNamespace(aws_request_id="request-1"))
            _record(telemetry, result(Outcome.WOULD_STOP, dry_run=True), message_result())
            telemetry.record_exception(RuntimeError())
        lines, _ = emitted()
        assert len(lines) == 6
        assert [line.get("observe", False) for line in lines] == [observe] * 6

    def test_message_without_a_run_has_a_line(self, telemetry: Telemetry, emitted: Emitted) -> None:
        """The line of a message that cannot be used has the reason, and not the body."""
        _record(telemetry, message_result())
        ((line,), _) = emitted()
        assert (
            line.items()
            >= {
                "level": "WARNING",
                "message": "InvalidRequest",
                "outcome": "InvalidRequest",
                "error_message": "the body: is not JSON",
                "sender": SENDER_ID,
                "will_redeliver": False,
            }.items()
        )
        assert line["message_ids"] == ["m-1"]

    @pytest.mark.parametrize("outcome", Outcome)
    def test_problem_is_a_warning(self, telemetry: Telemetry, emitted: Emitted, outcome: Outcome) -> None:
        """Each result has one line. Its level is WARNING if an alarm counts the outcome, else INFO."""
        _record(telemetry, result(outcome))
        ((line,), _) = emitted()
        assert line["level"] == ("WARNING" if outcome in PROBLEM_OF else "INFO")

    def test_line_shows_whether_its_message_is_redelivered(
        self, telemetry: Telemetry, emitted: Emitted
    ) -> None:
        """The outcome of a target is not the last one if all messages that name its run are redelivered."""
        results = [
            result(Outcome.RETRYING, message_ids=("m-2", "m-3")),
            result(Outcome.RETRYING, run_id="jr_2", message_ids=("m-3", "m-4")),
        ]
        telemetry.record_results(results, [message_result()], {}, frozenset({"m-2", "m-3"}))
        telemetry.record_results([], [message_result()], {}, frozenset({"m-1"}))
        assert [line["will_redeliver"] for line in emitted()[0]] == [True, False, False, True]

    @pytest.mark.parametrize("text", HOSTILE)
    @pytest.mark.parametrize("field", ["reason", "requested_by", "sender", "via", "run_id", "job_name"])
    def test_text_from_outside_is_confined_to_its_line(
        self, telemetry: Telemetry, emitted: Emitted, field: str, text: str
    ) -> None:
        """A producer's text is one JSON string in one line, and never a metric."""
        _record(telemetry, result(Outcome.STOP_SUBMITTED, **{field: text}))
        lines, blobs = emitted()
        assert len(lines) == 1
        assert lines[0][{"run_id": "job_run_id"}.get(field, field)] == text
        assert lines[0]["outcome"] == "StopSubmitted"
        assert "Failed" not in _sums(blobs)

    @given(st.text(), st.text())
    @hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_any_text_is_logged_unchanged(
        self, telemetry: Telemetry, emitted: Emitted, error: str, why: str
    ) -> None:
        """All Unicode text is read from the log as it was recorded."""
        telemetry.record_results(
            [replace(result(Outcome.FAILED), error=error)],
            [replace(message_result(), why=why)],
            {},
            frozenset(),
        )
        assert [line["error_message"] for line in emitted()[0]] == [error, why]

    def test_half_of_a_surrogate_pair_loses_no_line(self, telemetry: Telemetry, emitted: Emitted) -> None:
        """An error of Glue that is not Unicode text still has a line with its run."""
        _record(telemetry, replace(result(Outcome.FAILED), error="\ud800"))
        assert [line["job_run_id"] for line in emitted()[0]] == ["jr_1"]

    def test_exception_has_a_line_with_its_traceback(self, telemetry: Telemetry, emitted: Emitted) -> None:
        """The traceback of an unhandled exception is in one line."""

        def crash() -> None:
            raise RuntimeError("two\nlines")

        with pytest.raises(RuntimeError) as error:
            crash()
        telemetry.record_exception(error.value)
        ((line,), _) = emitted()
        assert (line["level"], line["message"]) == ("ERROR", "UnexpectedErrors")
        assert (line["exception_name"], line["function_request_id"]) == ("RuntimeError", "request-1")
        assert "two\nlines" in line["exception"]

    def test_next_invocation_has_its_own_id(self, telemetry: Telemetry, emitted: Emitted) -> None:
        """Each line has the id of the invocation that wrote it."""
        telemetry.start_invocation(SimpleNamespace(aws_request_id="request-2"))
        _record(telemetry, result(Outcome.STOPPED))
        assert [line["function_request_id"] for line in emitted()[0]] == ["request-2"]

    def test_lost_events_have_a_line_for_each_code(self, telemetry: Telemetry, emitted: Emitted) -> None:
        """The line has the error code and the number of events."""
        telemetry.record_lost_events({"NoTime": 20, "InternalFailure": 1})
        lines, _ = emitted()
        assert [(line["level"], line["message"]) for line in lines] == [("WARNING", "OutcomeEventsLost")] * 2
        assert [(line["error_code"], line["events"]) for line in lines] == [
            ("NoTime", 20),
            ("InternalFailure", 1),
        ]


class TestMetrics:
    """The metrics."""

    def test_metrics_are_in_cloudwatchs_embedded_format(self, telemetry: Telemetry, emitted: Emitted) -> None:
        """The blob declares each metric with its unit, and the service is the only dimension."""
        _record(telemetry, result(Outcome.STOP_SUBMITTED))
        _, (blob,) = emitted()
        (directive,) = blob["_aws"]["CloudWatchMetrics"]
        assert (directive["Namespace"], directive["Dimensions"]) == ("Gluebrake", [["service"]])
        assert blob["service"] == "stop"
        assert isinstance(blob["_aws"]["Timestamp"], int)
        assert all(metric.keys() >= {"Name", "Unit"} for metric in directive["Metrics"])
        assert {"jr_1", "etl"}.isdisjoint(map(str, blob.values()))

    def test_each_outcome_is_counted(self, telemetry: Telemetry, emitted: Emitted) -> None:
        """The metric of an outcome is the number of runs and messages that have it."""
        outcomes = [outcome for number, outcome in enumerate(Outcome, 1) for _ in range(number)]
        _record(telemetry, *map(result, outcomes), message_result(), RUNS_REQUESTED=7)
        sums = _sums(emitted()[1])
        for number, outcome in enumerate(Outcome, 1):
            assert sums[outcome] == number + (outcome is Outcome.INVALID_REQUEST)
        assert sums["RunsRequested"] == 7

    def test_what_did_not_occur_is_not_emitted(self, telemetry: Telemetry, emitted: Emitted) -> None:
        """A metric costs money in each hour in which it has a value."""
        _record(telemetry, DUPLICATE_RUNS=0)
        assert emitted() == ([], [])

    def test_problems_are_counted_over_all_functions(self, telemetry: Telemetry, emitted: Emitted) -> None:
        """A problem is in the metrics of its function, and in a number that one alarm watches."""
        _record(telemetry, *map(result, (Outcome.FAILED, Outcome.UNCONFIRMED)), message_result())
        (of_function, of_problems) = emitted()[1]
        assert (of_function["service"], of_problems["service"]) == ("stop", "gluebrake")
        assert _sums([of_problems]) == {"RunsNotStopped": 2, "RequestsRefused": 1}

    def test_without_details_there_are_outcomes_and_problems(self, log: StringIO, emitted: Emitted) -> None:
        """The metrics that only a dashboard shows are left out: the other counts, and the measures."""
        measured = replace(result(Outcome.STOPPED), measures={Measure.TIME_TO_STOP: 1.0})
        _record(_telemetry(log, detailed=False), measured, result(Outcome.FAILED), RUNS_REQUESTED=2)
        assert _sums(emitted()[1]) == {"Stopped": 1, "Failed": 1, "RunsNotStopped": 1}

    def test_counts_of_several_groups_add_up(self, telemetry: Telemetry, emitted: Emitted) -> None:
        """An invocation that processes several groups of messages emits the sums once."""
        telemetry.record_results([result(Outcome.FAILED)], [], {Count.DUPLICATE_RUNS: 2}, frozenset())
        telemetry.record_results([result(Outcome.FAILED)], [], {Count.DUPLICATE_RUNS: 3}, frozenset())
        telemetry.flush({Count.STOP_CALLS: 4, Count.STATE_READS: 0})
        sums = _sums(emitted()[1])
        assert (sums["Failed"], sums["DuplicateRuns"]) == (2, 5)
        assert (sums["StopCalls"], sums.get("StateReads")) == (4, None)

    def test_exceptions_are_counted(self, telemetry: Telemetry, emitted: Emitted) -> None:
        """An alarm can watch the number of unhandled exceptions."""
        telemetry.record_exception(RuntimeError())
        telemetry.record_exception(RuntimeError())
        telemetry.flush({})
        assert _sums(emitted()[1]) == {"UnexpectedErrors": 2, "Malfunctions": 2}

    def test_lost_events_are_counted(self, telemetry: Telemetry, emitted: Emitted) -> None:
        """The metric is the number of events over all error codes, and absent without any."""
        for lost, total in (({"NoTime": 20, "InternalFailure": 1}, 21), ({}, None)):
            telemetry.record_lost_events(lost)
            telemetry.flush({})
            assert _sums(emitted()[1]).get("OutcomeEventsLost") == total

    def test_nothing_is_emitted_twice(self, telemetry: Telemetry, emitted: Emitted) -> None:
        """The counts of an invocation are not in the metrics of the next."""
        _record(telemetry, result(Outcome.FAILED))
        emitted()
        _record(telemetry)
        assert "Failed" not in _sums(emitted()[1])

    def test_measures_are_emitted_with_their_units(self, telemetry: Telemetry, emitted: Emitted) -> None:
        """The time, DPUs and DPU-hours of a stopped run are metrics, and are in its log line too."""
        measures = {Measure.TIME_TO_STOP: 11.5, Measure.DPUS_RELEASED: 10, Measure.DPU_HOURS_CONSUMED: None}
        _record(telemetry, replace(result(Outcome.STOPPED), measures=measures))
        (line,), (blob,) = emitted()
        units = {m["Name"]: m["Unit"] for m in blob["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
        assert (units["TimeToStop"], units["DpusReleased"]) == ("Seconds", "Count")
        assert (blob["TimeToStop"], blob["DpusReleased"]) == ([11.5], [10])
        assert "DpuHoursConsumed" not in blob
        assert (line["TimeToStop"], line["DpuHoursConsumed"]) == (11.5, "unknown")
        assert (line["TimeToStop"], line["DpusReleased"]) == (11.5, 10)

    def test_metric_with_many_values_loses_none(self, telemetry: Telemetry, emitted: Emitted) -> None:
        """A metric with more values than one blob can hold continues in the next."""
        stopped = [
            replace(result(Outcome.STOPPED, run_id=f"jr_{number}"), measures={Measure.TIME_TO_STOP: 1.0})
            for number in range(250)
        ]
        _record(telemetry, *stopped)
        lines, blobs = emitted()
        assert (len(lines), _sums(blobs)["TimeToStop"], _sums(blobs)["Stopped"]) == (250, 250, 250)
        assert all(len(blob.get("TimeToStop", [])) <= 100 for blob in blobs)
