"""Telemetry: a line for each demand, a count for each outcome, and no way to forge either."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from io import StringIO
from types import SimpleNamespace
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gluebrake.model import Count, Measure, RunResult
from gluebrake.outcomes import Outcome
from gluebrake.telemetry import FAILURES, Telemetry
from tests.support.builders import SENDER_ID, message_result, result, target

pytestmark = [pytest.mark.disable_socket, pytest.mark.usefixtures("own_loggers")]

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
    """Make a stream for the log: pytest's own is another one in each phase of a test."""
    return StringIO()


@pytest.fixture
def telemetry(log: StringIO) -> Telemetry:
    """Make telemetry that writes to the stream."""
    made = Telemetry("stop")
    for handler in logging.getLogger("stop").handlers:
        assert isinstance(handler, logging.StreamHandler)
        handler.setStream(log)
    made.begin(SimpleNamespace(aws_request_id="request-1"))
    return made


@pytest.fixture
def emitted(log: StringIO, capsys: pytest.CaptureFixture[str]) -> Emitted:
    """Return what was written since: log lines, and blobs of metrics. Each line of either is JSON."""

    def read() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        # Only a newline ends a line for Lambda; `splitlines` knows a dozen more.
        text = log.getvalue() + capsys.readouterr().out
        log.seek(0)
        log.truncate()
        written = [json.loads(line) for line in text.split("\n") if line]
        return [line for line in written if "_aws" not in line], [line for line in written if "_aws" in line]

    return read


def _account(telemetry: Telemetry, *some: Any, **counts: int) -> None:
    """Account for results of demands and of messages, with what else was counted, and publish it."""
    results = [one for one in some if isinstance(one, RunResult)]
    messages = [one for one in some if not isinstance(one, RunResult)]
    telemetry.account(results, messages, {Count[name]: count for name, count in counts.items()}, frozenset())
    telemetry.end({})


def _sums(blobs: list[dict[str, Any]]) -> dict[str, float]:
    """Add up the values of each metric that the blobs declare."""
    sums: dict[str, float] = {}
    for blob in blobs:
        for directive in blob["_aws"]["CloudWatchMetrics"]:
            for metric in directive["Metrics"]:
                sums[metric["Name"]] = sums.get(metric["Name"], 0) + sum(blob[metric["Name"]])
    return sums


class TestLines:
    """The log."""

    def test_demand_has_a_line_that_tells_its_story(self, telemetry: Telemetry, emitted: Emitted) -> None:
        """One line says which run, what became of it, why, and who asked for it."""
        told = RunResult(
            target(attempt=2, message_ids=("m-1", "m-2")),
            Outcome.FAILED,
            "ThrottlingException",
            "Rate exceeded",
            "RUNNING",
        )
        _account(telemetry, told)
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

    def test_message_has_a_line_of_its_own(self, telemetry: Telemetry, emitted: Emitted) -> None:
        """What could not be used is told with its reason, and its body is not repeated."""
        _account(telemetry, message_result())
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
    def test_trouble_is_a_warning(self, telemetry: Telemetry, emitted: Emitted, outcome: Outcome) -> None:
        """Each demand has exactly one line, louder when a person should look at it."""
        _account(telemetry, result(outcome))
        ((line,), _) = emitted()
        assert line["level"] == ("WARNING" if outcome in FAILURES["stop"] else "INFO")

    def test_line_says_when_its_message_comes_back(self, telemetry: Telemetry, emitted: Emitted) -> None:
        """After a send that failed, the line tells that this is not the last word."""
        results = [
            result(Outcome.RETRYING, message_ids=("m-1", "m-2")),
            result(Outcome.RETRYING, run_id="jr_2", message_ids=("m-3",)),
        ]
        telemetry.account(results, [message_result()], {}, frozenset({"m-2"}))
        telemetry.account([], [message_result()], {}, frozenset({"m-1"}))
        assert [line["will_redeliver"] for line in emitted()[0]] == [True, False, False, True]

    @pytest.mark.parametrize("text", HOSTILE)
    @pytest.mark.parametrize("field", ["reason", "requested_by", "sender", "run_id", "job_name"])
    def test_text_from_outside_stays_within_its_line(
        self, telemetry: Telemetry, emitted: Emitted, field: str, text: str
    ) -> None:
        """Whatever a producer writes is one JSON string in one line, and never a metric."""
        _account(telemetry, result(Outcome.STOP_SUBMITTED, **{field: text}))
        lines, blobs = emitted()
        assert len(lines) == 1
        assert lines[0][{"run_id": "job_run_id"}.get(field, field)] == text
        assert lines[0]["outcome"] == "StopSubmitted"
        assert _sums(blobs)["Failed"] == 0

    @given(st.text(), st.text())
    @hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_any_text_is_told_as_it_is(
        self, telemetry: Telemetry, emitted: Emitted, error: str, why: str
    ) -> None:
        """Any text that is Unicode comes out of the log as it went in."""
        telemetry.account(
            [replace(result(Outcome.FAILED), error=error)],
            [replace(message_result(), why=why)],
            {},
            frozenset(),
        )
        assert [line["error_message"] for line in emitted()[0]] == [error, why]

    def test_half_of_a_surrogate_pair_loses_no_line(self, telemetry: Telemetry, emitted: Emitted) -> None:
        """An error of Glue's that is no Unicode text still leaves a line about its run."""
        _account(telemetry, replace(result(Outcome.FAILED), error="\ud800"))
        assert [line["job_run_id"] for line in emitted()[0]] == ["jr_1"]

    def test_exception_is_told(self, telemetry: Telemetry, emitted: Emitted) -> None:
        """What nobody foresaw has its traceback in one line."""

        def crash() -> None:
            raise RuntimeError("two\nlines")

        with pytest.raises(RuntimeError) as error:
            crash()
        telemetry.crashed(error.value)
        ((line,), _) = emitted()
        assert (line["level"], line["message"]) == ("ERROR", "UnexpectedError")
        assert (line["exception_name"], line["function_request_id"]) == ("RuntimeError", "request-1")
        assert "two\nlines" in line["exception"]

    def test_next_invocation_has_its_own_id(self, telemetry: Telemetry, emitted: Emitted) -> None:
        """Each line belongs to the invocation that wrote it."""
        telemetry.begin(SimpleNamespace(aws_request_id="request-2"))
        _account(telemetry, result(Outcome.STOPPED))
        assert [line["function_request_id"] for line in emitted()[0]] == ["request-2"]


class TestMetrics:
    """The counts."""

    def test_metrics_are_in_cloudwatchs_embedded_format(self, telemetry: Telemetry, emitted: Emitted) -> None:
        """The blob declares each metric with its unit, and the service is the only dimension."""
        _account(telemetry, result(Outcome.STOP_SUBMITTED))
        _, (blob,) = emitted()
        (directive,) = blob["_aws"]["CloudWatchMetrics"]
        assert (directive["Namespace"], directive["Dimensions"]) == ("Gluebrake", [["service"]])
        assert blob["service"] == "stop"
        assert isinstance(blob["_aws"]["Timestamp"], int)
        assert all(metric.keys() >= {"Name", "Unit"} for metric in directive["Metrics"])
        assert {"jr_1", "etl"}.isdisjoint(map(str, blob.values()))

    def test_each_outcome_is_counted(self, telemetry: Telemetry, emitted: Emitted) -> None:
        """There are as many of each as there are demands and messages of that outcome."""
        outcomes = [outcome for number, outcome in enumerate(Outcome, 1) for _ in range(number)]
        _account(telemetry, *map(result, outcomes), message_result(), RUNS_REQUESTED=7)
        sums = _sums(emitted()[1])
        for number, outcome in enumerate(Outcome, 1):
            assert sums[outcome] == number + (outcome is Outcome.INVALID_REQUEST)
        assert sums["RunsRequested"] == 7

    @pytest.mark.parametrize("service", ["stop", "confirm"])
    def test_troubles_are_counted_when_there_are_none(
        self, service: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """An alarm needs data also while all goes well; other outcomes are counted when they happen."""
        _account(Telemetry(service))
        sums = _sums([json.loads(capsys.readouterr().out)])
        assert sums == dict.fromkeys([*FAILURES[service], Count.UNEXPECTED_ERRORS], 0)

    def test_counts_of_several_rounds_add_up(self, telemetry: Telemetry, emitted: Emitted) -> None:
        """An invocation that works in several rounds publishes once, and all of it."""
        telemetry.account([result(Outcome.FAILED)], [], {Count.DUPLICATE_RUNS: 2}, frozenset())
        telemetry.account([result(Outcome.FAILED)], [], {Count.DUPLICATE_RUNS: 3}, frozenset())
        telemetry.end({Count.STOP_CALLS: 4, Count.STATE_READS: 0})
        sums = _sums(emitted()[1])
        assert (sums["Failed"], sums["DuplicateRuns"]) == (2, 5)
        assert (sums["StopCalls"], sums["StateReads"]) == (4, 0)

    def test_exceptions_are_counted(self, telemetry: Telemetry, emitted: Emitted) -> None:
        """What nobody foresaw is counted, so that an alarm can tell of it."""
        telemetry.crashed(RuntimeError())
        telemetry.crashed(RuntimeError())
        telemetry.end({})
        assert _sums(emitted()[1]) == {"UnexpectedErrors": 2}

    def test_nothing_is_published_twice(self, telemetry: Telemetry, emitted: Emitted) -> None:
        """What one invocation counted is not in the next one's metrics."""
        _account(telemetry, result(Outcome.FAILED))
        emitted()
        _account(telemetry)
        assert _sums(emitted()[1])["Failed"] == 0

    def test_measures_are_published_with_their_units(self, telemetry: Telemetry, emitted: Emitted) -> None:
        """A stopped run's time, DPUs and DPU-hours are metrics, and stand in its line too."""
        measures = {Measure.TIME_TO_STOP: 11.5, Measure.DPUS_RELEASED: 10, Measure.DPU_HOURS_CONSUMED: None}
        _account(telemetry, replace(result(Outcome.STOPPED), measures=measures))
        (line,), (blob,) = emitted()
        units = {m["Name"]: m["Unit"] for m in blob["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
        assert (units["TimeToStop"], units["DpusReleased"]) == ("Seconds", "Count")
        assert (blob["TimeToStop"], blob["DpusReleased"]) == ([11.5], [10])
        assert "DpuHoursConsumed" not in blob
        assert (line["TimeToStop"], line["DpuHoursConsumed"]) == (11.5, "unknown")
        assert (line["TimeToStop"], line["DpusReleased"]) == (11.5, 10)

    def test_many_measures_lose_none(self, telemetry: Telemetry, emitted: Emitted) -> None:
        """A metric that has more values than one blob can hold goes on in the next."""
        stopped = [
            replace(result(Outcome.STOPPED, run_id=f"jr_{number}"), measures={Measure.TIME_TO_STOP: 1.0})
            for number in range(250)
        ]
        _account(telemetry, *stopped)
        lines, blobs = emitted()
        assert (len(lines), _sums(blobs)["TimeToStop"], _sums(blobs)["Stopped"]) == (250, 250, 250)
        assert all(len(blob.get("TimeToStop", [])) <= 100 for blob in blobs)
