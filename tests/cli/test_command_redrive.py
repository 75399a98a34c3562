"""`gluebrake redrive` moves exactly the matching dead letters."""

from __future__ import annotations

import json

import pytest

from gluebrake_cli.stack import Deployment
from tests.cli.command_line import PLACE, invoke, put_dead_letter, run, run_json
from tests.support.fakes.exchange import Answer, Call, Reply
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
    assert f"No dead letter {PLACE} matches: none was redriven." in result.stdout
    assert "NotAllowed (2), StopTimedOut (1)" in result.stderr


@pytest.mark.usefixtures("dead_letters")
def test_a_dry_run_without_matches_says_so(deployment: Deployment) -> None:
    """The screen has no empty table."""
    shown = run(deployment, "redrive", "--job", "nope", "--dry-run").stdout
    assert shown == f"No dead letter {PLACE} matches: none would be redriven.\n"


@pytest.mark.usefixtures("dead_letters")
def test_an_empty_message_id_is_refused(deployment: Deployment, simulation: SimulatedAws) -> None:
    """Each id begins with the empty text of an unset variable, so all dead letters would match."""
    for command in (("redrive",), ("drop", "--yes"), ("dead-letters",)):
        shown = run(deployment, *command, "--message-id", "", code=2).stderr
        assert "--message-id is empty" in shown
    assert len(simulation.dead_letter_queue.visible()) == 3


def _left(simulation: SimulatedAws) -> set[str]:
    return {json.loads(message.body)["JobRunIds"][0] for message in simulation.dead_letter_queue}


class TestRemedyIsToDrop:
    """A redrive of such a dead letter fails again."""

    @pytest.fixture(autouse=True)
    def _wrong_request(self, simulation: SimulatedAws, dead_letters: dict[str, str]) -> None:
        put_dead_letter(simulation, "jr_wrong", "InvalidRequest")
        assert dead_letters

    @pytest.mark.parametrize("answer", ["n\n", "\n", ""])
    def test_it_is_left_out_without_a_yes(
        self, deployment: Deployment, simulation: SimulatedAws, answer: str
    ) -> None:
        """The question names it. Without a terminal, the input has ended. The others are moved."""
        result = run(deployment, "redrive", answer=answer, code=1)
        question = (
            f"A redrive of 1 dead letter {PLACE} fails again: the remedy is to drop. Redrive as well? [y/N]"
        )
        assert question in result.stderr
        assert "InvalidRequest" in result.stderr
        assert "StopTimedOut" not in result.stderr
        assert "1 dead letter left out, whose remedy is to drop" in result.stderr
        assert f"3 of 3 dead letters redriven {PLACE}." in result.stdout
        assert _left(simulation) == {"jr_wrong"}

    @pytest.mark.parametrize(
        ("arguments", "answer"),
        [((), "y\n"), (("--yes",), ""), (("--reason", "*"), ""), (("--message-id", "0"), "")],
    )
    def test_it_is_moved_if_it_was_chosen(
        self, deployment: Deployment, simulation: SimulatedAws, arguments: tuple[str, ...], answer: str
    ) -> None:
        """A reason and a message id choose it without a question."""
        result = run(deployment, "redrive", *arguments, answer=answer)
        assert ("Redrive as well?" in result.stderr) is bool(answer)
        assert "4 of 4 dead letters redriven" in result.stdout
        assert _left(simulation) == set()

    def test_alone_it_is_no_filter_without_matches(
        self, deployment: Deployment, simulation: SimulatedAws
    ) -> None:
        """If all matching dead letters are left out, the output does not call the filter wrong."""
        put_dead_letter(simulation, "jr_more", "NotFound", "mistyped")
        shown = run_json(deployment, "redrive", "--job", "mistyped", code=1)
        assert (shown["meant"], shown["left_out"]) == ([], 1)
        assert "matches" not in run(deployment, "redrive", "--job", "mistyped", code=1).output

    def test_a_later_one_is_not_moved(self, deployment: Deployment, simulation: SimulatedAws) -> None:
        """The answer yes is about the dead letters that the question names."""
        receives = iter(range(100))

        def arrives(call: Call, answer: Answer) -> Reply:
            if next(receives) == 3:
                put_dead_letter(simulation, "jr_late", "InvalidRequest")
            return answer(call)

        simulation.aws.faults.add(arrives, operation="ReceiveMessage")
        run(deployment, "redrive", answer="y\n")
        assert _left(simulation) == {"jr_late"}


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
