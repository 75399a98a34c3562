"""`gluebrake drop` deletes what it has shown, and asks first."""

from __future__ import annotations

import json

import pytest

from gluebrake_cli.stack import Deployment
from tests.cli.command_line import PLACE, put_dead_letter, run, run_json
from tests.support.fakes.exchange import Answer, Call, Reply
from tests.support.simulated_aws import SimulatedAws


def test_drop_shows_and_asks(
    deployment: Deployment, simulation: SimulatedAws, dead_letters: dict[str, str]
) -> None:
    """The answer no deletes nothing. The answer yes deletes what was shown."""
    result = run(deployment, "drop", "--job", "other", answer="n\n", code=1)
    assert dead_letters["jr_c"][:8] in result.stderr
    assert f"Delete 1 dead letter {PLACE} for good?" in result.stderr
    assert len(simulation.dead_letter_queue.visible()) == 3
    result = run(deployment, "drop", "--job", "other", answer="y\n")
    assert f"1 of 1 dead letter dropped {PLACE}." in result.stdout
    assert len(simulation.dead_letter_queue.visible()) == 2
    assert len(simulation.stop_queue) == 0


def test_a_later_dead_letter_is_not_dropped(
    deployment: Deployment, simulation: SimulatedAws, dead_letters: dict[str, str]
) -> None:
    """Only what the operator has seen is deleted, though a later dead letter matches as well."""
    receives = iter(range(100))

    def arrives(call: Call, answer: Answer) -> Reply:
        if next(receives) == 3:
            put_dead_letter(simulation, "jr_late", "NotAllowed")
        return answer(call)

    simulation.aws.faults.add(arrives, operation="ReceiveMessage")
    run(deployment, "drop", "--reason", "NotAllowed", answer="y\n")
    left = {json.loads(message.body)["JobRunIds"][0] for message in simulation.dead_letter_queue}
    assert left == {"jr_a", "jr_late"}
    assert dead_letters


@pytest.mark.usefixtures("dead_letters")
def test_without_a_match_nothing_is_asked(deployment: Deployment) -> None:
    """The output has no empty table."""
    result = run(deployment, "drop", "--job", "nope")
    assert result.stdout == f"No dead letter {PLACE} matches: none was dropped.\n"
    assert result.stderr == "None of these matches: NotAllowed (2), StopTimedOut (1).\n"


@pytest.mark.usefixtures("dead_letters")
def test_yes_and_dry_run_ask_nothing(deployment: Deployment, simulation: SimulatedAws) -> None:
    """With --yes there is no question; with --dry-run nothing is deleted."""
    assert len(run_json(deployment, "drop", "--dry-run")["meant"]) == 3
    assert len(simulation.dead_letter_queue.visible()) == 3
    assert len(run_json(deployment, "drop", "--yes")["done"]) == 3
    assert len(simulation.dead_letter_queue) == 0
