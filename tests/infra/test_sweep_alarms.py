"""The alarms and the dashboard of a stack with guardrail policies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import pytest

from gluebrake.contract import NAMESPACE
from infra.config import load
from infra.runbook import runbook
from tests.infra.conftest import POLICIES, Synthesise
from tests.infra.template import Template, plain

_CONFIG: Final = load({"gluebrake": {"policies": POLICIES}}.get)
_FUNCTION: Final = "<SweepFunction>"
_ALARM: Final = "AWS::CloudWatch::Alarm"


def _alarm(template: Template, name: str) -> dict[str, Any]:
    return template.only(_ALARM, f"Observability{name}")


def _metrics(alarm: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the names and the first dimensions' values of the metrics that an alarm watches."""
    queries = [query["MetricStat"]["Metric"] for query in alarm.get("Metrics", []) if "MetricStat" in query]
    return [(metric["MetricName"], metric["Dimensions"][0]["Value"]) for metric in queries or [alarm]]


def test_the_alarms_are_those_of_the_runbook(sweeping: Template) -> None:
    """Each entry that needs policies has its alarm, in the runbook's order, with its text as description."""
    names = [name.removeprefix("Observability")[:-8] for name in sweeping.resources(_ALARM)]
    assert names == list(runbook(_CONFIG))
    of_sweep = {"SweepsMissing", "SweepRequestsLost"}
    assert of_sweep < set(names)
    for name in of_sweep:
        entry, alarm = runbook(_CONFIG)[name], _alarm(sweeping, name)
        assert alarm["AlarmDescription"].startswith(f"{entry.meaning} {entry.action} ")
        assert len(alarm["AlarmDescription"]) <= 1024
        assert alarm["AlarmActions"] == alarm["OKActions"] == ["<ObservabilityAlarmTopic>"]


def test_missing_sweeps_fire_an_alarm(sweeping: Template) -> None:
    """Each hour of two periods must be without a sweep. No data is no sweep, except at first."""
    alarm = _alarm(sweeping, "SweepsMissing")
    assert (alarm["Namespace"], _metrics(alarm)) == (NAMESPACE, [("SweepsCompleted", "sweep")])
    assert (alarm["Statistic"], alarm["ComparisonOperator"], alarm["Threshold"]) == (
        "Sum",
        "LessThanThreshold",
        1,
    )
    assert (alarm["Period"], alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"]) == (3600, 2, 2)
    assert alarm["TreatMissingData"] == "breaching"
    assert alarm["WarmUpConfiguration"] == {"WarmUpPeriodDurationInMinutes": 120}


def test_lost_sweep_requests_fire_an_alarm(sweeping: Template) -> None:
    """The alarm counts what the schedules drop and what each topic cannot deliver."""
    assert _metrics(_alarm(sweeping, "SweepRequestsLost")) == [
        ("InvocationDroppedCount", "<SweepTriggersGroup>"),
        ("NumberOfNotificationsFailed", "<SweepTriggersTopicdevbudget.TopicName>"),
        ("NumberOfNotificationsFailed", "<SweepTriggersTopicbell.TopicName>"),
    ]


def test_an_alarm_has_room_for_every_topic(synthesised: Synthesise) -> None:
    """With as many topics as are allowed and a slow rate, no alarm is beyond CloudWatch's limits."""
    topics = [{**POLICIES[-1], "name": f"bell-{number}"} for number in range(9)]
    template = synthesised(
        policies=[{**POLICIES[0], "schedule": "rate(6 days)"}, *topics],
        stopOnRunStatus=["*"],
        stopOnAlarms=["a"],
    )
    for resource in template.resources(_ALARM).values():
        alarm = plain(resource["Properties"])
        assert len(_metrics(alarm)) <= 10
        if "Period" in alarm:
            # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
            window = timedelta(seconds=alarm["Period"] * alarm["EvaluationPeriods"])
            assert window <= (timedelta(days=7) if alarm["Period"] >= 3600 else timedelta(days=1))


@pytest.mark.parametrize("name", ["FunctionErrors", "FunctionThrottles", "RecursionDropped", "DeliveriesLost"])
def test_alarms_about_functions_cover_sweep(sweeping: Template, name: str) -> None:
    """A crash or a throttle of SWEEP fires the same alarm as one of STOP."""
    assert _FUNCTION in [value for _, value in _metrics(_alarm(sweeping, name))]


def test_the_dashboard_shows_sweeps(synthesised: Synthesise) -> None:
    """It has SWEEP's outcomes, what it found, its queue and its function."""
    on, off = (
        json.loads(t.only("AWS::CloudWatch::Dashboard")["DashboardBody"])["widgets"]
        for t in (synthesised(dashboard=True, policies=POLICIES), synthesised(dashboard=True))
    )
    added = {w["properties"].get("title", "") for w in on} - {w["properties"].get("title", "") for w in off}
    assert added == {"Outcomes of SWEEP", "Sweeps", "Runs that policies match"}
    text = json.dumps(on)
    assert "<MessagingSweepQueue.QueueName>" in text
    assert _FUNCTION in text
