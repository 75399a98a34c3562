"""`gluebrake redrive` moves exactly the matching dead letters."""

from __future__ import annotations

import json

import pytest

from gluebrake_cli.stack import Deployment
from tests.cli.command_line import PLACE, invoke, put_dead_letter, run, run_json
from tests.support.fakes.faults import EntriesFailed, Reset
from tests.support.simulated_aws import SimulatedAws


def test_matching_dead_letters_are_moved(
    deployment: Deployment, simulation: SimulatedAws, dead_letters: dict[str, str]
) -> None:
    """The matching dead letter moves, and the rest stays visible in its queue."""
    shown = run_json(deployment, "redrive", "--reason", "NotAllowed", "--job", "oth*")
    assert shown["meant"] == shown["done"] == [dead_letters["jr_c"]]
    assert {message.message_id for message in simulation.dead_letter_queue.visible()} == {
        dead_letters["jr_a"],
        dead_letters["jr_b"],
    }
    (message,) = simulation.stop_queue
    assert json.loads(message.body)["JobRunIds"] == ["jr_c"]


@pytest.mark.usefixtures("dead_letters")
def test_a_dry_run_moves_nothing(deployment: Deployment, simulation: SimulatedAws) -> None:
    """It shows what would be moved."""
    shown = run(deployment, "redrive", "--job", "etl", "--dry-run").stdout
    assert f"2 dead letters would be redriven {PLACE}." in shown
    assert len(simulation.dead_letter_queue.visible()) == 3
    assert len(simulation.stop_queue) == 0


@pytest.mark.usefixtures("dead_letters")
def test_a_filter_without_matches_lists_the_reasons(deployment: Deployment) -> None:
    """A misspelt code moves nothing, and the note lists the reasons that exist."""
    result = run(deployment, "redrive", "--reason", "notallowed")
    assert f"0 of 0 dead letters redriven {PLACE}." in result.stdout
    assert "NotAllowed (2), StopTimedOut (1)" in result.stderr


@pytest.mark.usefixtures("dead_letters")
def test_a_failed_send_is_reported(deployment: Deployment, simulation: SimulatedAws) -> None:
    """The exit code is 1, and the note has the message and SQS's words."""
    failing = EntriesFailed(when=lambda entry: "jr_a" in entry["MessageBody"], message="later")
    simulation.aws.faults.add(failing, operation="SendMessageBatch")
    result = run(deployment, "redrive", code=1)
    assert f"2 of 3 dead letters redriven {PLACE}." in result.stdout
    assert "could not be sent: InternalError: later" in result.stderr


def test_progress_before_an_error_is_reported(deployment: Deployment, simulation: SimulatedAws) -> None:
    """When the connection breaks in the middle, the operator reads how many are done."""
    for number in range(15):
        put_dead_letter(simulation, f"jr_{number}", "StopTimedOut")
    sends = iter((False, True))
    simulation.aws.faults.add(Reset(), operation="SendMessageBatch", when=lambda _: next(sends))
    result = invoke(deployment, "redrive")
    assert "10 of 15 dead letters were done before this error" in result.stderr
    assert len(simulation.dead_letter_queue.visible()) == 5
