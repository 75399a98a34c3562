"""`gluebrake dead-letters` shows dead letters, and changes nothing."""

from __future__ import annotations

import json

import pytest

from gluebrake_cli.stack import Deployment
from tests.cli.command_line import PLACE, invoke, run, run_json
from tests.support.simulated_aws import SimulatedAws


def test_dead_letters_are_listed(
    deployment: Deployment, simulation: SimulatedAws, dead_letters: dict[str, str]
) -> None:
    """Each dead letter is a row, and afterwards all are visible in the queue."""
    shown = run(deployment, "dead-letters").stdout
    for text in (
        "StopTimedOut",
        "NotAllowed",
        "The job matches none of the patterns in `jobs`.",
        dead_letters["jr_a"][:8],
    ):
        assert text in shown
    assert f"3 of 3 dead letters {PLACE}." in shown
    assert len(simulation.dead_letter_queue.visible()) == 3


def test_the_error_message_is_listed(deployment: Deployment, simulation: SimulatedAws) -> None:
    """The remedy of a wrong request refers to its error message, so the list has it."""
    attributes = {"ERROR_CODE": "InvalidRequest", "ERROR_MESSAGE": "JobRunIds: is missing"}
    texts = {name: {"DataType": "String", "StringValue": text} for name, text in attributes.items()}
    simulation.dead_letter_queue.put("{}", attributes=texts)
    shown = run(deployment, "dead-letters").stdout
    assert "JobRunIds: is missing" in shown
    assert f"1 of 1 dead letter {PLACE}." in shown


@pytest.mark.parametrize("arguments", [(), ("--by-reason",), ("--reason", "Nope")])
def test_an_empty_list_is_a_sentence(deployment: Deployment, arguments: tuple[str, ...]) -> None:
    """An empty table would leave the operator in doubt."""
    assert run(deployment, "dead-letters", *arguments).stdout == f"No dead letters {PLACE}.\n"


@pytest.mark.usefixtures("dead_letters")
def test_a_filter_counts_what_it_matches(deployment: Deployment) -> None:
    """A filter that matches nothing does not look like an empty queue."""
    assert f"0 of 3 dead letters {PLACE}." in run(deployment, "dead-letters", "--reason", "Nope").stdout


def test_json_has_the_documented_members(deployment: Deployment, dead_letters: dict[str, str]) -> None:
    """Scripts depend on these names."""
    shown = run_json(deployment, "dead-letters", "--reason", "Stop*", "--job", "etl")
    (dead_letter,) = shown["letters"]
    assert shown["complete"] is True
    assert dead_letter["message_id"] == dead_letters["jr_a"]
    assert list(dead_letter) == [
        *("message_id", "reason", "meaning", "remedy", "error_message", "job_name"),
        *("job_run_ids", "sent_at", "age_seconds", "attempts", "via"),
    ]


@pytest.mark.usefixtures("dead_letters")
def test_reasons_are_counted(deployment: Deployment) -> None:
    """Each reason has its count by job, and its remedy."""
    shown = run_json(deployment, "dead-letters", "--by-reason")
    assert [(group["reason"], group["count"], group["jobs"]) for group in shown["reasons"]] == [
        ("NotAllowed", 2, {"etl": 1, "other": 1}),
        ("StopTimedOut", 1, {"etl": 1}),
    ]
    assert "Add the job to `jobs`" in run(deployment, "dead-letters", "--by-reason").stdout


@pytest.mark.usefixtures("dead_letters")
def test_an_incomplete_list_has_a_warning(deployment: Deployment, simulation: SimulatedAws) -> None:
    """When another consumer has a dead letter, the list is not called complete."""
    simulation.dead_letter_queue.receive(1, 60)
    assert "This may not be all: 3 were counted" in run(deployment, "dead-letters").stderr
    assert run_json(deployment, "dead-letters")["complete"] is False


def test_show_has_the_body_and_the_attributes(deployment: Deployment, dead_letters: dict[str, str]) -> None:
    """`show` takes a message id."""
    shown = run_json(deployment, "dead-letters", "show", dead_letters["jr_b"])
    assert json.loads(shown["body"])["JobRunIds"] == ["jr_b"]
    assert shown["attributes"]["ERROR_CODE"]["StringValue"] == "NotAllowed"
    table = run(deployment, "dead-letters", "show", dead_letters["jr_b"]).stdout
    assert "jr_b" in table
    assert PLACE in table


@pytest.mark.parametrize(("start", "count"), [("nope", 0), ("0", 3)])
@pytest.mark.usefixtures("dead_letters")
def test_show_needs_exactly_one_match(deployment: Deployment, start: str, count: int) -> None:
    """The first characters of an id match none, or several: both are errors."""
    result = invoke(deployment, "dead-letters", "show", start)
    assert f"{count} dead letters have an id" in str(result.exception)
