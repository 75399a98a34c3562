"""Requests whose runs are listed, delivered more than once: each run that a delivery stops has an outcome."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from gluebrake.runtime import DispatchError
from tests.support.fakes.clock import VirtualClock
from tests.support.fakes.exchange import Answer, Call, Reply
from tests.support.fakes.faults import EntriesFailed, LostAnswer, Throttle
from tests.support.fakes.sqs import Message
from tests.support.process_kill import run_in_process
from tests.support.simulated_aws import STOP, Delivery, SimulatedAws
from tests.unit.parsing.events import (
    SENT_AT,
    alarm_action,
    alarm_data,
    alarm_event,
    alarm_notification,
    dimensions,
    metric,
    notification,
    trigger,
)

Json = dict[str, Any]

HOUR: Final = timedelta(hours=1)
EVERY_RUN: Final[Json] = {"JobName": "etl", "Select": {}}
ATTEMPTS: Final[Json] = {"JobName": "etl", "JobRunIds": ["jr_1"], "IncludeAttempts": True}
ALARM_ACTION: Final[Json] = alarm_action(alarm_data(metric(dimensions("ALL", "etl"))))
SELECTIONS: Final[dict[str, Json]] = {
    "every run": EVERY_RUN,
    "age": {"JobName": "etl", "Select": {"OlderThanMinutes": 30}},
    "states": {"JobName": "etl", "Select": {"States": ["RUNNING"]}},
    "arguments": {"JobName": "etl", "Select": {"Arguments": {"--day": "1"}}},
    "later than a time": {"JobName": "etl", "Select": {"StartedAfter": (SENT_AT - 3 * HOUR).isoformat()}},
    "exceptions": {"JobName": "etl", "Select": {"Except": ["jr_3"]}},
    "attempts": ATTEMPTS,
    "time": {"JobName": "etl", "Select": {"StartedBefore": (SENT_AT - HOUR).isoformat()}},
    "alarm's event": alarm_event(alarm_data(metric(dimensions("ALL", "etl")))),
    "alarm's action": ALARM_ACTION,
    "alarm's notification": notification(alarm_notification(trigger(dimensions("ALL", "etl")))),
}
ALL_SELECTIONS: Final = pytest.mark.parametrize("body", SELECTIONS.values(), ids=SELECTIONS)


@pytest.fixture
def simulation() -> Iterator[SimulatedAws]:
    """Run an AWS whose clock starts when the alarms' messages were sent."""
    with SimulatedAws(clock=VirtualClock(SENT_AT)) as simulation:
        yield simulation


@ALL_SELECTIONS
def test_run_is_confirmed_although_its_first_send_failed(simulation: SimulatedAws, body: Json) -> None:
    """The redelivered request means the runs that its first delivery stopped."""
    _add(simulation, "jr_1", "jr_2")
    simulation.put(json.dumps(body))
    _fail_sends(simulation, times=1)
    simulation.run()
    assert simulation.history("etl", "jr_1") == ["StopSubmitted", "AlreadyStopping", "Stopped"]
    _check_that_all_stopped(simulation, "jr_1", "jr_2")


@pytest.mark.parametrize("failures", [2, 3, 4])
@pytest.mark.parametrize("body", [EVERY_RUN, ATTEMPTS])
def test_run_is_confirmed_by_any_later_delivery(simulation: SimulatedAws, body: Json, failures: int) -> None:
    """Each redelivery matches the runs again, also alone as a poison pill candidate."""
    _add(simulation, "jr_1", "jr_2")
    simulation.put(json.dumps(body))
    _fail_sends(simulation, times=failures)
    simulation.run()
    _check_that_all_stopped(simulation, "jr_1", "jr_2")
    assert not simulation.moved


def test_run_that_never_stops_times_out_although_its_first_send_failed(simulation: SimulatedAws) -> None:
    """A run that hangs in STOPPING after a redelivery is reported, and does not hang unnoticed."""
    _add(simulation, "jr_1", stopping_seconds=None)
    simulation.put(json.dumps(EVERY_RUN))
    _fail_sends(simulation, times=1)
    simulation.run()
    assert simulation.history("etl", "jr_1")[-1] == "StopTimedOut"
    assert [code for _, code, *_ in simulation.dead_letters()] == ["StopTimedOut"]


@pytest.mark.parametrize("seconds", [1, 300])
@pytest.mark.parametrize("throttled", [1, 3])
@pytest.mark.parametrize("body", [EVERY_RUN, ATTEMPTS])
def test_run_is_confirmed_although_the_redelivered_listing_fails(
    simulation: SimulatedAws, body: Json, throttled: int, seconds: float
) -> None:
    """A retry of a redelivered request is a new message, and means what an earlier delivery stopped."""
    _add(simulation, "jr_1", "jr_2", stopping_seconds=seconds)
    simulation.put(json.dumps(body))
    _fail_sends(simulation, times=1)
    simulation.step()
    simulation.aws.faults.add(Throttle(), operation="GetJobRuns", times=throttled)
    simulation.run()
    _check_that_all_stopped(simulation, "jr_1", "jr_2")
    assert simulation.counts["Retrying"] == throttled


def test_run_is_confirmed_although_the_redelivered_selection_is_deferred() -> None:
    """A selection that is deferred without a call still matches what an earlier delivery stopped."""
    with SimulatedAws(clock=VirtualClock(SENT_AT), calls_at_once=1) as simulation:
        _add(simulation, "jr_1")
        simulation.put(json.dumps(EVERY_RUN))
        redelivered = Delivery(_message_of_a_failed_delivery(simulation), 2)
        for job_name in ("other 1", "other 2", "other 3"):
            simulation.aws.glue.add_job(job_name)
            simulation.put(json.dumps({**EVERY_RUN, "JobName": job_name}))
        simulation.aws.faults.add(Throttle(), operation="GetJobRuns", times=3)
        others = [Delivery(message) for message in simulation.stop_queue.take()]
        invocation = simulation.deliver(STOP, [*others, redelivered])
        assert invocation.counts["Deferred"] == 1
        simulation.run()
        _check_that_all_stopped(simulation, "jr_1")


@pytest.mark.parametrize("operation", ["BatchStopJobRun", "SendMessageBatch", "PutEvents"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("body", [EVERY_RUN, ATTEMPTS], ids=["selection", "attempts"])
def test_killed_function_confirms_the_runs(operation: str, body: Json, *, after: bool) -> None:
    """The function is killed before or after a call of a request's first delivery."""
    with SimulatedAws(clock=VirtualClock(datetime.now(UTC))) as simulation:
        _add(simulation, "jr_1", "jr_2")
        # A run that needs no confirmation makes the function publish an event.
        _add(simulation, "done", state="SUCCEEDED")
        simulation.put(json.dumps(body))
        simulation.request_stop("etl", "done")
        handler = simulation.functions[STOP]
        killer = run_in_process(simulation, STOP, after=after)
        simulation.aws.faults.add(killer, operation=operation, times=1)
        assert simulation.deliver_due(STOP).answer is None
        simulation.functions[STOP] = handler
        simulation.run()
        ends = _ends(simulation)
        assert (ends["jr_1"], ends["jr_2"], ends["done"]) == ("Stopped", "Stopped", "AlreadyFinished")


@ALL_SELECTIONS
@pytest.mark.parametrize("seconds", [5, 60], ids=["stopping", "stopped"])
def test_second_container_confirms_what_the_first_has_stopped(
    simulation: SimulatedAws, body: Json, seconds: float
) -> None:
    """SQS delivers the message to a second function, which acknowledges it after the first stopped the runs."""
    _add(simulation, "jr_1", "jr_2", stopping_seconds=10)
    simulation.put(json.dumps(body))
    message = _message_of_a_failed_delivery(simulation)
    simulation.clock.advance(seconds)
    assert simulation.deliver(STOP, [Delivery(message, 2)]).failures == []
    simulation.run()
    _check_that_all_stopped(simulation, "jr_1", "jr_2")


def test_merged_run_has_an_outcome_for_the_message_that_is_not_redelivered(simulation: SimulatedAws) -> None:
    """Two messages mean one run that is over. SQS redelivers one of them, and the outcome is the other's."""
    _add(simulation, "jr_1", "jr_2")
    simulation.request_stop("etl", "jr_1")
    simulation.put(json.dumps(EVERY_RUN))

    def end_run(call: Call, answer: Answer) -> Reply:
        """End a run between the listing and the stop call."""
        simulation.aws.glue.run("etl", "jr_1").become("SUCCEEDED")
        return answer(call)

    simulation.aws.faults.add(end_run, operation="BatchStopJobRun", times=1)
    _fail_sends(simulation, times=1)
    invocation = simulation.deliver_due(STOP)
    assert len(invocation.failures) == 1
    lines = {line["job_run_id"]: line for line in invocation.outcomes}
    assert (lines["jr_1"]["outcome"], lines["jr_1"]["will_redeliver"]) == ("AlreadyFinished", False)
    assert (lines["jr_2"]["outcome"], lines["jr_2"]["will_redeliver"]) == ("StopSubmitted", True)
    assert _events(simulation) == [("jr_1", "AlreadyFinished")]


@ALL_SELECTIONS
def test_redelivery_never_names_a_younger_run(simulation: SimulatedAws, body: Json) -> None:
    """A run that starts between two deliveries is not stopped, in whichever state it is at the second."""
    _add(simulation, "jr_1")
    simulation.put(json.dumps(body))
    _fail_sends(simulation, times=1)
    simulation.step()
    for state in ("RUNNING", "STOPPING", "STOPPED", "SUCCEEDED"):
        _add(simulation, state, age=timedelta(), state=state)
    simulation.run()
    assert {run_id for _, run_ids in simulation.stop_calls() for run_id in run_ids} == {"jr_1"}
    _check_that_all_stopped(simulation, "jr_1")


def test_redelivery_does_not_name_a_run_that_ended_before_the_message(simulation: SimulatedAws) -> None:
    """No delivery can have stopped a run that was over when the message was sent."""
    _add(simulation, "jr_1")
    _add(simulation, "stopped", state="STOPPED")
    simulation.clock.advance(1)
    simulation.put(json.dumps(EVERY_RUN))
    _fail_sends(simulation, times=1)
    simulation.run()
    _check_that_all_stopped(simulation, "jr_1")


def test_runs_that_were_stopped_do_not_count_as_too_many() -> None:
    """At a redelivery only the runs that are still active count towards `maxRunsPerRequest`."""
    with SimulatedAws(clock=VirtualClock(SENT_AT), max_runs_per_request=2) as small:
        _add(small, "jr_1", "jr_2", stopping_seconds=None)
        _add(small, "jr_3", state="STARTING")
        small.put(json.dumps({"JobName": "etl", "Select": {"States": ["RUNNING"]}}))
        _fail_sends(small, times=1)
        small.step()
        small.aws.glue.run("etl", "jr_3").become("RUNNING")
        small.run()
        assert small.counts["TooManyRuns"] == 0
        assert _ends(small) == {"jr_1": "StopTimedOut", "jr_2": "StopTimedOut", "jr_3": "Stopped"}


def test_redelivered_dry_run_matches_active_runs_only(simulation: SimulatedAws) -> None:
    """A dry run has stopped nothing, so a redelivery reports the runs that it would stop now."""
    _add(simulation, "jr_1")
    _add(simulation, "stopping", state="STOPPING", stopping_seconds=None)
    simulation.put(json.dumps({**EVERY_RUN, "DryRun": True}))
    (message,) = simulation.stop_queue.take()
    invocation = simulation.deliver(STOP, [Delivery(message, 2)])
    assert [(line["job_run_id"], line["outcome"]) for line in invocation.outcomes] == [("jr_1", "WouldStop")]


@pytest.mark.parametrize(
    "event",
    [
        ALARM_ACTION,
        {"JobName": "etl", "Select": {"StartedBefore": SENT_AT.isoformat()}},
        {**ATTEMPTS, "AttemptsStartedBefore": SENT_AT.isoformat()},
    ],
    ids=["alarm's action", "time", "attempts"],
)
def test_repeated_direct_invocation_confirms_what_the_first_has_stopped(
    simulation: SimulatedAws, event: Json
) -> None:
    """Lambda repeats a failed asynchronous invocation after a minute, when the runs have stopped already."""
    _add(simulation, "jr_1", "jr_2")
    _fail_sends(simulation, times=1)
    with pytest.raises(DispatchError):
        simulation.functions[STOP](event, simulation.context)
    simulation.clock.advance(61)
    response = simulation.functions[STOP](event, simulation.context)
    assert {error["JobRunId"] for error in (response or {})["Errors"]} == {"jr_1", "jr_2"}


def test_lost_answer_of_a_stop_call_is_confirmed(simulation: SimulatedAws) -> None:
    """The answer of the stop call is lost, and so is the send. The redelivery confirms the run."""
    _add(simulation, "jr_1", stopping_seconds=5)
    simulation.put(json.dumps(EVERY_RUN))
    simulation.aws.faults.add(LostAnswer(), operation="BatchStopJobRun", times=1)
    _fail_sends(simulation, times=1)
    simulation.run()
    _check_that_all_stopped(simulation, "jr_1")


def _add(
    simulation: SimulatedAws,
    *run_ids: str,
    job_name: str = "etl",
    age: timedelta = 2 * HOUR,
    **details: Any,
) -> None:
    """Add runs of equal arguments. Each is an attempt of `jr_1`."""
    facts = {"PreviousRunId": "jr_1", "Arguments": {"--day": "1", "--env": "dev"}, **details}
    for run_id in run_ids:
        simulation.aws.glue.add_run(job_name, run_id, started_on=simulation.clock() - age, **facts)


def _fail_sends(simulation: SimulatedAws, times: int) -> None:
    """Let the next messages to the confirm queue be refused."""
    simulation.aws.faults.add(EntriesFailed(), operation="SendMessageBatch", when=_to_confirm, times=times)


def _message_of_a_failed_delivery(simulation: SimulatedAws) -> Message:
    """Let a function stop the runs of the only message, and fail to send. The message is in flight then."""
    (message,) = simulation.stop_queue.take()
    _fail_sends(simulation, times=1)
    answer = simulation.functions[STOP]({"Records": [message.record()]}, simulation.context)
    assert answer == {"batchItemFailures": [{"itemIdentifier": message.message_id}]}
    return message


def _to_confirm(call: Call) -> bool:
    return str(call.parameters["QueueUrl"]).endswith("/confirm")


def _ends(simulation: SimulatedAws) -> dict[str, str]:
    """Return the last outcome of each run."""
    return {run_id: outcome for _, run_id, outcome in simulation.outcomes}


def _events(simulation: SimulatedAws) -> list[tuple[str, str]]:
    events = simulation.aws.events.details
    return sorted((event["jobRunId"], event["outcome"]) for event in events if "jobRunId" in event)


def _check_that_all_stopped(simulation: SimulatedAws, *run_ids: str) -> None:
    """Expect that exactly these runs ended, each as Stopped, with an event and without a dead letter."""
    assert _ends(simulation) == dict.fromkeys(run_ids, "Stopped")
    assert _events(simulation) == [(run_id, "Stopped") for run_id in run_ids]
    assert not simulation.dead_letters()
