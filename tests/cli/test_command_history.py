"""`gluebrake history` shows who stopped a run, why, how it ended, and about how much it cost."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from gluebrake.metrics import Measure
from gluebrake.outcomes import Outcome
from gluebrake_cli import insights
from gluebrake_cli.stack import Deployment
from tests.cli.command_line import PLACE, invoke, run, run_json
from tests.cli.history_aws import COST, SWEEP, HistoryAws
from tests.support.builders import SENDER_ID, message_result
from tests.support.fakes.aws_server import ACCOUNT, REGION

RUN: Final = f"jr_{'0123456789abcdef' * 4}"
OTHER: Final = f"jr_{'f' * 64}"
VIA: Final = "schedule of policy runaway 3f2a9c1d2b3c, due 2026-11-24T12:00:00+00:00"
POLICY: Final[Mapping[str, Any]] = {
    "sender": SWEEP,
    "via": VIA,
    "requested_by": "policy/runaway",
    "reason": "older than 12 hours",
}
"""A request of a guardrail policy, which SWEEP sends."""

PERSON: Final[Mapping[str, Any]] = {
    "sender": "AROAOPERATOR:alice",
    "requested_by": "arn:aws:sts::123456789012:assumed-role/Operator/alice",
    "reason": "incident 4711",
}
MINUTE: Final = timedelta(minutes=1)


@pytest.fixture
def logs() -> HistoryAws:
    """Return logs without a line."""
    return HistoryAws()


@pytest.fixture
def deployed(logs: HistoryAws, deployment: Deployment) -> Deployment:
    """Return the deployment with these logs."""
    return logs.connect(deployment)


def _lines(deployed: Deployment, *arguments: str) -> list[str]:
    return [line.rstrip() for line in run(deployed, "history", *arguments).stdout.splitlines()]


def _fields(lines: list[str]) -> dict[str, str]:
    """Return the fields of the screen about one run, by their names."""
    pairs = (line.split("  ", 1) for line in lines if "  " in line)
    return {name: text.strip() for name, text in pairs}


def test_run_that_a_policy_stopped(logs: HistoryAws, deployed: Deployment) -> None:
    """The screen names the policy as a fact, the sender, the reason, the usage, and the further cost."""
    logs.record(Outcome.STOP_SUBMITTED, RUN, ago=2 * MINUTE, **POLICY)
    logs.record(Outcome.STOPPED, RUN, ago=MINUTE, measures=COST, **POLICY)
    lines = _lines(deployed, "--run", RUN)
    assert lines[:3] == [f"Gluebrake {PLACE}", "etl", RUN]
    head, steps = lines[3 : lines.index("")], lines[lines.index("") + 1 :]
    assert _fields(head) | {"time": ""} == {
        "outcome": "Stopped: The run is STOPPED.",
        "time": "",
        "policy": "runaway (a fact: the role of SWEEP sent the request)",
        "sender": f"{SWEEP} (a fact: SQS reports it)",
        "via": f"{VIA} (a fact: SWEEP wrote it)",
        "reason": "older than 12 hours",
        "used": "3.2 DPU-hours, about $1.41 (an estimate)",
        "further": "at most $52.80 more, had it run to its Timeout (an estimate)",
        "stopped in": "18 s, from the submission of the stop",
    }
    assert [line.split()[2:] for line in steps[:3]] == [
        ["outcome", "lines", "requested", "by;", "error"],
        ["StopSubmitted", "1", "as", "above"],
        ["Stopped", "1"],
    ]


def test_run_that_a_person_stopped(logs: HistoryAws, deployed: Deployment) -> None:
    """The sender is a fact, RequestedBy is a claim. Without a second outcome there are no steps."""
    logs.record(Outcome.STOPPED, RUN, measures=COST, **PERSON)
    lines = _lines(deployed, "--run", RUN)
    fields = _fields(lines)
    assert fields["sender"] == "AROAOPERATOR:alice (a fact: SQS reports it)"
    assert fields["claims"] == f"{PERSON['requested_by']} (RequestedBy, which is not verified)"
    assert fields["reason"] == "incident 4711"
    assert fields.keys().isdisjoint({"policy", "via", "time (UTC)"})


@pytest.mark.parametrize(
    "changed",
    [
        {"sender": "AROAOTHER:Gluebrake-Sweep"},
        {"sender": "AROASWEEPER:Gluebrake-Sweep"},
        {"via": ""},
        {"via": "event schedule of policy runaway 3f, due now"},
        {"requested_by": "policy/other"},
        {"requested_by": ""},
    ],
)
def test_policy_of_another_sender_is_a_claim(
    logs: HistoryAws, deployed: Deployment, changed: dict[str, str]
) -> None:
    """Unless SWEEP's role sent the request and says which policy it is of, no policy is shown as a fact."""
    logs.record(Outcome.STOPPED, RUN, **{**POLICY, **changed})
    fields = _fields(_lines(deployed, "--run", RUN))
    assert "policy" not in fields
    assert "a fact" not in fields.get("via", "")
    (shown,) = run_json(deployed, "history", "--run", RUN)["runs"]
    assert list(shown["facts"]) == ["sender"]
    assert shown["claims"].get("requested_by", "") == changed.get("requested_by", "policy/runaway")


def test_retried_and_redriven_run_shows_each_outcome(logs: HistoryAws, deployed: Deployment) -> None:
    """The outcomes are in the order of time, each with who and why. The repeats are folded and counted."""
    logs.record(Outcome.RETRYING, RUN, ago=60 * MINUTE, **POLICY)
    logs.record(Outcome.STOP_SUBMITTED, RUN, ago=59 * MINUTE, attempt=1, will_redeliver=True, **POLICY)
    logs.record(Outcome.STOP_SUBMITTED, RUN, ago=58 * MINUTE, attempt=1, **POLICY)
    for poll in range(7):
        logs.record(Outcome.NOT_YET_CONFIRMED, RUN, ago=(50 - poll) * MINUTE, attempt=poll, **POLICY)
    logs.record(Outcome.STOP_TIMED_OUT, RUN, ago=30 * MINUTE, attempt=7, error="STOPPING", **POLICY)
    logs.record(Outcome.STOP_SUBMITTED, RUN, ago=20 * MINUTE, **PERSON)
    logs.record(Outcome.STOPPED, RUN, ago=10 * MINUTE, measures=COST, **PERSON)
    lines = _lines(deployed, "--run", RUN)
    steps = [line.split(maxsplit=4)[2:] for line in lines[lines.index("") + 2 :] if line.startswith("20")]
    assert steps == [
        ["Retrying", "1", "policy runaway (SWEEP sent it): older than 12 hours"],
        ["StopSubmitted", "2"],
        ["NotYetConfirmed", "7"],
        ["StopTimedOut", "1", "STOPPING"],
        ["StopSubmitted", "1", "as above"],
        ["Stopped", "1"],
    ]
    assert (
        "Of these lines: retries 1, polls 7, redelivered by SQS 1, redrives or new requests after a failure 1."
        in lines
    )
    assert _fields(lines)["sender"].startswith("AROAOPERATOR:alice")


def test_run_that_could_not_be_stopped(logs: HistoryAws, deployed: Deployment) -> None:
    """The screen has the meaning of the outcome, the error, and what the active run used at most."""
    at_most = {Measure.DPU_HOURS_AT_MOST: 12.0, Measure.ESTIMATED_COST_USD_AT_MOST: 5.28}
    logs.record(Outcome.FAILED, RUN, error="no permission", measures=at_most, **PERSON)
    fields = _fields(_lines(deployed, "--run", RUN))
    assert fields["outcome"].startswith("Failed: The run could not be stopped")
    assert fields["error"] == "no permission"
    assert fields["used"] == "at most 12 DPU-hours and about $5.28 (an estimate)"


def test_list_of_stops(logs: HistoryAws, deployed: Deployment) -> None:
    """Each run is one line, the newest first: how it ended, usage, who and why. A sum and the search follow."""
    logs.record(Outcome.STOPPED, RUN, ago=9 * MINUTE, measures=COST, **POLICY)
    logs.record(Outcome.FAILED, OTHER, ago=5 * MINUTE, error="no", **PERSON)
    logs.record_message(message_result(Outcome.NO_ACTIVE_RUNS, dry_run=True), ago=MINUTE)
    logs.record(Outcome.STOPPED, "jr_unknown", job_name="adhoc", sender="AIDA", reason="", requested_by="")
    lines = _lines(deployed)
    words = [" ".join(line.split()) for line in lines]
    assert words[0] == f"Gluebrake {PLACE}"
    assert words[1] == "run time (UTC) outcome job used (an estimate)"
    assert [line.split(maxsplit=3)[3] for line in words[2:6]] == [
        "Stopped adhoc sender AIDA",
        f"NoActiveRuns (dry run) etl sender {SENDER_ID}",
        f"Failed etl {_claimed(PERSON)}",
        "Stopped etl 3.2 DPU-hours, about $1.41 policy runaway (SWEEP sent it): older than 12 hours",
    ]
    assert [line.split()[0] for line in words[2:6]] == ["jr_unknown", "(none)", OTHER, RUN]
    assert words[7] == (
        "2 stopped runs: 3.2 DPU-hours, about $1.41 in sum (an estimate); DPU-hours of 1 run are not known;"
        " dollars of 1 run are not known."
    )
    assert lines[8].startswith("Searched: all stops, since 20")
    assert "The log goes back to 2026-01-02 03:04 UTC, and keeps lines for ever." in lines


def _claimed(request: Mapping[str, Any]) -> str:
    return f"{request['requested_by']} (a claim; sender {request['sender']}): {request['reason']}"


def test_json_has_the_documented_members(logs: HistoryAws, deployed: Deployment) -> None:
    """Scripts depend on these names. Facts and claims are apart."""
    logs.record(Outcome.STOP_SUBMITTED, RUN, ago=2 * MINUTE, will_redeliver=True, **POLICY)
    logs.record(Outcome.STOPPED, RUN, measures=COST, **POLICY)
    shown = run_json(deployed, "history", "--job", "etl", "--limit", "5")
    assert list(shown) == [
        *("account", "region", "stack", "search", "runs", "found", "stopped"),
        *("scanned", "log_groups", "goes_back_to", "unknown", "wrong"),
    ]
    assert (shown["account"], shown["region"]) == (ACCOUNT, REGION)
    (found,) = shown["runs"]
    assert list(found) == [
        *("job_name", "job_run_id", "timestamp", "outcome", "dry_run", "state", "error_code"),
        *("error_message", "attempt", "facts", "claims", "reason", "measures", "steps", "repeats"),
    ]
    assert (found["outcome"], found["state"], found["reason"]) == ("Stopped", "STOPPED", "older than 12 hours")
    assert found["facts"] == {
        "sender": SWEEP,
        "policy": "runaway",
        "via": VIA,
        "requested_by": "policy/runaway",
    }
    assert found["claims"] == {}
    assert found["measures"] == {measure.value: value for measure, value in COST.items()}
    assert [(step["outcome"], step["lines"], step["redelivered"]) for step in found["steps"]] == [
        ("StopSubmitted", 1, 1),
        ("Stopped", 1, 0),
    ]
    assert found["repeats"] == {
        "redeliveries": 1,
        "retries": 0,
        "polls": 0,
        "requests_after_failure": 0,
    }
    assert shown["stopped"] == {
        "runs": 1,
        "measures": {"DpuHoursConsumed": 3.2, "EstimatedCostUsd": 1.408},
        "unknown": {},
    }
    assert shown["search"] | {"since": ""} == {"since": "", "job": "etl"}
    assert shown["scanned"]["records"] == 2
    assert shown["scanned"]["bytes"] > 500


def test_further_cost_is_never_summed(logs: HistoryAws, deployed: Deployment) -> None:
    """The sum has what the stopped runs used, each run once, and no further cost and no run that failed."""
    for run_id in (RUN, OTHER):
        for _ in range(2):
            logs.record(Outcome.STOPPED, run_id, measures=COST)
    logs.record(Outcome.FINISHED_BEFORE_STOP, "jr_3", measures={Measure.DPU_HOURS_CONSUMED: 100.0})
    assert run_json(deployed, "history")["stopped"]["measures"] == {
        "DpuHoursConsumed": 6.4,
        "EstimatedCostUsd": 2.816,
    }


def test_limit_counts_runs_and_the_sum_counts_all(logs: HistoryAws, deployed: Deployment) -> None:
    """Of three runs, --limit 1 shows the newest, says how many are hidden, and sums all."""
    for number in range(3):
        logs.record(Outcome.STOPPED, f"jr_{number}", ago=number * MINUTE, measures=COST)
    lines = _lines(deployed, "--limit", "1")
    assert [line.split()[0] for line in lines[2:3]] == ["jr_0"]
    assert "2 more found and not shown: give --limit 3." in lines
    assert any(line.startswith("3 stopped runs: 9.6 DPU-hours, about $4.22 in sum") for line in lines)


@pytest.mark.parametrize(
    ("option", "found"),
    [
        (("--job", "etl"), {"jr_etl"}),
        (("--job", "etl*"), {"jr_etl", "jr_etl_2"}),
        (("--run", "jr_etl"), {"jr_etl", "jr_etl_attempt_1"}),
        (("--run", "jr_etl_attempt_1"), {"jr_etl_attempt_1"}),
        (("--requested-by", "alice"), {"jr_etl"}),
        (("--requested-by", "*al*"), {"jr_etl", "jr_mallory"}),
        (("--policy", "runaway"), {"jr_etl_2"}),
        (("--policy", "run"), set()),
        (("--since", "90m"), {"jr_etl", "jr_etl_2", "jr_mallory", "jr_etl_attempt_1"}),
        (("--since", "30d"), {"jr_etl", "jr_etl_2", "jr_mallory", "jr_etl_attempt_1", "jr_old"}),
        (("--job", "etl", "--policy", "runaway"), set()),
    ],
)
def test_options_narrow_the_search(
    logs: HistoryAws, deployed: Deployment, option: tuple[str, ...], found: set[str]
) -> None:
    """All options must hold. A run's search includes Glue's retries of it, and no run with a similar id."""
    logs.record(Outcome.STOPPED, "jr_etl", requested_by="alice")
    logs.record(Outcome.STOPPED, "jr_etl_2", job_name="etl-2", requested_by="policy/runaway")
    logs.record(Outcome.STOPPED, "jr_etl_attempt_1", job_name="x", requested_by="bob")
    logs.record(Outcome.STOPPED, "jr_mallory", job_name="other", requested_by="mallory")
    logs.record(Outcome.STOPPED, "jr_old", job_name="old", requested_by="bob", ago=timedelta(days=20))
    shown = run_json(deployed, "history", *option)
    assert {each["job_run_id"] for each in shown["runs"]} == found


def test_nothing_found(logs: HistoryAws, deployed: Deployment) -> None:
    """The command says what was searched and how far back the log goes. That is no error."""
    logs.created = datetime.now(UTC) - timedelta(days=400)
    logs.retention_days = 90
    lines = _lines(deployed, "--run", "jr_none", "--since", "2026-01-01T00:00:00Z")
    oldest = datetime.now(UTC) - timedelta(days=90)
    assert lines[1] == "Nothing found: run jr_none, since 2026-01-01 00:00 UTC."
    assert lines[2] in {
        f"The log goes back to {moment:%Y-%m-%d %H:%M} UTC, and keeps lines for 90 days."
        for moment in (oldest, oldest - MINUTE)
    }
    assert lines[3] == "Logs Insights scanned 0 bytes, 0 records. It bills by scanned data."


def test_messages_that_request_no_stop_are_left_out(logs: HistoryAws, deployed: Deployment) -> None:
    """The history has no line about a message that cannot be read. Polls are in the history of one run only."""
    logs.record_message(message_result())
    logs.record(Outcome.NOT_YET_CONFIRMED)
    assert run_json(deployed, "history")["found"] == 0
    assert run_json(deployed, "history", "--run", "jr_1")["found"] == 1


def test_one_query_of_two_log_groups(logs: HistoryAws, deployed: Deployment) -> None:
    """STOP's and CONFIRM's logs are searched by one query, from --since to now, for at most 10,000 lines."""
    before = int(time.time())
    run(deployed, "history", "--since", "2h")
    (query,) = logs.queries
    assert query["logGroupNames"] == ["/stop", "/confirm"]
    assert query["limit"] == 10_000
    assert before <= query["endTime"] <= time.time() + 1
    assert 7199 <= query["endTime"] - query["startTime"] <= 7202


def test_full_query_is_incomplete(
    logs: HistoryAws, deployed: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the query returns as many lines as it can, the command warns that older ones are missing."""
    monkeypatch.setattr(insights, "MOST_LINES", 3)
    for number in range(4):
        logs.record(Outcome.STOPPED, f"jr_{number}", ago=number * MINUTE)
    shown = run_json(deployed, "history", code=1)
    assert [each["job_run_id"] for each in shown["runs"]] == ["jr_0", "jr_1", "jr_2"]
    assert "the query returned 3 log lines, which is the most" in shown["wrong"][0]
    assert "! the query returned 3 log lines" in run(deployed, "history", code=1).stdout


def test_all_pages_are_read(logs: HistoryAws, deployed: Deployment) -> None:
    """Results that come in several answers are all read."""
    logs.page = 2
    for number in range(5):
        logs.record(Outcome.STOPPED, f"jr_{number}")
    assert run_json(deployed, "history")["found"] == 5


def test_query_that_takes_a_while(logs: HistoryAws, deployed: Deployment) -> None:
    """The command polls until the query is complete, and does not stop it."""
    logs.statuses = ["Scheduled", "Running"]
    logs.record(Outcome.STOPPED)
    assert run_json(deployed, "history")["found"] == 1
    assert logs.stopped == []


@pytest.mark.parametrize(
    ("statuses", "text"),
    [
        (["Running"] * 9, "the query did not complete within 0 seconds and was stopped"),
        (["Failed"], "Logs Insights ended the query with the status Failed"),
    ],
)
def test_query_that_does_not_complete_is_stopped(
    logs: HistoryAws, deployed: Deployment, statuses: list[str], text: str
) -> None:
    """At the time limit, or when it fails, the query is stopped, and the error says so."""
    logs.statuses = statuses
    failed = invoke(deployed, "history", "--timeout", "0")
    assert text in str(failed.exception)
    assert logs.stopped == ["query-1"]


def test_interrupted_query_is_stopped(
    logs: HistoryAws, deployed: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After Ctrl-C no query is left that runs, and costs, without anything that reads its result."""

    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gluebrake_cli.insights.time.sleep", interrupt)
    logs.statuses = ["Running"]
    assert invoke(deployed, "history").exit_code == 130
    assert logs.stopped == ["query-1"]


def test_error_of_the_stop_does_not_hide_the_reason(logs: HistoryAws, deployed: Deployment) -> None:
    """If the query cannot be stopped, the error is still that it did not complete."""
    logs.statuses, logs.refused["StopQuery"] = ["Failed"], "AccessDeniedException"
    assert "status Failed" in str(invoke(deployed, "history").exception)


def test_age_of_the_log_that_cannot_be_read(logs: HistoryAws, deployed: Deployment) -> None:
    """Without the permission for it, the history is shown, with the reason why the log's age is not known."""
    logs.refused["DescribeLogGroups"] = "AccessDeniedException"
    logs.record(Outcome.STOPPED, RUN)
    text = "How far back the log goes is not known: you lack the permission logs:DescribeLogGroups"
    assert any(line.startswith(text) for line in _lines(deployed))
    assert list(run_json(deployed, "history")["unknown"]) == ["log groups"]


def test_stack_without_sweep(logs: HistoryAws, deployed: Deployment) -> None:
    """A stack without policies has no sender ids of SWEEP, so that no policy is a fact."""
    del logs.settings["sweep_sender_ids"]
    logs.record(Outcome.STOPPED, RUN, **POLICY)
    (shown,) = run_json(deployed, "history")["runs"]
    assert shown["claims"] == {"via": VIA, "requested_by": "policy/runaway"}


HOSTILE: Final = (
    '"',
    "'",
    "/",
    "\\",
    "\\/",
    "a/ | stats count(*)",
    'x" or 1=1 | fields @message',
    "a\nb\r\n| limit 1",
    "\x1b[2J",
    "(.*)[",
    "é\N{SNOWMAN}\U0001f600",
    "` # comment",
    "%s{0}",
)


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize(
    ("option", "field"), [("--job", "job_name"), ("--requested-by", "requested_by"), ("--run", "run_id")]
)
def test_no_text_adds_to_the_query(
    logs: HistoryAws, deployed: Deployment, option: str, field: str, text: str
) -> None:
    """A value with quotes, slashes or newlines finds exactly its own line, by a query of the same form."""
    values: dict[str, Any] = {"run_id": "jr_hostile"}
    logs.record(Outcome.STOPPED, **{**values, field: text})
    logs.record(Outcome.STOPPED, "jr_2", job_name="other", requested_by="other")
    (found,) = run_json(deployed, "history", f"{option}={text}")["runs"]
    assert text in {found["job_name"], found["job_run_id"], found["claims"]["requested_by"]}
    (query,) = logs.queries
    assert query["queryString"].count("\n") == 3


def test_texts_of_the_log_cannot_command_the_terminal(logs: HistoryAws, deployed: Deployment) -> None:
    """Control characters in a job's name, a reason or a claim are replaced, on both screens."""
    hostile = "\x1b[2Jx"
    logs.record(Outcome.STOPPED, RUN, job_name=hostile, reason=hostile, requested_by=hostile, sender=hostile)
    for arguments in ((), ("--run", RUN)):
        shown = run(deployed, "history", *arguments).stdout
        assert "\x1b" not in shown
        assert "\N{REPLACEMENT CHARACTER}[2Jx" in shown


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("soon", "must be a duration such as 90m, 2h or 7d, or a time"),
        ("2026-11-24T03:00:00", "add the time zone"),
        ("2999-01-01T00:00:00Z", "is in the future"),
    ],
)
def test_since_that_is_no_time(deployed: Deployment, text: str, mistake: str) -> None:
    """A wrong --since is refused before any call, with what is allowed."""
    refused = invoke(deployed, "history", "--since", text)
    assert refused.exit_code == 2
    assert mistake in " ".join(refused.stderr.replace("│", " ").split())


@pytest.mark.parametrize("option", ["--run", "--job", "--requested-by", "--policy"])
def test_empty_filter_is_refused(deployed: Deployment, option: str) -> None:
    """A variable that is not set must not show the history of all runs."""
    refused = invoke(deployed, "history", option, "")
    assert refused.exit_code == 2
    assert f"{option} is empty" in refused.stderr
