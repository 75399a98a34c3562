"""A message that makes the function fail harms no other message."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from time import monotonic
from typing import Final

import pytest

from gluebrake.aws.sqs import Queues
from gluebrake.model import Send
from tests.support.fakes.faults import EntriesFailed, Latency, Refused
from tests.support.fakes.sqs import Message
from tests.support.simulated_aws import CONFIRM, STOP, Context, Delivery, Invocation, World, stop_request

MIB = 1_048_576


def test_third_delivery_is_worked_on_alone_and_last(world: World) -> None:
    """A message received for the third time shares no call, and waits until the others are done."""
    for run_id in ("jr_1", "jr_2", "jr_3", "jr_4"):
        world.aws.glue.add_run("etl", run_id)
    suspect, other, fresh, again = _asked(world, "jr_1", "jr_2", "jr_3", "jr_4")
    deliveries = [Delivery(suspect, 3), Delivery(other, 4), Delivery(fresh, 1), Delivery(again, 2)]
    invocation = world.deliver(STOP, deliveries)
    assert world.stop_calls() == [("etl", ["jr_3", "jr_4"]), ("etl", ["jr_1"]), ("etl", ["jr_2"])]
    turn = ["BatchStopJobRun", "SendMessageBatch"]
    let_go = ["DeleteMessageBatch"]
    assert [call.operation for call in invocation.calls] == [*turn, *let_go, *turn, *let_go, *turn]
    assert invocation.counts["StopSubmitted"] == 4


def test_letting_go_of_many_messages_does_not_take_the_functions_time(world: World) -> None:
    """What is done is acknowledged before a suspect is worked on, but not beyond the function's deadline."""
    world.aws.glue.add_run("etl", "jr")
    for _ in range(1000):
        world.ask("etl", "jr")
    # One after the other they would take three seconds.
    world.aws.faults.add(Latency(0.03), operation="DeleteMessageBatch")
    suspect, *others = world.stop_queue.take()
    ends_at = monotonic() + 3.0
    world.context = Context(lambda: max(0.0, ends_at - monotonic()))
    world.deliver(STOP, [Delivery(suspect, 3), *map(Delivery, others)])
    assert monotonic() < ends_at


def test_suspect_is_not_worked_on_before_the_others_are_let_go(world: World) -> None:
    """All that is done is deleted from its queue before a suspect's turn, but not what has to come back."""
    for run_id in ("jr_1", "jr_2", "jr_3"):
        world.aws.glue.add_run("etl", run_id)
    suspect, kept, done = _asked(world, "jr_1", "jr_2", "jr_3")
    # Its run is in no state that can be stopped, so it is to be tried again, in a message of its own.
    world.aws.glue.run("etl", "jr_2").become("PAUSED")
    failing = EntriesFailed(lambda entry: "jr_2" in entry["MessageBody"])
    world.aws.faults.add(failing, operation="SendMessageBatch")
    invocation = world.deliver(STOP, [Delivery(suspect, 3), Delivery(kept), Delivery(done)])
    assert invocation.failures == [kept.message_id]
    (deletion,) = invocation.called("DeleteMessageBatch")
    assert deletion["QueueUrl"] == world.stop_queue.url
    assert [entry["ReceiptHandle"] for entry in deletion["Entries"]] == [f"{done.message_id}/1"]


def test_deletion_that_fails_harms_nothing(world: World) -> None:
    """A message that cannot be acknowledged early is acknowledged by the answer."""
    for run_id in ("jr_1", "jr_2"):
        world.aws.glue.add_run("etl", run_id)
    suspect, other = _asked(world, "jr_1", "jr_2")
    world.aws.faults.add(Refused("InternalFailure", status=500), operation="DeleteMessageBatch")
    invocation = world.deliver(STOP, [Delivery(suspect, 3), Delivery(other)])
    assert invocation.answer == {"batchItemFailures": []}
    assert (invocation.counts["StopSubmitted"], invocation.counts["UnexpectedErrors"]) == (2, 0)


def test_suspect_that_raises_comes_back_alone(world: World) -> None:
    """An unforeseen exception over a suspect brings that message back, and counts; the others are done."""
    messages = _asked(world, "jr_1", "jr_2", "jr_3")
    invocation = _with_broken_turn(world, [Delivery(messages[0], 3), *map(Delivery, messages[1:])], SECOND_TURN)
    assert invocation.failures == [messages[0].message_id]
    assert invocation.counts["UnexpectedErrors"] == 1
    assert [line["job_run_id"] for line in invocation.outcomes] == ["jr_2", "jr_3"]


def test_suspect_that_is_delivered_twice_at_once_comes_back_once(world: World) -> None:
    """A message that an invocation has twice, in two turns that both fail, is named once in the answer."""
    (message,) = _asked(world, "jr_1")
    world.aws.faults.add(EntriesFailed(), operation="SendMessageBatch")
    invocation = world.deliver(STOP, [Delivery(message, 3), Delivery(message, 3)])
    assert len(invocation.called("SendMessageBatch")) == 2
    assert invocation.failures == [message.message_id]


def test_nothing_is_deleted_early_once_no_more_call_will_start(world: World) -> None:
    """When the time is up no suspect can crash the function any more, and deleting would take what is left."""
    suspect, other = _asked(world, "jr_1", "jr_2")
    seconds = iter([30.0] * 4)
    world.context = Context(lambda: next(seconds, 1.0))
    invocation = world.deliver(STOP, [Delivery(suspect, 3), Delivery(other)])
    assert invocation.called("DeleteMessageBatch") == []
    assert invocation.called("BatchStopJobRun") == [{"JobName": "etl", "JobRunIds": ["jr_2"]}]
    assert invocation.counts["Deferred"] == 1
    assert invocation.answer == {"batchItemFailures": []}


def test_messages_that_raise_together_do_not_keep_suspects_from_work(world: World) -> None:
    """When the work on the fresh messages raises, they come back, and a suspect is still worked on."""
    messages = _asked(world, "jr_1", "jr_2", "jr_3")
    invocation = _with_broken_turn(world, [Delivery(messages[0], 3), *map(Delivery, messages[1:])], FIRST_TURN)
    assert sorted(invocation.failures) == [message.message_id for message in messages[1:]]
    assert invocation.counts["UnexpectedErrors"] == 1
    assert [line["job_run_id"] for line in invocation.outcomes] == ["jr_1"]


def test_exception_is_in_the_log(world: World) -> None:
    """An unforeseen exception is logged as an error with its traceback."""
    invocation = _with_broken_turn(world, list(map(Delivery, _asked(world, "jr_1"))), FIRST_TURN)
    (line,) = [line for line in invocation.lines if line["level"] == "ERROR"]
    assert line["message"] == "UnexpectedError"
    assert line["exception_name"] == "ZeroDivisionError"
    assert "in work" in line["exception"]


def test_poison_is_left_to_sqs_and_its_neighbours_are_done(world: World) -> None:
    """A message over which the work always raises is dead after five deliveries; its neighbours are stopped."""
    names = ("jr_1", "poison", "jr_2")
    for run_id in names:
        world.aws.glue.add_run("etl", run_id)
    for run_id in names:
        world.ask("etl", run_id)
    queues = world.parts[STOP].queues
    breaking = _RaisingOverPoison(queues.client, queues.urls, queues.calls_at_once)
    world.parts[STOP] = replace(world.parts[STOP], queues=breaking)
    world.run()
    assert [delivery.message.body for delivery in world.moved] == [stop_request("etl", "poison")]
    assert world.history("etl", "jr_1") == world.history("etl", "jr_2") == ["AlreadyStopping", "Stopped"]
    assert world.history("etl", "poison") == []
    # Twice with the neighbours, three times alone.
    assert world.counts["UnexpectedErrors"] == 5


def test_confirm_works_on_suspects_alone_too(world: World) -> None:
    """The confirm function separates suspects as the stop function does."""
    for run_id in ("jr_1", "jr_2", "jr_3"):
        world.aws.glue.add_run("etl", run_id, state="STOPPED")
        world.put_to_confirm("etl", run_id, submitted_at=world.clock())
    suspect, *others = world.confirm_queue.take()
    invocation = world.deliver(CONFIRM, [Delivery(suspect, 3), *map(Delivery, others)])
    assert [call.operation for call in invocation.calls] == [
        "GetJobRuns",
        "PutEvents",
        "DeleteMessageBatch",
        "GetJobRun",
        "PutEvents",
    ]
    assert [line["job_run_id"] for line in invocation.outcomes] == ["jr_2", "jr_3", "jr_1"]
    assert (invocation.counts["Stopped"], invocation.counts["StateReads"]) == (3, 2)


def test_trouble_with_a_suspect_has_its_own_count_of_calls(world: World) -> None:
    """Groups share the invocation's metrics: the calls of all are counted once, at its end."""
    for run_id in ("jr_1", "jr_2"):
        world.aws.glue.add_run("etl", run_id)
    suspect, fresh = _asked(world, "jr_1", "jr_2")
    invocation = world.deliver(STOP, [Delivery(suspect, 3), Delivery(fresh)])
    assert invocation.values["StopCalls"] == [2]
    assert invocation.counts["StopCalls"] == len(invocation.called("BatchStopJobRun"))


@pytest.mark.parametrize(
    "text",
    [
        "\ud800",
        "\x00",
    ],
)
def test_body_that_sqs_cannot_carry_comes_back_alone(world: World, text: str) -> None:
    """A body that cannot be sent on, not even as a dead letter, brings back no other message."""
    world.aws.glue.add_run("etl", "jr_1")
    world.put(text)
    world.ask("etl", "jr_1")
    invocation = world.deliver_due(STOP)
    assert invocation.failures == [invocation.deliveries[0].message_id]
    assert invocation.counts["StopSubmitted"] == 1
    assert invocation.counts["UnexpectedErrors"] == 0


@pytest.mark.parametrize(
    "body", ["{" * MIB, stop_request("etl", *(f"jr_{n:04}" for n in range(1001))).ljust(MIB)]
)
def test_body_that_leaves_no_room_for_reasons_is_left_to_sqs(world: World, body: str) -> None:
    """A body of 1 MiB cannot go with reasons: it comes back until SQS moves it as it is, and it alone."""
    world.aws.glue.add_run("etl", "jr_1")
    world.put(body)
    world.ask("etl", "jr_1")
    world.run()
    assert [delivery.message.body for delivery in world.moved] == [body]
    assert [message.body for message in world.dead_letter_queue] == [body]
    assert world.history("etl", "jr_1") == ["StopSubmitted", "Stopped"]
    assert world.counts["UnexpectedErrors"] == 0


def _asked(world: World, *run_ids: str) -> list[Message]:
    """Have somebody ask for each of the runs, and take the messages off the queue."""
    for run_id in run_ids:
        world.ask("etl", run_id)
    return world.stop_queue.take()


# An invocation asks for the time once; each turn does when it begins, and when its outcomes are known.
FIRST_TURN: Final = 2
SECOND_TURN: Final = 4


def _with_broken_turn(world: World, deliveries: Sequence[Delivery], question: int) -> Invocation:
    """Deliver with a clock that raises when it is asked for so many times."""
    for run_id in ("jr_1", "jr_2", "jr_3"):
        world.aws.glue.add_run("etl", run_id)
    answers: list[datetime] = []

    def clock() -> datetime:
        answers.append(world.clock())
        if len(answers) == question:
            raise ZeroDivisionError
        return answers[-1]

    world.parts[STOP] = replace(world.parts[STOP], clock=clock)
    return world.deliver(STOP, deliveries)


class _RaisingOverPoison(Queues):
    """Sends as ever, but raises what nobody foresaw when the poison is among the messages."""

    def send(self, sends: Iterable[Send]) -> frozenset[str]:
        all_of_them = list(sends)
        if any("poison" in send.body for send in all_of_them):
            raise ZeroDivisionError
        return super().send(all_of_them)
