"""The handlers of STOP and CONFIRM turn messages into calls of Glue, messages, log lines and a notice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from gluebrake.aws.notice_topic import NoticeTopic
from gluebrake.contract import SUBMITTED_AT
from tests.support.simulated_aws import CONFIRM, STOP, SimulatedAws, stop_request


@pytest.fixture
def simulation(new_loggers: None) -> Iterator[SimulatedAws]:  # noqa: ARG001 - they are set up before
    """Run a simulated AWS with active runs of two jobs. Only `etl` and `idle` may be stopped."""
    with SimulatedAws(jobs=("etl", "idle")) as simulation:
        for job_name, run_id in (("etl", "jr_1"), ("etl", "jr_2"), ("report", "jr_3")):
            simulation.aws.glue.add_run(job_name, run_id)
        simulation.aws.glue.add_run("idle", "jr_4", state="SUCCEEDED")
        # A selection means runs that started before it was sent.
        simulation.clock.advance(60)
        yield simulation


def _selection(job_name: str) -> str:
    return json.dumps({"JobName": job_name, "Select": {}})


def _outcomes(simulation: SimulatedAws) -> set[tuple[str, str]]:
    """Return the job and the outcome of each line of the last invocation."""
    return {(line["job_name"], line["outcome"]) for line in simulation.invocations[-1].outcomes}


class TestStop:
    """STOP gives each request its runs, and stops those that it may stop."""

    def test_named_and_selected_runs_are_stopped_together(self, simulation: SimulatedAws) -> None:
        """A run that one message names and another one selects is in one call."""
        simulation.request_stop("etl", "jr_1")
        simulation.put(_selection("etl"))
        simulation.deliver_due(STOP)
        ((job_name, run_ids),) = simulation.stop_calls()
        assert (job_name, sorted(run_ids)) == ("etl", ["jr_1", "jr_2"])

    def test_a_job_that_may_not_be_stopped_is_not_listed(self, simulation: SimulatedAws) -> None:
        """The configuration alone decides it, so no call is spent."""
        simulation.put(_selection("report"))
        invocation = simulation.deliver_due(STOP)
        assert _outcomes(simulation) == {("report", "NotAllowed")}
        assert not invocation.called("GetJobRuns")

    def test_a_selection_of_no_run_is_a_result(self, simulation: SimulatedAws) -> None:
        """Other requests of the invocation are stopped as usual."""
        simulation.put(_selection("idle"))
        simulation.request_stop("etl", "jr_1")
        simulation.deliver_due(STOP)
        assert _outcomes(simulation) == {("idle", "NoActiveRuns"), ("etl", "StopSubmitted")}

    def test_a_stack_that_observes_stops_nothing(self, simulation: SimulatedAws) -> None:
        """Each request is read as a dry run."""
        simulation.dependencies[STOP] = replace(simulation.dependencies[STOP], observe=True)
        simulation.request_stop("etl", "jr_1")
        simulation.deliver_due(STOP)
        assert _outcomes(simulation) == {("etl", "WouldStop")}
        assert simulation.stop_calls() == []


class TestConfirm:
    """CONFIRM reads the states of the runs that its messages name."""

    def test_a_message_without_a_submission_time_has_its_own(self, simulation: SimulatedAws) -> None:
        """The deadline of a run that an operator puts on the queue begins with the message."""
        message = simulation.confirm_queue.put(stop_request("etl", "jr_1"))
        simulation.deliver_due(CONFIRM)
        (again,) = simulation.confirm_queue
        assert again.attributes[SUBMITTED_AT]["StringValue"] == message.sent_at.isoformat()

    @pytest.mark.parametrize(
        ("fields", "field"),
        [({"Select": {}}, "Select"), ({"JobRunIds": ["jr_1"], "IncludeAttempts": True}, "IncludeAttempts")],
    )
    def test_a_message_that_does_not_name_its_runs_is_a_dead_letter(
        self, simulation: SimulatedAws, fields: dict[str, Any], field: str
    ) -> None:
        """CONFIRM lists no runs: only STOP decides which runs a request means."""
        simulation.confirm_queue.put(json.dumps({"JobName": "etl", **fields}))
        simulation.deliver_due(CONFIRM)
        ((_, code, text, _),) = simulation.dead_letters()
        assert (code, text) == (
            "InvalidRequest",
            f"{field}: a message on the confirm queue must name its runs in JobRunIds",
        )


class TestNotice:
    """An invocation publishes at most one notice, as its last call."""

    def test_failures_of_several_messages_are_one_notice(self, simulation: SimulatedAws) -> None:
        """It is the invocation's last call, so no result depends on it."""
        simulation.request_stop("report", "jr_3")
        simulation.request_stop("audit", "jr_5")
        invocation = simulation.deliver_due(STOP)
        assert len(invocation.called("Publish")) == 1
        assert invocation.calls[-1].operation == "Publish"
        (published,) = simulation.aws.sns.published
        assert published.subject.startswith("Gluebrake: 2 not stopped")

    def test_without_a_topic_nothing_is_published(self, simulation: SimulatedAws) -> None:
        """A stack whose `notifyOn` is empty has no topic."""
        dependencies = simulation.dependencies[STOP]
        topic = replace(dependencies.notice_topic, arn="")
        simulation.dependencies[STOP] = replace(dependencies, notice_topic=topic)
        simulation.request_stop("report", "jr_3")
        invocation = simulation.deliver_due(STOP)
        assert _outcomes(simulation) == {("report", "NotAllowed")}
        assert not invocation.called("Publish")

    def test_a_dry_run_is_not_noticed(self, simulation: SimulatedAws) -> None:
        """Its sender reads what it would stop in the log."""
        simulation.request_stop("etl", "jr_1", DryRun=True)
        invocation = simulation.deliver_due(STOP)
        assert not invocation.called("Publish")
        assert invocation.counts["NoticesLost"] == 0

    def test_an_exception_loses_the_notice_only(
        self, simulation: SimulatedAws, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The results are sent before it. The log line has the exception's name."""

        def fail(*_: object) -> str:
            raise ZeroDivisionError

        monkeypatch.setattr(NoticeTopic, "publish", fail)
        simulation.request_stop("report", "jr_3")
        invocation = simulation.deliver_due(STOP)
        assert (invocation.failures, invocation.counts["NoticesLost"]) == ([], 1)
        (line,) = (line for line in invocation.lines if line["message"] == "NoticesLost")
        assert line["error_code"] == "ZeroDivisionError"
        assert len(simulation.dead_letter_queue) == 1
