"""Lines of the functions' logs become the history of each run, and no text can change the query."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from gluebrake.metrics import Measure
from gluebrake.outcomes import Outcome
from gluebrake_cli import history, history_lines, history_query, history_tables
from gluebrake_cli.history import RunHistory
from gluebrake_cli.history_lines import Line
from gluebrake_cli.history_query import Search
from gluebrake_cli.history_report import HistoryReport
from gluebrake_cli.insights import LONGEST_QUERY, LogGroup, QueryResult
from tests.support.builders import NOON, names, notes

RUN: Final = f"jr_{'0123456789abcdef' * 4}"
SWEEP: Final = "AROASWEEP"
WEEK: Final = NOON - timedelta(days=7)


def _line(minute: float, outcome: Outcome, **changes: Any) -> Line:
    """Build a line, so many minutes after noon."""
    fields: dict[str, Any] = {
        "timestamp": NOON + timedelta(minutes=minute),
        "outcome": outcome,
        "job_name": "etl",
        "job_run_id": RUN,
        "sender": "AROA:alice",
        "requested_by": "alice",
        "reason": "over budget",
    }
    return Line(**{**fields, **changes})


def _history(*lines: Line) -> RunHistory:
    (found,) = history.runs(lines)
    return found


ALICE: Final = {"sender": "AROA:alice"}
BOB: Final = {"sender": "AROA:bob"}


@pytest.mark.parametrize(
    ("lines", "decisive"),
    [
        (
            [_line(0, Outcome.STOP_SUBMITTED), _line(1, Outcome.STOPPED), _line(2, Outcome.ALREADY_FINISHED)],
            1,
        ),
        ([_line(0, Outcome.FAILED), _line(1, Outcome.STOP_SUBMITTED)], 0),
        ([_line(0, Outcome.STOP_TIMED_OUT), _line(1, Outcome.ALREADY_FINISHED)], 1),
        ([_line(0, Outcome.RETRYING), _line(1, Outcome.STOP_SUBMITTED)], 1),
        ([_line(0, Outcome.STOP_SUBMITTED), _line(1, Outcome.WOULD_STOP, dry_run=True)], 0),
        ([_line(0, Outcome.WOULD_STOP, dry_run=True), _line(1, Outcome.NOT_FOUND, dry_run=True)], 1),
        ([_line(0, Outcome.PROTECTED), _line(1, Outcome.FAILED, will_redeliver=True)], 0),
        (
            [
                _line(0, Outcome.STOP_SUBMITTED, **ALICE),
                _line(1, Outcome.ALREADY_STOPPING, **BOB),
                _line(2, Outcome.STOPPED, **BOB),
                _line(3, Outcome.STOPPED, **ALICE),
            ],
            3,
        ),
        ([_line(0, Outcome.STOPPED, **BOB), _line(1, Outcome.STOPPED, **ALICE)], 0),
    ],
    ids=[
        "stopped",
        "failed, and requested again",
        "over before a redrive",
        "not ended",
        "dry run beside a request",
        "dry runs only",
        "will be redelivered",
        "the first that was submitted",
        "stopped, submissions not known",
    ],
)
def test_decisive_line(lines: list[Line], decisive: int) -> None:
    """A run was stopped by the request that was submitted first. Without a stop, its last outcome counts."""
    assert _history(*reversed(lines)).decisive == lines[decisive]


def test_steps_fold_notifications_of_one_topic() -> None:
    """Two notifications, events or sweeps of one origin are one step. Another sender or reason is another."""
    topic, source = "of arn:aws:sns:eu-west-1:1:topic", "of aws.cloudwatch in account 1"
    sweep = "schedule of policy p 3f, due 2026-11-24T1"
    vias = [
        *(f"notification 1 {topic}", f"notification 2 {topic}", f"notification 3 {topic}-2"),
        *(f"event 1 {source}", f"event 2 {source}", f"{sweep}2:00:00Z", f"{sweep}3:00:00Z"),
    ]
    lines = [_line(minute, Outcome.PROTECTED, via=via) for minute, via in enumerate(vias)]
    steps = _history(*lines, _line(9, Outcome.PROTECTED, via=vias[0], reason="other")).steps
    assert [len(step.lines) for step in steps] == [2, 1, 2, 2, 1]


def test_runs_have_the_newest_first() -> None:
    """The order is that of how each run ended. A job name does not join the runs of two jobs."""
    lines = [
        _line(0, Outcome.STOPPED, job_run_id="jr_old"),
        _line(1, Outcome.ALREADY_FINISHED, job_run_id="jr_old"),
        _line(0.5, Outcome.STOPPED, job_run_id="jr_new"),
        _line(2, Outcome.STOPPED, job_run_id="jr_new", job_name="other"),
    ]
    found = [(each.run.job_name, each.run.run_id) for each in history.runs(lines)]
    assert found == [("other", "jr_new"), ("etl", "jr_new"), ("etl", "jr_old")]


def test_request_after_a_failure_is_counted() -> None:
    """Each failure that another line follows counts once. A failure of a redelivered message is none."""
    lines = [
        _line(0, Outcome.FAILED),
        _line(1, Outcome.FAILED, will_redeliver=True),
        _line(2, Outcome.FAILED),
        _line(3, Outcome.DEFERRED),
        _line(4, Outcome.FAILED),
    ]
    repeats = _history(*lines).repeats
    assert (repeats.requests_after_failure, repeats.redeliveries, repeats.retries) == (2, 1, 1)


@pytest.mark.parametrize(
    "text",
    ["", "START RequestId: x", "[1]", '"text"', "{}", '{"outcome": "Invented", "job_name": "etl"}', "null"],
)
def test_other_lines_are_skipped(text: str) -> None:
    """A line that is no outcome of this version is not in the history."""
    assert history_lines.parse(text) is None


def test_unknown_measures_are_left_out() -> None:
    """The log has "unknown" where AWS Glue says too little. A total counts such runs."""
    fields = {
        "timestamp": "2026-11-24T12:00:00Z",
        "outcome": "Stopped",
        "job_name": "etl",
        "job_run_id": RUN,
        "TimeToStop": "unknown",
        "DpuHoursConsumed": 2,
    }
    line = history_lines.parse(json.dumps(fields))
    assert line
    assert line.measures == {Measure.DPU_HOURS_CONSUMED: 2.0}
    total = history.total([_history(line), _history(_line(0, Outcome.STOPPED, job_run_id="jr_2"))])
    assert total.measures == {Measure.DPU_HOURS_CONSUMED: 2.0}
    assert total.unknown == {Measure.DPU_HOURS_CONSUMED: 1, Measure.ESTIMATED_COST_USD: 2}


TEXTS: Final = st.one_of(names(), notes(), st.text(max_size=20), st.sampled_from(['"', "\\", "/", "a|b", "*"]))
QUERY: Final = re.compile(
    r"fields @timestamp, @message(\n\| filter @message like /[^/\\\n]+/)+\n\| sort @timestamp desc"
)


@given(run=TEXTS, job=TEXTS, requested_by=TEXTS, policy=TEXTS)
def test_no_text_changes_the_form_of_the_query(run: str, job: str, requested_by: str, policy: str) -> None:
    """Each condition is one filter, whose expression has no slash, no backslash and no newline."""
    texts = {"run": run, "job": job, "requested_by": requested_by, "policy": policy}
    query = Search(since=WEEK, **texts).query
    assert QUERY.fullmatch(query)
    assert query.count("\n") == 2 + sum(map(bool, texts.values()))
    for pattern in re.findall("/(.+)/", query):
        re.compile(pattern)


@given(run=TEXTS, job=TEXTS, requested_by=TEXTS, escaped=st.booleans(), spaced=st.booleans())
def test_the_query_finds_what_the_search_matches(
    run: str, job: str, requested_by: str, *, escaped: bool, spaced: bool
) -> None:
    """A line is found by its own values, however its JSON is written, also with * for any text."""
    fields = {
        "timestamp": NOON.isoformat(),
        "outcome": "Stopped",
        "job_name": job,
        "job_run_id": run,
        "requested_by": requested_by,
    }
    separators = (", ", ": ") if spaced else (",", ":")
    message = json.dumps(fields, ensure_ascii=escaped, separators=separators)
    line = history_lines.parse(message)
    assert line
    for search in (
        Search(since=WEEK, run=run, job=job, requested_by=requested_by),
        Search(since=WEEK, job=f"*{job[1:]}", requested_by=f"{requested_by[:1]}*"),
    ):
        assert search.matches(line)
        assert all(re.search(pattern, message) for pattern in re.findall("/(.+)/", search.query))


def test_longest_values_fit_into_a_query() -> None:
    """Values of any length make a query that CloudWatch Logs accepts, and match exactly."""
    long = "x." * 5_000
    search = Search(since=WEEK, run=long, job=long, requested_by=long, policy=long)
    assert len(search.query) < LONGEST_QUERY
    line = _line(0, Outcome.STOPPED, job_run_id=long, job_name=long, requested_by=long)
    assert Search(since=WEEK, run=long, job=long, requested_by=long).matches(line)
    assert not Search(since=WEEK, job=f"{long}x").matches(line)


@pytest.mark.parametrize(
    ("text", "since"),
    [
        ("90m", NOON - timedelta(minutes=90)),
        ("7d", NOON - timedelta(days=7)),
        ("1h30m", NOON - timedelta(minutes=90)),
        ("2026-11-24T12:00:00+01:00", NOON - timedelta(hours=1)),
        ("9999999d", datetime.fromtimestamp(0, UTC)),
        ("1900-01-01T00:00:00Z", datetime.fromtimestamp(0, UTC)),
    ],
)
def test_since(text: str, since: datetime) -> None:
    """A duration counts from now, a time has a zone, and nothing is before CloudWatch's first second."""
    assert history_query.since(text, NOON) == since


@pytest.mark.parametrize("text", ["", "-1h", "7 days", "2026-11-24", "2026-11-24T12:00:01Z", "90s"])
def test_since_that_cannot_be_read(text: str) -> None:
    """Another text is refused."""
    with pytest.raises(typer.BadParameter, match="--since"):
        history_query.since(text, NOON)


@pytest.mark.parametrize(("days", "goes_back"), [(None, 30), (7, 7), (90, 30)])
def test_log_goes_back_to_its_creation_or_its_retention(days: int | None, goes_back: int) -> None:
    """A log group has no line from before its creation, and none that is older than its retention."""
    group = LogGroup(name="x", created=NOON - timedelta(days=30), retention_days=days)
    assert group.goes_back_to(NOON) == NOON - timedelta(days=goes_back)


def _screen(search: Search, lines: list[Line], width: int) -> list[str]:
    """Return the lines of a screen on a terminal."""
    created, kept = (NOON - timedelta(days=20), NOON - timedelta(days=30)), (90, 7)
    report = HistoryReport(
        search=search,
        now=NOON + timedelta(hours=2),
        found=history.runs(lines),
        result=QueryResult(messages=(), bytes_scanned=12_345_678, records_scanned=34_021),
        log_groups=[
            LogGroup(name="x", created=time, retention_days=days)
            for time, days in zip(created, kept, strict=True)
        ],
        unknown={},
        sweep_sender_ids=frozenset({SWEEP}),
    )
    console = Console(width=width, force_terminal=True, color_system=None, record=True, file=None, quiet=False)
    with console.capture() as capture:
        console.print(history_tables.screen(report, 20), crop=False)
    return [line.rstrip() for line in capture.get().splitlines()]


POLICY: Final = {
    "sender": f"{SWEEP}:Gluebrake-Sweep",
    "via": "schedule of policy runaway 3f2a9c1d2b3c, due 2026-11-24T12:00:00+00:00",
    "requested_by": "policy/runaway",
    "reason": "older than 12 hours",
}
ALARM: Final = {
    "sender": "AIDAITJCEXAMPLE",
    "via": "event 7bf73129-1428-4cd3-a780-95db273d1602 of aws.cloudwatch in account 123456789012",
    "requested_by": "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:glue-nightly-slow",
    "reason": "alarm glue-nightly-slow: Threshold Crossed: 1 datapoint [7261.0 (24/11/26 11:55:00)] was greater"
    " than the threshold (7200.0).",
}
COST: Final = {
    Measure.TIME_TO_STOP: 18.2,
    Measure.DPU_HOURS_CONSUMED: 3.2,
    Measure.ESTIMATED_COST_USD: 1.408,
    Measure.FURTHER_COST_USD_AT_MOST: 52.8,
}
LINES: Final = [
    _line(0, Outcome.RETRYING, **POLICY),
    _line(1, Outcome.STOP_SUBMITTED, **POLICY),
    *(_line(2 + poll, Outcome.NOT_YET_CONFIRMED, **POLICY) for poll in range(6)),
    _line(30, Outcome.STOP_TIMED_OUT, **POLICY),
    _line(60, Outcome.STOP_SUBMITTED, **ALARM),
    _line(61, Outcome.STOPPED, **ALARM, measures=COST),
    _line(70, Outcome.FAILED, job_run_id="jr_2", error_message="no permission"),
]


@pytest.mark.parametrize("width", [80, 120])
def test_who_stopped_my_job_is_one_screen(width: int) -> None:
    """Who, why, how it ended and how much fit a terminal of 30 lines, and the run id is in one piece."""
    shown = _screen(Search(since=WEEK, run=RUN), LINES[:-1], width)
    assert len(shown) <= 30
    assert max(map(len, shown)) <= width
    assert RUN in shown
    text = " ".join(" ".join(shown).split())
    assert f"claims {ALARM['requested_by']} (RequestedBy, which is not verified)" in text
    assert "used 3.2 DPU-hours, about $1.41 (an estimate)" in text
    assert text.count("policy runaway (SWEEP sent it): older than 12 hours") == 1


@pytest.mark.parametrize("width", [80, 120])
def test_list_folds_no_run_id(width: int) -> None:
    """On a narrow terminal a run id has a line of its own. Each run has its outcome."""
    shown = _screen(Search(since=WEEK), LINES, width)
    assert RUN in shown
    assert any(line.split()[2:4] == ["Stopped", "etl"] for line in shown if line.startswith("  20"))
    assert shown[-1] == "Logs Insights scanned 12 MB, 34,021 records. It bills by scanned data."
    assert "UTC, and keeps lines for 7 days or for 90 days." in " ".join(shown)


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (2.5e12, "2,500 GB")]
)
def test_scanned_size(size: float, text: str) -> None:
    """The size is in the unit that needs the fewest digits."""
    result = QueryResult(messages=(), bytes_scanned=int(size), records_scanned=1)
    report = HistoryReport(
        search=Search(since=WEEK),
        now=NOON,
        found=(),
        result=result,
        log_groups=(),
        unknown={"log groups": "no"},
        sweep_sender_ids=frozenset(),
    )
    console = Console(width=300)
    with console.capture() as capture:
        console.print(history_tables.screen(report, 20))
    assert f"scanned {text}, 1 record." in capture.get()
