"""A redrive sends dead letters first and then deletes them. A drop deletes them alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError

from gluebrake_cli.dead_letters import DeadLetter
from gluebrake_cli.removal import BatchResult, drop, redrive
from gluebrake_cli.stack import Deployment
from tests.cli.queues import fill, leased
from tests.support.fakes.exchange import Answer, Call, Reply
from tests.support.fakes.faults import EntriesFailed, LostAnswer
from tests.support.fakes.sqs import Queue, failed_entry
from tests.support.simulated_aws import SimulatedAws


def _merged(results: Iterator[BatchResult]) -> tuple[list[DeadLetter], Mapping[str, str], Mapping[str, str]]:
    batches = list(results)
    not_sent = {id_: error for batch in batches for id_, error in batch.not_sent.items()}
    not_deleted = {id_: error for batch in batches for id_, error in batch.not_deleted.items()}
    return [dead_letter for batch in batches for dead_letter in batch.done], not_sent, not_deleted


def _redrive_all(
    deployment: Deployment, simulation: SimulatedAws
) -> tuple[list[DeadLetter], Mapping[str, str], Mapping[str, str]]:
    with leased(deployment, simulation) as lease:
        dead_letters = lease.read().dead_letters
        return _merged(redrive(lease, dead_letters, stop_queue=deployment.stop_queue))


def _bodies(queue: Queue) -> list[str]:
    return sorted(message.body for message in queue)


class TestRedrive:
    """A dead letter is deleted only after the stop queue has accepted it."""

    def test_exactly_the_matching_ones_are_moved(
        self, deployment: Deployment, simulation: SimulatedAws
    ) -> None:
        """The rest stays, and is visible to other consumers during the move."""
        fill(simulation.dead_letter_queue, 12)
        fill(simulation.dead_letter_queue, 3, "NotAllowed")
        with leased(deployment, simulation) as lease:
            dead_letters = lease.read().dead_letters
            matching = [dead_letter for dead_letter in dead_letters if dead_letter.reason == "StopTimedOut"]
            rest = [dead_letter for dead_letter in dead_letters if dead_letter.reason == "NotAllowed"]
            lease.release(dead_letter.message_id for dead_letter in rest)
            assert len(simulation.dead_letter_queue.visible()) == 3
            done, *refused = _merged(redrive(lease, matching, stop_queue=deployment.stop_queue))
        assert (len(done), refused) == (12, [{}, {}])
        assert len(simulation.stop_queue) == 12
        assert not any(message.attributes for message in simulation.stop_queue)
        assert {
            message.attributes["ERROR_CODE"]["StringValue"] for message in simulation.dead_letter_queue
        } == {"NotAllowed"}

    def test_a_refused_entry_stays(self, deployment: Deployment, simulation: SimulatedAws) -> None:
        """An entry that SQS refuses is not deleted, is reported with SQS's words, and is visible at once."""
        fill(simulation.dead_letter_queue, 12)
        failing = EntriesFailed(when=lambda entry: "jr_3" in entry["MessageBody"], code="InternalError")
        simulation.aws.faults.add(failing, operation="SendMessageBatch")
        done, not_sent, _ = _redrive_all(deployment, simulation)
        assert (len(done), list(not_sent.values())) == (11, ["InternalError: "])
        (left,) = simulation.dead_letter_queue.visible()
        assert left.message_id in not_sent
        assert len(simulation.stop_queue) == 11

    def test_a_failed_deletion_leaves_it_in_both_queues(
        self, deployment: Deployment, simulation: SimulatedAws
    ) -> None:
        """The failure is reported. The run is stopped again, which changes nothing."""
        fill(simulation.dead_letter_queue, 2)

        def refuses(call: Call, _answer: Answer) -> Reply:
            failed = [
                failed_entry(entry["Id"], "InternalError", "later", sender_fault=False)
                for entry in call.parameters["Entries"]
            ]
            return Reply(payload={"Successful": [], "Failed": failed})

        simulation.aws.faults.add(refuses, operation="DeleteMessageBatch")
        done, _, not_deleted = _redrive_all(deployment, simulation)
        assert (done, set(not_deleted.values())) == ([], {"InternalError: later"})
        assert len(simulation.dead_letter_queue.visible()) == len(simulation.stop_queue) == 2

    def test_a_lost_answer_loses_no_dead_letter(self, deployment: Deployment, simulation: SimulatedAws) -> None:
        """When it is unknown whether SQS accepted a batch, its dead letters are in both queues."""
        fill(simulation.dead_letter_queue, 15)
        simulation.aws.faults.add(LostAnswer(), operation="SendMessageBatch", times=1)
        with pytest.raises(BotoCoreError):
            _redrive_all(deployment, simulation)
        assert len(simulation.dead_letter_queue.visible()) == 15
        assert len(simulation.stop_queue) == 10

    def test_batches_respect_the_limit_of_bytes(self, deployment: Deployment, simulation: SimulatedAws) -> None:
        """SQS accepts one mebibyte in a batch."""
        for _ in range(3):
            simulation.dead_letter_queue.put("x" * 500_000)
        done, *_ = _redrive_all(deployment, simulation)
        assert [len(request["Entries"]) for request in simulation.aws.requests("SendMessageBatch")] == [2, 1]
        assert len(done) == 3

    def test_a_long_redrive_renews_its_lease(self, deployment: Deployment, simulation: SimulatedAws) -> None:
        """Dead letters that wait for longer than the visibility timeout stay hidden."""
        fill(simulation.dead_letter_queue, 50)
        visible: list[int] = []

        def slowly(call: Call, answer: Answer) -> Reply:
            simulation.clock.advance(12)
            visible.append(len(simulation.dead_letter_queue.visible()))
            return answer(call)

        simulation.aws.faults.add(slowly, operation="SendMessageBatch")
        done, *_ = _redrive_all(deployment, simulation)
        assert (len(done), visible) == (50, [0] * 5)

    def test_attributes_of_any_type_are_kept(self, deployment: Deployment, simulation: SimulatedAws) -> None:
        """Numbers and bytes of a producer arrive in the stop queue unchanged."""
        attributes: dict[str, Any] = {
            "n": {"DataType": "Number", "StringValue": "4"},
            "b": {"DataType": "Binary", "BinaryValue": "AAE="},
        }
        simulation.dead_letter_queue.put("hello", attributes=attributes)
        _redrive_all(deployment, simulation)
        (message,) = simulation.stop_queue
        assert message.attributes == attributes


def test_a_drop_deletes_and_sends_nothing(deployment: Deployment, simulation: SimulatedAws) -> None:
    """Dropped dead letters are deleted, and the stop queue stays empty."""
    fill(simulation.dead_letter_queue, 12)
    with leased(deployment, simulation) as lease:
        matching = lease.read().dead_letters[1:]
        done, *_ = _merged(drop(lease, matching))
    assert len(done) == 11
    assert len(simulation.dead_letter_queue.visible()) == 1
    assert _bodies(simulation.stop_queue) == []
