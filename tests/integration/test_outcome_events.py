"""Outcome events through both functions: told once, late or never, but in nobody's way."""

from __future__ import annotations

from collections import Counter

import pytest

from gluebrake.model import Measure
from tests.support.fakes.exchange import Json
from tests.support.fakes.faults import EntriesFailed, Fault, LostAnswer, Refused, Reset, Throttle
from tests.support.simulated_aws import STOP, Context, Delivery, World


def test_each_run_is_told_of_once_at_its_end(world: World) -> None:
    """From the request to the confirmation there is one event for each run, and it says who asked and why."""
    for run_id in ("jr_1", "jr_2"):
        world.aws.glue.add_run("etl", run_id)
    world.aws.glue.add_run("etl", "done", state="SUCCEEDED")
    world.ask("etl", "jr_1", "jr_2", "done", "unknown", Reason="over budget", RequestedBy="guardrail")
    world.run()
    assert _told(world) == {
        ("etl", "jr_1", "Stopped"): 1,
        ("etl", "jr_2", "Stopped"): 1,
        ("etl", "done", "AlreadyFinished"): 1,
        ("etl", "unknown", "NotFound"): 1,
    }
    assert {(one["reason"], one["requestedBy"], one["sender"]) for one in world.aws.events.details} == {
        ("over budget", "guardrail", "AROAEXAMPLE:producer")
    }
    assert world.counts["OutcomeEventsLost"] == 0


def test_event_of_a_stop_says_what_the_log_says(world: World) -> None:
    """The times and measures in the event are those of the log line."""
    world.aws.glue.add_run("etl", "jr", stopping_seconds=7)
    world.ask("etl", "jr")
    world.run()
    (told,) = world.aws.events.details
    (line,) = [
        line for invocation in world.invocations for line in invocation.outcomes if line["outcome"] == "Stopped"
    ]
    assert told["timeToStopSeconds"] == line[Measure.TIME_TO_STOP] == 7
    assert told["state"] == line["state"] == "STOPPED"
    assert told["submittedAt"] < told["settledAt"]


def test_switched_off_nothing_is_published() -> None:
    """Without a bus everything else is as it was."""
    with World(outcome_events=False) as silent:
        silent.aws.glue.add_run("etl", "jr")
        silent.ask("etl", "jr")
        silent.run()
        assert silent.history("etl", "jr") == ["StopSubmitted", "Stopped"]
        assert silent.aws.requests("PutEvents") == []


@pytest.mark.parametrize("fault", [Throttle(), Refused("InternalException", status=500), Reset(), LostAnswer()])
def test_event_that_fails_repeats_nothing(world: World, fault: Fault) -> None:
    """The message is done, nothing is stopped, sent or published again, and what was lost is counted."""
    world.aws.faults.add(fault, operation="PutEvents")
    world.ask("etl", "unknown")
    world.ask("", "jr")
    world.run()
    assert world.history("etl", "unknown") == ["Retrying", "NotFound"]
    assert [invocation.failures for invocation in world.invocations] == [[]] * len(world.invocations)
    assert len(world.aws.requests("PutEvents")) == world.counts["OutcomeEventsLost"] == 1
    (line,) = [line for i in world.invocations for line in i.lines if line["message"] == "OutcomeEventsLost"]
    assert (line["level"], line["events"]) == ("WARNING", 1)


def test_what_comes_back_is_told_when_it_is_done(world: World) -> None:
    """A failure whose dead letter could not be sent is no outcome until it could."""
    world.aws.faults.add(Refused("AccessDeniedException"), operation="BatchStopJobRun")
    world.aws.faults.add(Refused("AccessDeniedException"), operation="GetTags")
    world.aws.faults.add(EntriesFailed(), times=1)
    world.ask("etl", "jr")
    world.deliver_due(STOP)
    assert world.aws.events.published == []
    world.run()
    assert _told(world) == {("etl", "jr", "Failed"): 1}


def test_no_event_is_published_when_the_time_is_short() -> None:
    """Close to its deadline the function closes in time, and counts what it did not tell."""
    with World(protected_jobs=["etl"], context=Context(lambda: 1.2)) as world:
        world.ask("etl", "jr")
        invocation = world.deliver_due(STOP)
        assert invocation.called("PutEvents") == []
        assert invocation.counts["OutcomeEventsLost"] == invocation.counts["Protected"] == 1


def test_trusted_messages_are_told_of_before_a_suspect_is_worked_on(world: World) -> None:
    """A suspect that takes the function down does not take the others' events along."""
    for run_id in ("jr_1", "jr_2"):
        world.aws.glue.add_run("etl", run_id, state="SUCCEEDED")
        world.ask("etl", run_id)
    suspect, other = world.stop_queue.take()
    invocation = world.deliver(STOP, [Delivery(suspect, 3), Delivery(other)])
    told = [entry["Detail"] for call in invocation.called("PutEvents") for entry in call["Entries"]]
    assert ["jr_2" in told[0], "jr_1" in told[1]] == [True, True]


def _told(world: World) -> Counter[tuple[str, str, str]]:
    return Counter(map(_news, world.aws.events.details))


def _news(told: Json) -> tuple[str, str, str]:
    return told["jobName"], told["jobRunId"], told["outcome"]
