"""Bookkeeping attributes of another stage, or of another sender: they change nothing for other messages."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import pytest

from gluebrake.decisions import planning
from gluebrake.model import Message, StopTarget
from tests.support.builders import NOON, message, parsed
from tests.support.fakes.exchange import Json
from tests.support.fakes.faults import Throttle
from tests.support.simulated_aws import STOP, SimulatedAws, stop_request

JUST_BEFORE_DEADLINE: Final = timedelta(seconds=1795)
FUNCTION: Final = "AROAGLUEBRAKE:gluebrake"


class TestStage:
    """A message that is moved from one work queue to the other."""

    def test_polls_do_not_count_as_attempts(self, simulation: SimulatedAws) -> None:
        """A message of the confirm queue is redriven to the stop queue: a throttled call does not fail it."""
        simulation.aws.glue.add_run("etl", "jr", stopping_seconds=None)
        simulation.request_stop("etl", "jr")
        while simulation.step() and simulation.history("etl", "jr").count("NotYetConfirmed") < 7:
            pass
        (polled,) = simulation.confirm_queue
        assert polled.attributes["GluebrakeAttempt"]["StringValue"] == "7"
        simulation.clock.advance(300)
        simulation.confirm_queue.take()
        simulation.stop_queue.put(polled.body, attributes=polled.attributes, sender_id=polled.sender_id)
        simulation.aws.glue.add_run("etl", "jr")
        simulation.aws.faults.add(Throttle(), operation="BatchStopJobRun", times=1)
        simulation.run()
        assert simulation.history("etl", "jr")[-3:] == ["Retrying", "StopSubmitted", "Stopped"]
        assert not simulation.dead_letters()

    def test_attempts_do_not_count_as_polls(self, simulation: SimulatedAws) -> None:
        """A retry of STOP on the confirm queue starts with the first poll, and so with the shortest delay."""
        simulation.aws.glue.add_run("etl", "jr", state="STOPPING", stopping_seconds=20)
        attributes = _attributes(GluebrakeAttempt="6", GluebrakeStage="stop")
        simulation.confirm_queue.put(stop_request("etl", "jr"), attributes=attributes, sender_id=FUNCTION)
        simulation.run()
        assert simulation.history("etl", "jr") == ["NotYetConfirmed", "Stopped"]
        assert (simulation.clock() - simulation.aws.glue.run("etl", "jr").started_on).total_seconds() <= 30

    def test_message_of_an_earlier_version_keeps_its_attempts(self, simulation: SimulatedAws) -> None:
        """Without the stage's attribute the attempts count, so that retries of an earlier version end."""
        simulation.aws.glue.add_run("etl", "jr")
        attributes = _attributes(GluebrakeAttempt="7")
        simulation.stop_queue.put(stop_request("etl", "jr"), attributes=attributes, sender_id=FUNCTION)
        simulation.aws.faults.add(Throttle(), operation="BatchStopJobRun", times=1)
        simulation.run()
        assert simulation.history("etl", "jr") == ["Failed"]


class TestForgedClaims:
    """Attributes that a producer sends, beside a plain message of another producer about the same run."""

    @pytest.mark.parametrize("forger_is_first", [True, False], ids=["forger first", "forger last"])
    def test_forged_submission_time_does_not_shorten_the_confirmation(
        self, simulation: SimulatedAws, *, forger_is_first: bool
    ) -> None:
        """The run is confirmed for the whole deadline, although another message claims an old submission."""
        simulation.aws.glue.add_run("etl", "jr", state="STOPPING", stopping_seconds=600)
        submitted_at = simulation.clock() - JUST_BEFORE_DEADLINE
        forged = _attributes(GluebrakeSubmittedAt=submitted_at.isoformat())
        for is_forged in (forger_is_first, not forger_is_first):
            simulation.stop_queue.put(stop_request("etl", "jr"), attributes=forged if is_forged else {})
            simulation.clock.advance(0.001)
        simulation.run()
        assert simulation.history("etl", "jr")[0] == "AlreadyStopping"
        assert simulation.history("etl", "jr")[-1] == "Stopped"

    def test_forged_attempt_does_not_count_for_another_message(self, simulation: SimulatedAws) -> None:
        """A run that was STOPPED before is AlreadyFinished, although another message claims an attempt."""
        simulation.aws.glue.add_run("etl", "jr", state="STOPPED")
        for forged in ({"GluebrakeAttempt": "3"}, {}):
            simulation.stop_queue.put(stop_request("etl", "jr"), attributes=_attributes(**forged))
        simulation.run()
        assert simulation.history("etl", "jr") == ["AlreadyFinished"]

    def test_forged_claims_do_not_change_a_retry(self) -> None:
        """The functions' own message has the bookkeeping, whatever other messages claim."""
        own = message(message_id="own", is_retry=True, attempt=2, submitted_at=NOON - timedelta(seconds=60))
        forged = message(message_id="forged", attempt=5, submitted_at=NOON - JUST_BEFORE_DEADLINE)
        merged = _merge(own, forged)
        assert (merged.maybe_already_stopped, merged.submitted_at) == (True, own.submitted_at)

    def test_plain_message_does_not_change_a_retry(self) -> None:
        """A second producer names a run that an earlier attempt may have stopped: that remains known."""
        own = message(message_id="own", is_retry=True, attempt=2, submitted_at=NOON - timedelta(seconds=60))
        merged = _merge(message(message_id="plain"), own)
        assert (merged.attempt, merged.submitted_at) == (0, own.submitted_at)
        assert merged.maybe_already_stopped

    def test_forged_claims_do_not_change_a_deferred_message(self) -> None:
        """A deferred message of the functions without an attempt remains one."""
        own = message(message_id="own", is_retry=True)
        forged = message(message_id="forged", attempt=5, submitted_at=NOON - JUST_BEFORE_DEADLINE)
        merged = _merge(own, forged)
        assert (merged.attempt, merged.maybe_already_stopped, merged.submitted_at) == (0, False, None)

    def test_claim_of_a_single_message_is_believed(self) -> None:
        """A sender that claims bookkeeping shortens the retries of its own message."""
        merged = _merge(message(attempt=5, submitted_at=NOON - JUST_BEFORE_DEADLINE))
        assert (merged.attempt, merged.submitted_at) == (5, NOON - JUST_BEFORE_DEADLINE)
        assert merged.maybe_already_stopped

    def test_forged_submission_time_of_a_selection_harms_its_own_job_only(
        self, simulation: SimulatedAws
    ) -> None:
        """A selection that claims an old submission reports more runs, and stops no other."""
        now = simulation.clock()
        simulation.aws.glue.add_run("etl", "jr", started_on=now - timedelta(hours=1))
        simulation.aws.glue.add_run("etl", "late", started_on=now + timedelta(seconds=1))
        simulation.aws.glue.add_run("etl", "done", state="SUCCEEDED", started_on=now - timedelta(hours=1))
        attributes = _attributes(GluebrakeSubmittedAt=(now - timedelta(days=1)).isoformat())
        simulation.stop_queue.put('{"JobName": "etl", "Select": {}}', attributes=attributes)
        simulation.put('{"JobName": "etl", "Select": {}}')
        invocation = simulation.deliver_due(STOP)
        outcomes = {line["job_run_id"]: line["outcome"] for line in invocation.outcomes}
        assert outcomes == {"jr": "StopSubmitted", "done": "AlreadyFinished"}
        (submitted,) = simulation.confirm_queue
        assert submitted.attributes["GluebrakeSubmittedAt"]["StringValue"] == now.isoformat()


def _attributes(**values: str) -> dict[str, Json]:
    return {name: {"DataType": "String", "StringValue": value} for name, value in values.items()}


def _merge(*messages: Message) -> StopTarget:
    (merged,) = planning.merge([parsed("jr_1", by=message) for message in messages])
    return merged
