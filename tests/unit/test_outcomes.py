"""The table of outcomes is complete, and what is computed from it is right."""

from __future__ import annotations

import re
from typing import Final

import pytest

from gluebrake.outcomes import OUTCOMES, Outcome, Route, failures_of, outcomes_of
from gluebrake.stages import STAGES

pytestmark = pytest.mark.disable_socket

FAILURES: Final = {
    "stop": {
        Outcome.FAILED,
        Outcome.NOT_FOUND,
        Outcome.NOT_ALLOWED,
        Outcome.INVALID_REQUEST,
        Outcome.TOO_MANY_RUNS,
    },
    "confirm": {Outcome.STOP_TIMED_OUT, Outcome.UNCONFIRMED, Outcome.INVALID_REQUEST},
    "sweep": {Outcome.INVALID_REQUEST},
}
NOT_FINAL: Final = {
    Outcome.STOP_SUBMITTED,
    Outcome.ALREADY_STOPPING,
    Outcome.RETRYING,
    Outcome.DEFERRED,
    Outcome.NOT_YET_CONFIRMED,
}


def test_every_outcome_has_a_row() -> None:
    """The table has each outcome once, in the order of the outcomes."""
    assert list(OUTCOMES) == list(Outcome)


def test_every_route_is_used() -> None:
    """No route is left over."""
    assert {facts.route for facts in OUTCOMES.values()} == set(Route)


@pytest.mark.parametrize("outcome", Outcome)
def test_meaning_is_a_sentence(outcome: Outcome) -> None:
    """The documentation's tables have the meanings, each as one sentence with a period at its end."""
    meaning = OUTCOMES[outcome].meaning
    assert re.fullmatch(r"[A-Z][^.!?\n]*\.", meaning)
    assert len(meaning.split()) <= 25


@pytest.mark.parametrize("outcome", Outcome)
def test_stages_of_an_outcome_exist(outcome: Outcome) -> None:
    """Each outcome is decided by at least one stage of the table of stages."""
    stages = OUTCOMES[outcome].stages
    assert stages
    assert set(stages) <= STAGES.keys()


@pytest.mark.parametrize("stage", STAGES)
def test_outcomes_of_a_stage_are_its_rows(stage: str) -> None:
    """The rows of a stage are returned in the table's order."""
    assert outcomes_of(stage) == tuple(outcome for outcome in Outcome if stage in OUTCOMES[outcome].stages)


@pytest.mark.parametrize("stage", STAGES)
def test_failures_of_a_stage_lead_to_dead_letters(stage: str) -> None:
    """The failures are exactly the outcomes for which a person has to act."""
    failures = failures_of(stage)
    assert set(failures) == FAILURES[stage]
    assert len(failures) == len(FAILURES[stage])


@pytest.mark.parametrize("outcome", Outcome)
def test_failure_and_final_follow_from_the_route(outcome: Outcome) -> None:
    """A failure has a dead letter, and a final outcome leads to no work queue."""
    assert outcome.is_failure == any(outcome in failures for failures in FAILURES.values())
    assert outcome.is_final == (outcome not in NOT_FINAL)


def test_value_of_an_outcome_is_its_name() -> None:
    """The metric and the log line of an outcome have its name in CamelCase."""
    for outcome in Outcome:
        assert outcome.value == outcome.name.title().replace("_", "")


def test_unknown_stage_has_no_outcomes() -> None:
    """A name that is not in the table of stages decides nothing."""
    assert outcomes_of("noop") == ()
