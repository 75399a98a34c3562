"""Dead letters read without being consumed, and taken out: sent first, then deleted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError

from gluebrake.model import AwsEnvironment
from gluebrake_cli import redriving
from gluebrake_cli.aws import Deployment
from gluebrake_cli.letters import DeadLetter
from gluebrake_cli.redriving import BatchResult, Lease
from tests.support.fakes.aws_server import ACCOUNT, REGION
from tests.support.fakes.exchange import Answer, Call, Reply
from tests.support.fakes.faults import EntriesFailed, LostAnswer, Reset
from tests.support.fakes.sqs import Queue, failed_entry
from tests.support.simulated_aws import World

AWS_ENVIRONMENT = AwsEnvironment(ACCOUNT, REGION)


def _hold(deployment: Deployment, world: World) -> Lease:
    return Lease(deployment.dead_letter_queue, AWS_ENVIRONMENT, clock=lambda: world.clock().timestamp())


def _fill(queue: Queue, count: int, code: str = "StopTimedOut") -> None:
    for number in range(count):
        body = json.dumps({"JobName": "etl", "JobRunIds": [f"jr_{number}"]})
        queue.put(body, attributes={"ERROR_CODE": {"DataType": "String", "StringValue": code}})


def _bodies(queue: Queue) -> list[str]:
    return sorted(message.body for message in queue)


def _all(taken: Iterator[BatchResult]) -> tuple[list[DeadLetter], Mapping[str, str], Mapping[str, str]]:
    batches = list(taken)
    not_sent = {id_: why for one in batches for id_, why in one.not_sent.items()}
    not_deleted = {id_: why for one in batches for id_, why in one.not_deleted.items()}
    return [letter for one in batches for letter in one.done], not_sent, not_deleted


class TestReading:
    """A look at the queue changes nothing in it."""

    def test_every_letter_is_seen_once_and_put_back(self, deployment: Deployment, world: World) -> None:
        """After a look at more than a batch, each letter is there for the next one at once."""
        _fill(world.dead_letter_queue, 23)
        with _hold(deployment, world) as hold:
            reading = hold.read()
            assert world.dead_letter_queue.visible() == []
        assert (len({letter.message_id for letter in reading.letters}), reading.missing) == (23, 0)
        assert len(world.dead_letter_queue.visible()) == 23

    def test_letters_that_another_holds_are_missed(self, deployment: Deployment, world: World) -> None:
        """When somebody else is reading, the reading says that it may not be all."""
        _fill(world.dead_letter_queue, 12)
        world.dead_letter_queue.receive(5, 60)
        with _hold(deployment, world) as hold:
            reading = hold.read()
        assert (len(reading.letters), reading.missing) == (7, 5)

    def test_a_letter_that_comes_again_is_counted_once(self, deployment: Deployment, world: World) -> None:
        """A hold that ran out while reading makes no second letter, and the last receipt is the one used."""
        _fill(world.dead_letter_queue, 3)

        def slowly(call: Call, answer: Answer) -> Reply:
            world.clock.advance(100)
            return answer(call)

        world.aws.faults.add(slowly, operation="ReceiveMessage")
        with _hold(deployment, world) as hold:
            reading = hold.read()
            assert hold.delete(letter.message_id for letter in reading.letters) == {}
        assert len(reading.letters) == 3
        assert len(world.dead_letter_queue) == 0

    def test_what_ends_a_reading_early_lets_go(self, deployment: Deployment, world: World) -> None:
        """An error on the way is the one told, and what was received by then is seen again at once."""
        _fill(world.dead_letter_queue, 12)

        def fails(call: Call, answer: Answer) -> Reply:
            return answer(call) if len(world.dead_letter_queue.visible()) > 10 else Reset()(call, answer)

        world.aws.faults.add(fails, operation="ReceiveMessage")
        with pytest.raises(BotoCoreError), _hold(deployment, world) as hold:
            hold.read()
        assert len(world.dead_letter_queue.visible()) == 12

    def test_the_hold_grows_with_the_queue(self, deployment: Deployment, world: World) -> None:
        """A thousand letters are held longer than ten, since reading them takes longer."""
        for count in (10, 990):
            _fill(world.dead_letter_queue, count)
            with _hold(deployment, world) as hold:
                hold.read()
        holds = {request["VisibilityTimeout"] for request in world.aws.requests("ReceiveMessage")}
        assert holds == {30, 50}


class TestRedriving:
    """A letter leaves the dead-letter queue only when it stands on the stop queue."""

    def test_exactly_those_meant_are_moved(self, deployment: Deployment, world: World) -> None:
        """The others stay, and are seen by everybody while the move goes on."""
        _fill(world.dead_letter_queue, 12)
        _fill(world.dead_letter_queue, 3, "NotAllowed")
        with _hold(deployment, world) as hold:
            reading = hold.read()
            meant = [letter for letter in reading.letters if letter.reason == "StopTimedOut"]
            hold.release(one.message_id for one in reading.letters if one.reason == "NotAllowed")
            assert len(world.dead_letter_queue.visible()) == 3
            done, *refused = _all(redriving.redrive(hold, meant, stop_queue=deployment.stop_queue))
        assert (len(done), refused) == (12, [{}, {}])
        assert len(world.stop_queue) == 12
        assert not any(message.attributes for message in world.stop_queue)
        assert {message.attributes["ERROR_CODE"]["StringValue"] for message in world.dead_letter_queue} == {
            "NotAllowed"
        }

    def test_what_sqs_does_not_take_stays(self, deployment: Deployment, world: World) -> None:
        """An entry that fails is not deleted; it is told with SQS's words, and seen again at once."""
        _fill(world.dead_letter_queue, 12)
        failing = EntriesFailed(when=lambda entry: "jr_3" in entry["MessageBody"], code="InternalError")
        world.aws.faults.add(failing, operation="SendMessageBatch")
        with _hold(deployment, world) as hold:
            meant = hold.read().letters
            done, not_sent, _ = _all(redriving.redrive(hold, meant, stop_queue=deployment.stop_queue))
        assert (len(done), list(not_sent.values())) == (11, ["InternalError: "])
        (left,) = world.dead_letter_queue.visible()
        assert left.message_id in not_sent
        assert len(world.stop_queue) == 11

    def test_what_cannot_be_deleted_stands_on_both(self, deployment: Deployment, world: World) -> None:
        """A failed deletion is told: the run is stopped again, which is harmless, and the letter is seen."""
        _fill(world.dead_letter_queue, 2)

        def refuses(call: Call, _answer: Answer) -> Reply:
            failed = [
                failed_entry(entry["Id"], "InternalError", "later", sender_fault=False)
                for entry in call.parameters["Entries"]
            ]
            return Reply(payload={"Successful": [], "Failed": failed})

        world.aws.faults.add(refuses, operation="DeleteMessageBatch")
        with _hold(deployment, world) as hold:
            meant = hold.read().letters
            done, _, not_deleted = _all(redriving.redrive(hold, meant, stop_queue=deployment.stop_queue))
        assert (done, set(not_deleted.values())) == ([], {"InternalError: later"})
        assert len(world.dead_letter_queue.visible()) == len(world.stop_queue) == 2

    def test_an_answer_that_is_lost_loses_no_letter(self, deployment: Deployment, world: World) -> None:
        """When it is not known whether SQS took a batch, its letters are in both queues, never in none."""
        _fill(world.dead_letter_queue, 15)
        world.aws.faults.add(LostAnswer(), operation="SendMessageBatch", times=1)
        with pytest.raises(BotoCoreError), _hold(deployment, world) as hold:
            _all(redriving.redrive(hold, hold.read().letters, stop_queue=deployment.stop_queue))
        assert len(world.dead_letter_queue.visible()) == 15
        assert len(world.stop_queue) == 10

    def test_large_letters_share_no_batch(self, deployment: Deployment, world: World) -> None:
        """Batches are cut by bytes as well as by count, for SQS takes one mebibyte."""
        for _ in range(3):
            world.dead_letter_queue.put("x" * 500_000)
        with _hold(deployment, world) as hold:
            done, *_ = _all(redriving.redrive(hold, hold.read().letters, stop_queue=deployment.stop_queue))
        assert [len(request["Entries"]) for request in world.aws.requests("SendMessageBatch")] == [2, 1]
        assert len(done) == 3

    def test_a_long_redrive_keeps_its_hold(self, deployment: Deployment, world: World) -> None:
        """Letters that wait their turn for longer than a hold lasts are not seen by others meanwhile."""
        _fill(world.dead_letter_queue, 50)
        seen: list[int] = []

        def slowly(call: Call, answer: Answer) -> Reply:
            world.clock.advance(12)
            seen.append(len(world.dead_letter_queue.visible()))
            return answer(call)

        world.aws.faults.add(slowly, operation="SendMessageBatch")
        with _hold(deployment, world) as hold:
            done, *_ = _all(redriving.redrive(hold, hold.read().letters, stop_queue=deployment.stop_queue))
        assert (len(done), seen) == (50, [0] * 5)

    def test_attributes_of_any_type_go_with_it(self, deployment: Deployment, world: World) -> None:
        """Numbers and bytes that a producer attached arrive on the stop queue as they were."""
        attributes: dict[str, Any] = {
            "n": {"DataType": "Number", "StringValue": "4"},
            "b": {"DataType": "Binary", "BinaryValue": "AAE="},
        }
        world.dead_letter_queue.put("hello", attributes=attributes)
        with _hold(deployment, world) as hold:
            _all(redriving.redrive(hold, hold.read().letters, stop_queue=deployment.stop_queue))
        (message,) = world.stop_queue
        assert message.attributes == attributes


def test_dropping_deletes_and_sends_nothing(deployment: Deployment, world: World) -> None:
    """What is dropped is gone from the dead-letter queue and stands nowhere else."""
    _fill(world.dead_letter_queue, 12)
    with _hold(deployment, world) as hold:
        meant = hold.read().letters[1:]
        done, *_ = _all(redriving.drop(hold, meant))
    assert len(done) == 11
    assert len(world.dead_letter_queue.visible()) == 1
    assert _bodies(world.stop_queue) == []
