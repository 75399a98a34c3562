"""Tests that a message that makes the function fail harms no other message."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from time import monotonic
from typing import Final

import pytest

from gluebrake.aws.sqs import Queues
from gluebrake.model import OutgoingMessage
from tests.support.fakes.faults import EntriesFailed, Latency, Refused
from tests.support.fakes.sqs import Message
from tests.support.simulated_aws import CONFIRM, STOP, Context, Delivery, Invocation, SimulatedAws, stop_request

MIB = 1_048_576


def test_message_of_the_third_receive_is_processed_alone_and_last(simulation: SimulatedAws) -> None:
    """A message that was received three times shares no call, and is processed after the others."""
    for run_id in ("jr_1", "jr_2", "jr_3", "jr_4"):
        simulation.aws.glue.add_run("etl", run_id)
    third, fourth, first, second = _messages(simulation, "jr_1", "jr_2", "jr_3", "jr_4")
    deliveries = [Delivery(third, 3), Delivery(fourth, 4), Delivery(first, 1), Delivery(second, 2)]
    invocation = simulation.deliver(STOP, deliveries)
    assert simulation.stop_calls() == [("etl", ["jr_3", "jr_4"]), ("etl", ["jr_1"]), ("etl", ["jr_2"])]
    process = ["BatchStopJobRun", "SendMessageBatch"]
    delete = ["DeleteMessageBatch"]
    operations = [call.operation for call in invocation.calls]
    assert operations == [*process, *delete, *process, *delete, *process]
    assert invocation.counts["StopSubmitted"] == 4


def test_early_deletion_of_many_messages_keeps_the_deadline(simulation: SimulatedAws) -> None:
    """The early deletion of completed messages does not use more time than the function has."""
    simulation.aws.glue.add_run("etl", "jr")
    for _ in range(1000):
        simulation.request_stop("etl", "jr")
    # One after the other the deletions would take three seconds.
    simulation.aws.faults.add(Latency(0.03), operation="DeleteMessageBatch")
    candidate, *trusted = simulation.stop_queue.take()
    ends_at = monotonic() + 3.0
    simulation.context = Context(lambda: max(0.0, ends_at - monotonic()))
    simulation.deliver(STOP, [Delivery(candidate, 3), *map(Delivery, trusted)])
    assert monotonic() < ends_at


def test_completed_messages_are_deleted_before_a_candidate_is_processed(simulation: SimulatedAws) -> None:
    """Before a poison pill candidate is processed, completed messages are deleted, and failed ones are not."""
    for run_id in ("jr_1", "jr_2", "jr_3"):
        simulation.aws.glue.add_run("etl", run_id)
    candidate, failed, completed = _messages(simulation, "jr_1", "jr_2", "jr_3")
    # A run in this state cannot be stopped, so that it is retried in its own message.
    simulation.aws.glue.run("etl", "jr_2").become("PAUSED")
    failing = EntriesFailed(lambda entry: "jr_2" in entry["MessageBody"])
    simulation.aws.faults.add(failing, operation="SendMessageBatch")
    invocation = simulation.deliver(STOP, [Delivery(candidate, 3), Delivery(failed), Delivery(completed)])
    assert invocation.failures == [failed.message_id]
    (deletion,) = invocation.called("DeleteMessageBatch")
    assert deletion["QueueUrl"] == simulation.stop_queue.url
    assert [entry["ReceiptHandle"] for entry in deletion["Entries"]] == [f"{completed.message_id}/1"]


def test_deletion_that_fails_harms_nothing(simulation: SimulatedAws) -> None:
    """A message that cannot be deleted early is deleted by the answer."""
    for run_id in ("jr_1", "jr_2"):
        simulation.aws.glue.add_run("etl", run_id)
    candidate, trusted = _messages(simulation, "jr_1", "jr_2")
    simulation.aws.faults.add(Refused("InternalFailure", status=500), operation="DeleteMessageBatch")
    invocation = simulation.deliver(STOP, [Delivery(candidate, 3), Delivery(trusted)])
    assert invocation.answer == {"batchItemFailures": []}
    assert (invocation.counts["StopSubmitted"], invocation.counts["UnexpectedErrors"]) == (2, 0)


def test_candidate_that_raises_is_redelivered_alone(simulation: SimulatedAws) -> None:
    """After an unhandled exception SQS redelivers the poison pill candidate, and no other message."""
    messages = _messages(simulation, "jr_1", "jr_2", "jr_3")
    invocation = _deliver_with_failing_clock(
        simulation, [Delivery(messages[0], 3), *map(Delivery, messages[1:])], SECOND_GROUP
    )
    assert invocation.failures == [messages[0].message_id]
    assert invocation.counts["UnexpectedErrors"] == 1
    assert [line["job_run_id"] for line in invocation.outcomes] == ["jr_2", "jr_3"]


def test_candidate_that_is_delivered_twice_at_once_is_one_failure(simulation: SimulatedAws) -> None:
    """A message that an invocation has twice, and that fails twice, is in the answer once."""
    (message,) = _messages(simulation, "jr_1")
    simulation.aws.faults.add(EntriesFailed(), operation="SendMessageBatch")
    invocation = simulation.deliver(STOP, [Delivery(message, 3), Delivery(message, 3)])
    assert len(invocation.called("SendMessageBatch")) == 2
    assert invocation.failures == [message.message_id]


def test_no_message_is_deleted_early_when_no_call_can_start(simulation: SimulatedAws) -> None:
    """With the call budget exhausted no candidate can crash the function, and deleting would need more time."""
    candidate, trusted = _messages(simulation, "jr_1", "jr_2")
    seconds = iter([30.0] * 4)
    simulation.context = Context(lambda: next(seconds, 1.0))
    invocation = simulation.deliver(STOP, [Delivery(candidate, 3), Delivery(trusted)])
    assert invocation.called("DeleteMessageBatch") == []
    assert invocation.called("BatchStopJobRun") == [{"JobName": "etl", "JobRunIds": ["jr_2"]}]
    assert invocation.counts["Deferred"] == 1
    assert invocation.answer == {"batchItemFailures": []}


def test_messages_that_raise_do_not_keep_a_candidate_from_being_processed(simulation: SimulatedAws) -> None:
    """If the trusted messages raise an exception, SQS redelivers them, and the candidate is processed."""
    messages = _messages(simulation, "jr_1", "jr_2", "jr_3")
    invocation = _deliver_with_failing_clock(
        simulation, [Delivery(messages[0], 3), *map(Delivery, messages[1:])], FIRST_GROUP
    )
    assert sorted(invocation.failures) == [message.message_id for message in messages[1:]]
    assert invocation.counts["UnexpectedErrors"] == 1
    assert [line["job_run_id"] for line in invocation.outcomes] == ["jr_1"]


def test_exception_is_in_the_log(simulation: SimulatedAws) -> None:
    """An unhandled exception is logged as an error with its traceback."""
    invocation = _deliver_with_failing_clock(
        simulation, list(map(Delivery, _messages(simulation, "jr_1"))), FIRST_GROUP
    )
    (line,) = [line for line in invocation.lines if line["level"] == "ERROR"]
    assert line["message"] == "UnexpectedErrors"
    assert line["exception_name"] == "ZeroDivisionError"
    assert "in work" in line["exception"]


def test_poison_pill_becomes_a_dead_letter_and_its_neighbours_are_stopped(simulation: SimulatedAws) -> None:
    """SQS moves a message that always raises to the dead-letter queue after five receives. Other runs stop."""
    names = ("jr_1", "poison", "jr_2")
    for run_id in names:
        simulation.aws.glue.add_run("etl", run_id)
    for run_id in names:
        simulation.request_stop("etl", run_id)
    queues = simulation.dependencies[STOP].queues
    raising = _QueuesRaisingForPoison(queues.client, queues.urls, queues.calls_at_once)
    simulation.dependencies[STOP] = replace(simulation.dependencies[STOP], queues=raising)
    simulation.run()
    assert [delivery.message.body for delivery in simulation.moved] == [stop_request("etl", "poison")]
    assert (
        simulation.history("etl", "jr_1") == simulation.history("etl", "jr_2") == ["AlreadyStopping", "Stopped"]
    )
    assert simulation.history("etl", "poison") == []
    # Twice with the neighbours, and three times alone.
    assert simulation.counts["UnexpectedErrors"] == 5


def test_confirm_isolates_candidates_too(simulation: SimulatedAws) -> None:
    """CONFIRM isolates poison pill candidates as STOP does."""
    for run_id in ("jr_1", "jr_2", "jr_3"):
        simulation.aws.glue.add_run("etl", run_id, state="STOPPED")
        simulation.put_on_confirm_queue("etl", run_id, submitted_at=simulation.clock())
    candidate, *trusted = simulation.confirm_queue.take()
    invocation = simulation.deliver(CONFIRM, [Delivery(candidate, 3), *map(Delivery, trusted)])
    assert [call.operation for call in invocation.calls] == [
        "GetJobRuns",
        "PutEvents",
        "DeleteMessageBatch",
        "GetJobRun",
        "PutEvents",
        "Publish",
    ]
    assert [line["job_run_id"] for line in invocation.outcomes] == ["jr_2", "jr_3", "jr_1"]
    assert (invocation.counts["Stopped"], invocation.counts["StateReads"]) == (3, 2)


def test_calls_of_all_groups_are_one_metric_value(simulation: SimulatedAws) -> None:
    """The calls for trusted messages and for each candidate are counted together at the end."""
    for run_id in ("jr_1", "jr_2"):
        simulation.aws.glue.add_run("etl", run_id)
    candidate, trusted = _messages(simulation, "jr_1", "jr_2")
    invocation = simulation.deliver(STOP, [Delivery(candidate, 3), Delivery(trusted)])
    assert invocation.values["StopCalls"] == [2]
    assert invocation.counts["StopCalls"] == len(invocation.called("BatchStopJobRun"))


@pytest.mark.parametrize(
    "text",
    [
        "\ud800",
        "\x00",
    ],
)
def test_body_that_sqs_refuses_is_redelivered_alone(simulation: SimulatedAws, text: str) -> None:
    """If a body cannot be sent, not even as a dead letter, SQS redelivers its message and no other."""
    simulation.aws.glue.add_run("etl", "jr_1")
    simulation.put(text)
    simulation.request_stop("etl", "jr_1")
    invocation = simulation.deliver_due(STOP)
    assert invocation.failures == [invocation.deliveries[0].message_id]
    assert invocation.counts["StopSubmitted"] == 1
    assert invocation.counts["UnexpectedErrors"] == 0


@pytest.mark.parametrize(
    "body", ["{" * MIB, stop_request("etl", *(f"jr_{n:04}" for n in range(1001))).ljust(MIB)]
)
def test_body_without_room_for_error_attributes_is_moved_by_sqs(simulation: SimulatedAws, body: str) -> None:
    """A body of 1 MiB leaves no room for error attributes. SQS redelivers it, and then moves it unchanged."""
    simulation.aws.glue.add_run("etl", "jr_1")
    simulation.put(body)
    simulation.request_stop("etl", "jr_1")
    simulation.run()
    assert [delivery.message.body for delivery in simulation.moved] == [body]
    assert [message.body for message in simulation.dead_letter_queue] == [body]
    assert simulation.history("etl", "jr_1") == ["StopSubmitted", "Stopped"]
    assert simulation.counts["UnexpectedErrors"] == 0


def _messages(simulation: SimulatedAws, *run_ids: str) -> list[Message]:
    """Send a stop request for each run, and take the messages from the queue."""
    for run_id in run_ids:
        simulation.request_stop("etl", run_id)
    return simulation.stop_queue.take()


# An invocation reads the clock once. Each group reads it at its start, for listings, and for outcome events.
FIRST_GROUP: Final = 2
SECOND_GROUP: Final = 4


def _deliver_with_failing_clock(
    simulation: SimulatedAws, deliveries: Sequence[Delivery], failing_read: int
) -> Invocation:
    """Deliver with a clock that raises an exception when it is read for the `failing_read`th time."""
    for run_id in ("jr_1", "jr_2", "jr_3"):
        simulation.aws.glue.add_run("etl", run_id)
    times: list[datetime] = []

    def clock() -> datetime:
        times.append(simulation.clock())
        if len(times) == failing_read:
            raise ZeroDivisionError
        return times[-1]

    simulation.dependencies[STOP] = replace(simulation.dependencies[STOP], clock=clock)
    return simulation.deliver(STOP, deliveries)


class _QueuesRaisingForPoison(Queues):
    """Queues that raise an unexpected exception when the poison pill's run is among the messages."""

    def send(self, messages: Iterable[OutgoingMessage]) -> frozenset[str]:
        to_send = list(messages)
        if any("poison" in message.body for message in to_send):
            raise ZeroDivisionError
        return super().send(to_send)
