"""Whatever a request says, the log has a line for each demand, and the metrics are ours."""

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
from gluebrake.model import Count, Measure, RunResult
from gluebrake.outcomes import Outcome
from gluebrake.runtime import Dependencies
from gluebrake.telemetry import Telemetry
from tests.support.builders import target
from tests.unit.parsing.conftest import Wire
from tests.unit.parsing.events import SENT_AT, Json, sqs_record

CONTEXT: Final = SimpleNamespace(aws_request_id="request-1", get_remaining_time_in_millis=lambda: 29_500)
OURS: Final = {*map(str, Outcome), *map(str, Count), *map(str, Measure)}

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

Written = Callable[[], tuple[list[Json], list[Json]]]


@pytest.fixture
def parts(wire: Wire) -> Dependencies:
    """Wire the function with the usual settings, a moment after the messages were sent."""
    return replace(wire(), clock=lambda: SENT_AT, jitter=lambda: 0.0)


@pytest.fixture
def written(parts: Dependencies, capsys: pytest.CaptureFixture[str]) -> Written:  # noqa: ARG001 - wiring makes the logger
    """Return the log lines and the blobs of metrics written since: a line that is no JSON raises."""
    log = StringIO()
    for handler in logging.getLogger("stop").handlers:
        assert isinstance(handler, logging.StreamHandler)
        handler.setStream(log)

    def read() -> tuple[list[Json], list[Json]]:
        text = log.getvalue() + capsys.readouterr().out
        log.seek(0)
        log.truncate()
        lines: list[Json] = [json.loads(line) for line in text.split("\n") if line]
        return [line for line in lines if "_aws" not in line], [line for line in lines if "_aws" in line]

    return read


def _ask(parts: Dependencies, *bodies: Any) -> None:
    records = [sqs_record(body, f"m-{number}") for number, body in enumerate(bodies)]
    stop.handler({"Records": records}, CONTEXT, parts)


def _counted(blobs: Sequence[Json]) -> Counter[str]:
    """Add up the metrics as CloudWatch would: every name that a blob declares."""
    counted: Counter[str] = Counter()
    for blob in blobs:
        for directive in blob["_aws"]["CloudWatchMetrics"]:
            for metric in directive["Metrics"]:
                counted[metric["Name"]] += sum(blob[metric["Name"]])
    return counted


@given(requests=REQUESTS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_request_forges_a_line_or_a_metric(
    parts: Dependencies, written: Written, requests: list[Json]
) -> None:
    """Each demand and each unusable message has one line that parses; the metrics count these."""
    written()
    _ask(parts, *requests)
    lines, blobs = written()
    told = Counter(line["outcome"] for line in lines)
    assert all({"_aws", "Failed"}.isdisjoint(line) for line in lines)
    named = {(line["job_name"], line["job_run_id"], line["dry_run"]) for line in lines if "job_run_id" in line}
    assert len(named) == sum("job_run_id" in line for line in lines)
    unusable = [line["message_ids"] for line in lines if "job_run_id" not in line]
    heard = {message_id for line in lines for message_id in line["message_ids"]}
    assert len(unusable) == told["InvalidRequest"]
    assert heard == {f"m-{number}" for number in range(len(requests))}
    counted = _counted(blobs)
    assert set(counted) <= OURS
    assert {name: count for name, count in counted.items() if count and name in {*Outcome}} == told
    assert all(blob["service"] == "stop" for blob in blobs)


def test_the_longest_texts_of_four_bytes_each_stay_one_line(parts: Dependencies, written: Written) -> None:
    """A demand whose every text is as long as it may be is told in one short line."""
    longest = "\U0001f6d1"
    _ask(parts, _request(longest * 255, [longest * 255], longest * 1024, longest * 1024, dry_run=False))
    (line,), _ = written()
    assert line["job_run_id"] == longest * 255
    assert line["reason"] == longest * 1024
    assert len(json.dumps(line, ensure_ascii=False).encode()) < 16_384


@pytest.mark.usefixtures("own_loggers")
def test_metrics_of_thousands_of_runs_keep_to_cloudwatchs_limits(capsys: pytest.CaptureFixture[str]) -> None:
    """No blob has more than 100 metrics, 100 values of one, 30 dimensions or 1 MB, and none is lost.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    telemetry = Telemetry("confirm")
    measured = {Measure.TIME_TO_STOP: 1.5, Measure.DPUS_RELEASED: 10.0, Measure.DPU_HOURS_CONSUMED: 0.25}
    stopped = [RunResult(target(f"jr_{n}"), Outcome.STOPPED, measures=measured) for n in range(5_000)]
    telemetry.account(stopped, [], {}, frozenset())
    telemetry.end({})
    texts = [text for text in capsys.readouterr().out.split("\n") if '"_aws"' in text]
    blobs = [json.loads(text) for text in texts]
    for text, blob in zip(texts, blobs, strict=True):
        (directive,) = blob["_aws"]["CloudWatchMetrics"]
        names = [metric["Name"] for metric in directive["Metrics"]]
        assert len(text.encode()) <= 1_000_000
        assert len(names) <= 100
        assert max(len(blob[name]) for name in names) <= 100
        assert directive["Dimensions"] == [["service"]]
    assert _counted(blobs)["TimeToStop"] == 1.5 * 5_000
    assert _counted(blobs)["Stopped"] == 5_000
