"""Each kind of problem fires an alarm, and the runbook of this alarm names the kind."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import pytest

from gluebrake.contract import NAMESPACE
from gluebrake.metrics import Count
from gluebrake.outcomes import OUTCOMES, Outcome
from gluebrake.problems import ALL_FUNCTIONS, KINDS, PROBLEM_OF, Problem
from gluebrake.telemetry import Telemetry
from gluebrake_cli.reasons import OTHER, explanation
from infra.problem_kinds import WITHOUT_DEAD_LETTERS
from infra.runbook import KINDS_HEADING, RUNBOOK
from local.emulator import ROOT
from tests.docs.document import Document, text_of
from tests.infra.emitted import simulate_all_outcomes
from tests.infra.template import Template
from tests.support.builders import message_result

# The alarms of version 0.1 and of its first guardrail policies, and what each of them counted.
FORMER: Final[Mapping[str, tuple[Outcome | Count, ...]]] = {
    "RunsFailed": (Outcome.FAILED,),
    "StopTimedOut": (Outcome.STOP_TIMED_OUT, Outcome.UNCONFIRMED),
    "PolicyOverCap": (Count.POLICY_OVER_CAP,),
    "RequestsRefused": (
        Outcome.INVALID_REQUEST,
        Outcome.TOO_MANY_RUNS,
        Outcome.NOT_ALLOWED,
        Outcome.NOT_FOUND,
    ),
    "UnexpectedErrors": (Count.UNEXPECTED_ERRORS,),
    "OutcomeEventsLost": (Count.OUTCOME_EVENTS_LOST,),
    "NoticesLost": (Count.NOTICES_LOST,),
    "SweepIncomplete": (Count.SWEEP_INCOMPLETE,),
    "SweepsLate": (Outcome.SWEEP_LATE,),
}
# These have kept their names, and watch metrics of AWS's services or the absence of data.
KEPT: Final = {
    *("StopQueueStalls", "ConfirmQueueStalls", "DeadLettersArrive", "DeadLettersWait", "DeliveriesLost"),
    *("RecursionDropped", "FunctionErrors", "FunctionThrottles"),
    *("CanarySilent", "SweepsMissing", "SweepRequestsLost"),
}


def _emitted(text: str) -> dict[tuple[str, str], float]:
    """Return the sum of each metric in the embedded format, by its service and name."""
    sums: dict[tuple[str, str], float] = {}
    for line in (json.loads(line) for line in text.splitlines()):
        for directive in line.get("_aws", {}).get("CloudWatchMetrics", ()):
            assert (directive["Namespace"], directive["Dimensions"]) == (NAMESPACE, [["service"]])
            for metric in directive["Metrics"]:
                key = (line["service"], metric["Name"])
                sums[key] = sums.get(key, 0) + sum(line[metric["Name"]])
    return sums


def _record(kind: Outcome | Count) -> None:
    """Record one problem of a kind as a function without detailed metrics does."""
    telemetry = Telemetry("probe", detailed=False)
    if isinstance(kind, Outcome):
        telemetry.record_results([], [message_result(kind)], {}, frozenset())
        telemetry.flush({})
    else:
        telemetry.flush({kind: 1})


def _fires(alarm: Mapping[str, Any], emitted: Mapping[tuple[str, str], float]) -> bool:
    """Return whether an alarm fires on what a function has emitted within one period."""
    assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    assert (alarm["Statistic"], alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"]) == ("Sum", 1, 1)
    (dimension,) = alarm["Dimensions"]
    return emitted.get((dimension["Value"], alarm["MetricName"]), 0) >= float(alarm["Threshold"])


@pytest.mark.parametrize(
    ("former", "kind"), [(former, kind) for former, kinds in FORMER.items() for kind in kinds]
)
def test_what_fired_a_former_alarm_fires_the_alarm_of_its_problem(
    sweeping: Template, capsys: pytest.CaptureFixture[str], former: str, kind: Outcome | Count
) -> None:
    """One occurrence in one function is enough, and fires no other alarm. The description has the kind."""
    _record(kind)
    emitted = _emitted(capsys.readouterr().out)
    alarms = {
        problem: sweeping.only("AWS::CloudWatch::Alarm", f"Observability{problem}") for problem in Problem
    }
    assert [problem for problem, alarm in alarms.items() if _fires(alarm, emitted)] == [PROBLEM_OF[kind]], (
        former
    )
    assert {alarm["TreatMissingData"] for alarm in alarms.values()} == {"notBreaching"}
    assert f"`{kind}`" in alarms[PROBLEM_OF[kind]]["AlarmDescription"]


def test_each_former_alarm_is_kept_or_counted() -> None:
    """Each alarm of today has its former name or is about a problem, and each kind had an alarm before."""
    assert KEPT | set(Problem) == set(RUNBOOK)
    assert [kind for kinds in KINDS.values() for kind in kinds] == list(PROBLEM_OF)
    assert {kind for kinds in FORMER.values() for kind in kinds} == set(PROBLEM_OF)


def test_each_failure_is_a_problem() -> None:
    """An outcome that leads to a dead letter is counted by an alarm."""
    assert {outcome for outcome in OUTCOMES if outcome.is_failure} <= set(PROBLEM_OF)


@pytest.mark.parametrize("detailed", [False, True])
def test_a_function_without_problems_emits_none(capsys: pytest.CaptureFixture[str], *, detailed: bool) -> None:
    """A metric costs money in each hour in which it has a value. An outcome that occurred is emitted."""
    telemetry = Telemetry("probe", detailed=detailed)
    telemetry.record_results([], [message_result(Outcome.IGNORED)], {Count.DUPLICATE_RUNS: 0}, frozenset())
    telemetry.record_lost_events({})
    telemetry.record_lost_notice("")
    telemetry.flush({Count.STATE_READS: 0, Count.STOP_CALLS: 0})
    assert _emitted(capsys.readouterr().out) == {("probe", "Ignored"): 1}


def test_a_completed_sweep_is_emitted_without_details(capsys: pytest.CaptureFixture[str]) -> None:
    """The alarm `SweepsMissing` fires without it."""
    Telemetry("probe", detailed=False).flush({Count.SWEEPS_COMPLETED: 1, Count.RUNS_MATCHED: 4})
    assert _emitted(capsys.readouterr().out) == {("probe", "SweepsCompleted"): 1}


def test_each_kind_has_a_log_line_with_its_name() -> None:
    """The message of a line of level WARNING or ERROR is the kind. No other line has these levels."""
    lines = simulate_all_outcomes(sweeps=True).lines
    assert {line["message"] for line in lines if line["level"] in {"WARNING", "ERROR"}} == set(PROBLEM_OF)
    assert ALL_FUNCTIONS not in {line["service"] for line in lines}


def test_the_documents_have_each_kind_once() -> None:
    """Under the heading that the descriptions of alarms name, each kind has its alarm and an action."""
    page = Document(ROOT / "docs" / "operations.md")
    rows = [[text_of(cell) for cell in row] for row in page.rows(KINDS_HEADING)]
    assert [(kind, problem) for kind, problem, _ in rows] == list(PROBLEM_OF.items())
    without_advice = {kind for kind in PROBLEM_OF if explanation(kind) is OTHER}
    assert set(WITHOUT_DEAD_LETTERS) == without_advice
    for problem in Problem:
        assert f'"{KINDS_HEADING}" of docs/operations.md' in RUNBOOK[problem].action
        assert all(f"`{kind}`" in RUNBOOK[problem].watches for kind in KINDS[problem])
