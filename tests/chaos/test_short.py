"""A short part of `python -m prove`, the same each time: singly, in pairs, killed, flooded, and deployed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gluebrake.aws.glue import Glue
from tests.chaos import cases, flood, kills, matrix, pairs
from tests.chaos.stand import TestBed, standing

SEED = 20_261_124

# One of each kind of trouble, on each call.
ON_THE_STACK = {
    "calm",
    "calm-unknown",
    "BatchStopJobRun-throttled-thrice",
    "BatchStopJobRun-denied-always",
    "BatchStopJobRun-answer-lost-once",
    "run-SomethingNewException-always",
    "GetJobRuns-internal-500-once",
    "GetJobRun-reset-once",
    "GetTags-throttled-once",
    "PutEvents-throttled-always",
}
SENDING = {"to-Confirm-reset-once", "to-Stop-answer-lost-thrice", "to-DeadLetter-entries-once"}


@pytest.fixture(scope="module")
def stand() -> Iterator[TestBed]:
    """Deploy, with the proxy between."""
    with standing() as stand:
        stand.give_functions(6)
        yield stand


def test_deployed_stack_loses_and_invents_nothing(stand: TestBed) -> None:
    """With faults of each kind on calls of each kind, every run ends as it must, within its budget of calls."""
    assert matrix.attack(stand, _named(ON_THE_STACK)) == []


def test_deployed_stack_loses_nothing_when_sends_fail(stand: TestBed) -> None:
    """With sends failing to each queue, whole and entry by entry, every run ends as it must."""
    assert matrix.attack(stand, _named(SENDING)) == []


def test_an_end_that_is_not_expected_is_found(stand: TestBed) -> None:
    """The matrix reports a case whose runs end otherwise than it says."""
    (broken,) = matrix.attack(stand, [matrix.Case(name="else", troubles=[], ends=frozenset({"Failed"}))])
    assert broken == "else: ended as ['Stopped'], not as ['Failed']"


def _named(names: set[str]) -> list[matrix.Case]:
    known = [*cases.glue_faults(), *cases.faults_of_sending()]
    chosen = [case for case in known if case.name in names]
    assert {case.name for case in chosen} == names
    return chosen


def test_names_of_cases_are_distinct() -> None:
    """Each case has a job of its own."""
    names = [case.name for case in (*cases.glue_faults(), *cases.faults_of_sending())]
    assert len(names) == len(set(names))


def test_pairs_lose_and_invent_nothing() -> None:
    """Two faults at a time, drawn by a seed, break no promise."""
    assert [broken for some in pairs.pairs(SEED, 8) for broken in pairs.tried(some)] == []


def test_pairs_are_the_same_for_the_same_seed() -> None:
    """A seed repeats a run."""
    words = [[word for word, _ in some] for some in pairs.pairs(SEED, 20)]
    assert words == [[word for word, _ in some] for some in pairs.pairs(SEED, 20)]
    assert words != [[word for word, _ in some] for some in pairs.pairs(SEED + 1, 20)]


def test_a_lost_demand_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the stop function to forget a finding, the attack would say so."""
    stop = Glue.stop
    monkeypatch.setattr(Glue, "stop", lambda *arguments: stop(*arguments)[1:])
    assert any("lost: " in broken for broken in pairs.tried([]))


def test_killed_at_its_calls_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that is killed at calls drawn by lot leaves nothing undone."""
    monkeypatch.setattr(kills, "RANDOM_ROUNDS", 1)
    broken, killed = kills.at_random(SEED, lambda _: None)
    assert broken == []
    assert killed > 0


def test_flood_is_accounted_for_with_the_fewest_calls() -> None:
    """Messages by the hundred end once each, with a call for every 25 runs."""
    told: list[str] = []
    flow = flood.flood(600, 200, told.append)
    assert (flow.broken, flow.stop_calls) == ([], flow.calls_expected)
    assert told == ["200 of 600 messages", "400 of 600 messages", "600 of 600 messages"]
    assert min(flow.microseconds) > 0
    assert flow.growth >= 1
