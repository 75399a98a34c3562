"""The dead-letter queue is read without changing it."""

from __future__ import annotations

import pytest
from botocore.exceptions import BotoCoreError

from gluebrake_cli.stack import Deployment
from tests.cli.queues import fill, leased
from tests.support.fakes.exchange import Answer, Call, Reply
from tests.support.fakes.faults import Reset
from tests.support.simulated_aws import SimulatedAws


def test_every_dead_letter_is_read_once_and_released(deployment: Deployment, simulation: SimulatedAws) -> None:
    """After a read of more than one batch, each dead letter is visible to the next reader at once."""
    fill(simulation.dead_letter_queue, 23)
    with leased(deployment, simulation) as lease:
        listing = lease.read()
        assert simulation.dead_letter_queue.visible() == []
    assert len({dead_letter.message_id for dead_letter in listing.dead_letters}) == 23
    assert listing.missing == 0
    assert len(simulation.dead_letter_queue.visible()) == 23


def test_dead_letters_of_another_reader_are_missing(deployment: Deployment, simulation: SimulatedAws) -> None:
    """While another consumer has dead letters, the listing has the number that is missing."""
    fill(simulation.dead_letter_queue, 12)
    simulation.dead_letter_queue.receive(5, 60)
    with leased(deployment, simulation) as lease:
        listing = lease.read()
    assert (len(listing.dead_letters), listing.missing) == (7, 5)


def test_a_redelivered_dead_letter_is_counted_once(deployment: Deployment, simulation: SimulatedAws) -> None:
    """If a visibility timeout ends during the read, the last receipt handle is used."""
    fill(simulation.dead_letter_queue, 3)

    def slowly(call: Call, answer: Answer) -> Reply:
        simulation.clock.advance(100)
        return answer(call)

    simulation.aws.faults.add(slowly, operation="ReceiveMessage")
    with leased(deployment, simulation) as lease:
        listing = lease.read()
        assert lease.delete(dead_letter.message_id for dead_letter in listing.dead_letters) == {}
    assert len(listing.dead_letters) == 3
    assert len(simulation.dead_letter_queue) == 0


def test_an_error_releases_what_was_received(deployment: Deployment, simulation: SimulatedAws) -> None:
    """The error is raised, and the dead letters received before it are visible at once."""
    fill(simulation.dead_letter_queue, 12)

    def fails(call: Call, answer: Answer) -> Reply:
        return answer(call) if len(simulation.dead_letter_queue.visible()) > 10 else Reset()(call, answer)

    simulation.aws.faults.add(fails, operation="ReceiveMessage")
    with pytest.raises(BotoCoreError), leased(deployment, simulation) as lease:
        lease.read()
    assert len(simulation.dead_letter_queue.visible()) == 12


def test_the_visibility_timeout_grows_with_the_queue(deployment: Deployment, simulation: SimulatedAws) -> None:
    """A thousand dead letters are hidden for longer than ten, since reading them takes longer."""
    for count in (10, 990):
        fill(simulation.dead_letter_queue, count)
        with leased(deployment, simulation) as lease:
            lease.read()
    timeouts = {request["VisibilityTimeout"] for request in simulation.aws.requests("ReceiveMessage")}
    assert timeouts == {30, 50}
