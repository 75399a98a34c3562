"""Tests that no text of a request forges a log line or a metric."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from io import StringIO
from types import SimpleNamespace
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gluebrake.handlers import stop
from gluebrake.handlers.stop import StopDependencies
from gluebrake.metrics import Count, Measure
from gluebrake.model import RunResult
from gluebrake.outcomes import Outcome
from gluebrake.problems import Problem
from gluebrake.telemetry import Telemetry
from tests.integration.conftest import MakeDependencies
from tests.support.builders import target
from tests.unit.parsing.events import SENT_AT, Json, sqs_record

CONTEXT: Final = SimpleNamespace(aws_request_id="request-1", get_remaining_time_in_millis=lambda: 29_500)
METRICS: Final = {*map(str, Outcome), *map(str, Count), *map(str, Measure), *map(str, Problem)}

FORGED_METRICS: Final = json.dumps(
    {
        "_aws": {
            "Timestamp": 1,
            "CloudWatchMetrics": [
                {"Namespace": "Gluebrake", "Dimensions": [["service"]], "Metrics": [{"Name": "Failed"}]}
            ],
        },
        "service": "stop",
        "Failed": 1000,
    }
)
FORGED_LINE: Final = '{"level":"INFO","message":"Stopped","outcome":"Stopped","job_run_id":"jr_1"}'
PIECES: Final = (
    *("etl", "jr_1", "\n", "\r", "\t", "\0", "\x1b[2K", "\x7f", "\x85", "\u2028", "\u202e", "\ufeff", "\ufffe"),
    *(
        '"',
        "\\",
        '"}',
        "{",
        "%s",
        "%(message)s",
        "{0}",
        "${jndi:x}",
        "_aws",
        "\ud800",
        "\udc00",
        "\U0001f6d1" * 60,
    ),
    *(FORGED_METRICS, f"\n{FORGED_METRICS}\n", f'"}}\n{FORGED_LINE}\n{{"', "END RequestId: request-1\n"),
)
HOSTILE: Final = st.lists(st.sampled_from(PIECES), min_size=1, max_size=3).map("".join)


def _request(job_name: str, run_ids: Sequence[str], reason: str, requested_by: str, dry_run: object) -> Json:
    notes = {"Reason": reason, "RequestedBy": requested_by, "DryRun": dry_run}
    return {"JobName": job_name, "JobRunIds": run_ids, **notes}


REQUESTS: Final = st.lists(
    st.builds(
        _request,
        HOSTILE,
        st.lists(HOSTILE, min_size=1, max_size=3),
        HOSTILE,
        HOSTILE,
        st.sampled_from([True, False, 1]),
    ),
    min_size=1,
    max_size=4,
)

Output = Callable[[], tuple[list[Json], list[Json]]]


@pytest.fixture
def dependencies(make_dependencies: MakeDependencies) -> StopDependencies:
    """Make STOP's dependencies with default settings and a clock at the time of the messages."""
    return replace(make_dependencies(), clock=lambda: SENT_AT, jitter=lambda: 0.0)


@pytest.fixture
def output(dependencies: StopDependencies, capsys: pytest.CaptureFixture[str]) -> Output:  # noqa: ARG001 - it makes the logger
    """Return a function that reads new log lines and metric documents, and raises if one is not JSON."""
    log = StringIO()
    for handler in logging.getLogger("stop").handlers:
        assert isinstance(handler, logging.StreamHandler)
        handler.setStream(log)

    def read_output() -> tuple[list[Json], list[Json]]:
        text = log.getvalue() + capsys.readouterr().out
        log.seek(0)
        log.truncate()
        lines: list[Json] = [json.loads(line) for line in text.split("\n") if line]
        return [line for line in lines if "_aws" not in line], [line for line in lines if "_aws" in line]

    return read_output


def _handle(dependencies: StopDependencies, *bodies: Any) -> None:
    records = [sqs_record(body, f"m-{number}") for number, body in enumerate(bodies)]
    stop.handler({"Records": records}, CONTEXT, dependencies)


def _metric_sums(documents: Sequence[Json]) -> Counter[str]:
    """Add up the metrics as CloudWatch does: every metric that a document declares."""
    sums: Counter[str] = Counter()
    for document in documents:
        for directive in document["_aws"]["CloudWatchMetrics"]:
            for metric in directive["Metrics"]:
                sums[metric["Name"]] += sum(document[metric["Name"]])
    return sums


@given(requests=REQUESTS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_request_forges_a_line_or_a_metric(
    dependencies: StopDependencies, output: Output, requests: list[Json]
) -> None:
    """Each target and each unusable message has one line that is valid JSON, and the metrics count these."""
    output()
    _handle(dependencies, *requests)
    lines, documents = output()
    logged = Counter(line["outcome"] for line in lines)
    assert all({"_aws", "Failed"}.isdisjoint(line) for line in lines)
    targets = {
        (line["job_name"], line["job_run_id"], line["dry_run"]) for line in lines if "job_run_id" in line
    }
    assert len(targets) == sum("job_run_id" in line for line in lines)
    unusable = [line["message_ids"] for line in lines if "job_run_id" not in line]
    message_ids = {message_id for line in lines for message_id in line["message_ids"]}
    assert len(unusable) == logged["InvalidRequest"]
    assert message_ids == {f"m-{number}" for number in range(len(requests))}
    sums = _metric_sums(documents)
    assert set(sums) <= METRICS
    assert {name: count for name, count in sums.items() if count and name in {*Outcome}} == logged
    assert {document["service"] for document in documents} <= {"stop", "gluebrake"}


def test_longest_texts_of_four_byte_characters_stay_one_line(
    dependencies: StopDependencies, output: Output
) -> None:
    """A target whose texts have the greatest length is logged in one short line."""
    longest = "\U0001f6d1"
    _handle(
        dependencies, _request(longest * 255, [longest * 255], longest * 1024, longest * 1024, dry_run=False)
    )
    (line,), _ = output()
    assert line["job_run_id"] == longest * 255
    assert line["reason"] == longest * 1024
    assert len(json.dumps(line, ensure_ascii=False).encode()) < 16_384


@pytest.mark.usefixtures("new_loggers")
def test_metrics_of_thousands_of_runs_are_within_the_limits_of_cloudwatch(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No document has more than 100 metrics, 100 values of a metric, 30 dimensions or 1 MB. No value is lost.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    telemetry = Telemetry("confirm")
    measures = {Measure.TIME_TO_STOP: 1.5, Measure.DPUS_RELEASED: 10.0, Measure.DPU_HOURS_CONSUMED: 0.25}
    stopped = [RunResult(target(f"jr_{n}"), Outcome.STOPPED, measures=measures) for n in range(5_000)]
    telemetry.record_results(stopped, [], {}, frozenset())
    telemetry.flush({})
    texts = [text for text in capsys.readouterr().out.split("\n") if '"_aws"' in text]
    documents = [json.loads(text) for text in texts]
    for text, document in zip(texts, documents, strict=True):
        (directive,) = document["_aws"]["CloudWatchMetrics"]
        names = [metric["Name"] for metric in directive["Metrics"]]
        assert len(text.encode()) <= 1_000_000
        assert len(names) <= 100
        assert max(len(document[name]) for name in names) <= 100
        assert directive["Dimensions"] == [["service"]]
    assert _metric_sums(documents)["TimeToStop"] == 1.5 * 5_000
    assert _metric_sums(documents)["Stopped"] == 5_000
