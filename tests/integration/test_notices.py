"""Each invocation publishes at most one notice, and nothing depends on it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from gluebrake.outcomes import NoticeKind
from tests.support.fakes.exchange import Ending, Reply
from tests.support.fakes.faults import Throttle
from tests.support.simulated_aws import CONFIRM, STOP, Delivery, SimulatedAws

pytestmark = pytest.mark.usefixtures("simulation")


@pytest.fixture
def simulation() -> Iterator[SimulatedAws]:
    """Run a simulated AWS with a notice topic."""
    with SimulatedAws() as simulation:
        yield simulation


def _subjects(simulation: SimulatedAws) -> list[str]:
    return [published.subject.partition(" (")[0] for published in simulation.aws.sns.published]


def _notify_on(simulation: SimulatedAws, *kinds: NoticeKind) -> None:
    for service in (STOP, CONFIRM):
        simulation.dependencies[service] = replace(simulation.dependencies[service], notify_on=frozenset(kinds))


def test_stopped_runs_and_failures_are_noticed_once_an_invocation(simulation: SimulatedAws) -> None:
    """CONFIRM notices what was stopped, and STOP what could not be stopped."""
    for number in range(3):
        simulation.aws.glue.add_run("etl", f"jr_{number}", Timeout=480, ExecutionTime=3600, MaxCapacity=10.0)
    simulation.request_stop("etl", "jr_0", "jr_1", "jr_2")
    simulation.run()
    assert _subjects(simulation) == ["Gluebrake: 3 stopped"]
    simulation.request_stop("etl", "unknown")
    simulation.run()
    assert _subjects(simulation) == ["Gluebrake: 3 stopped", "Gluebrake: 1 not stopped"]
    assert simulation.counts["NoticesLost"] == 0
    description = simulation.aws.sns.published[0].chat["content"]["description"]
    assert "10 DPU-hours, about $4.40 (estimate)" in description
    assert "at most $30.80 more (estimate)" in description


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ("no request", "InvalidRequest"),
        ('{"JobName": "etl", "JobRunIds": ["over"]}', "AlreadyFinished"),
        ('{"JobName": "idle", "Select": {}}', "NoActiveRuns"),
        ('{"JobName": "etl", "JobRunIds": ["active"], "DryRun": true}', "WouldStop"),
        ('{"JobName": "etl", "JobRunIds": ["unknown"], "DryRun": true}', "NotFound"),
    ],
)
def test_other_outcomes_give_no_notice(simulation: SimulatedAws, body: str, outcome: str) -> None:
    """Nothing was stopped, and nothing that was to be stopped is still active."""
    simulation.aws.glue.add_run("etl", "over", state="SUCCEEDED")
    simulation.aws.glue.add_run("etl", "active")
    simulation.aws.glue.add_run("idle", "over", state="SUCCEEDED")
    simulation.put(body)
    simulation.run()
    assert simulation.counts[outcome] == 1
    assert _subjects(simulation) == []


@pytest.mark.parametrize("service", [STOP, CONFIRM])
def test_notice_on_a_queue_leads_to_no_other(simulation: SimulatedAws, service: str) -> None:
    """A notice is understood, raw and in the envelope of SNS, and requests nothing."""
    simulation.request_stop("etl", "unknown")
    simulation.run()
    (published,) = simulation.aws.sns.published
    dead_letters = len(simulation.dead_letter_queue)
    chat = published.forms["default"]
    envelope = {"Type": "Notification", "TopicArn": "arn:aws:sns:eu-west-1:1:x", "Message": chat}
    queue = {STOP: simulation.stop_queue, CONFIRM: simulation.confirm_queue}[service]
    for body in (chat, json.dumps(envelope)):
        queue.put(body)
    simulation.run()
    assert simulation.counts["Ignored"] == 2
    assert len(simulation.aws.sns.published) == 1
    assert len(simulation.dead_letter_queue) == dead_letters


def test_groups_of_an_invocation_share_a_notice(simulation: SimulatedAws) -> None:
    """A poison pill candidate runs by itself, and its outcome is in the same notice."""
    for run_id in ("jr_1", "jr_2"):
        simulation.aws.glue.add_run("etl", run_id, state="STOPPED")
        simulation.put_on_confirm_queue("etl", run_id, submitted_at=simulation.clock())
    candidate, trusted = simulation.confirm_queue.take()
    invocation = simulation.deliver(CONFIRM, [Delivery(candidate, 3), Delivery(trusted)])
    assert len(invocation.called("Publish")) == 1
    assert _subjects(simulation) == ["Gluebrake: 2 stopped"]


def _refuse(_call: Any, _answer: Any) -> Reply:
    return Reply(payload={}, ending=Ending.CLOSED_WITHOUT_REPLY)


@pytest.mark.parametrize("fault", [Throttle(), _refuse], ids=["refused", "unanswered"])
def test_lost_notice_changes_nothing_else(simulation: SimulatedAws, fault: Any) -> None:
    """It is counted and logged. The message is done, and the event is published."""
    simulation.aws.faults.add(fault, operation="Publish")
    simulation.request_stop("etl", "unknown")
    simulation.run()
    assert simulation.counts["NoticesLost"] == 1
    assert simulation.history("etl", "unknown")[-1] == "NotFound"
    assert len(simulation.dead_letter_queue) == 1
    assert [event["outcome"] for event in simulation.aws.events.details] == ["NotFound"]


def test_notice_that_cannot_be_written_changes_nothing_else(
    simulation: SimulatedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even a fault in its own code fails the invocation."""
    monkeypatch.setattr("gluebrake.dispatch.notice_message", lambda *_: 1 / 0)
    simulation.request_stop("etl", "unknown")
    simulation.run()
    assert (simulation.counts["NoticesLost"], simulation.counts["UnexpectedErrors"]) == (1, 0)


def test_kinds_are_configured(simulation: SimulatedAws) -> None:
    """Without `notStopped` a failure is in the dead-letter queue only."""
    _notify_on(simulation, NoticeKind.STOPPED)
    simulation.aws.glue.add_run("etl", "jr")
    simulation.request_stop("etl", "jr", "unknown")
    simulation.run()
    assert _subjects(simulation) == ["Gluebrake: 1 stopped"]


def test_stack_without_a_topic_publishes_nothing() -> None:
    """No client of SNS is made."""
    with SimulatedAws(notices=False) as simulation:
        simulation.request_stop("etl", "unknown")
        simulation.run()
        assert simulation.aws.requests("Publish") == []
        assert simulation.counts["NoticesLost"] == 0
