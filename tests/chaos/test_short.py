"""A short, repeatable part of `python -m tests.chaos`: faults, pairs, kills, a flood, the deployed stack."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gluebrake.aws.glue import Glue
from tests.chaos import cases, flood, kills, matrix, pairs
from tests.chaos.testbed import TestBed, deployed

SEED = 20_261_124

# One case for each kind of fault and each operation.
GLUE_CASES = {
    "no-fault",
    "no-fault-unknown-run",
    "BatchStopJobRun-throttled-three-times",
    "BatchStopJobRun-denied-always",
    "BatchStopJobRun-answer-lost-once",
    "run-SomethingNewException-always",
    "GetJobRuns-internal-500-once",
    "GetJobRun-reset-once",
    "GetTags-throttled-once",
    "PutEvents-throttled-always",
}
SEND_CASES = {"to-Confirm-reset-once", "to-Stop-answer-lost-three-times", "to-DeadLetter-entries-once"}


@pytest.fixture(scope="module")
def test_bed() -> Iterator[TestBed]:
    """Deploy the stack behind the proxy."""
    with deployed() as test_bed:
        test_bed.set_timeouts(6)
        yield test_bed


def test_deployed_stack_loses_and_invents_nothing(test_bed: TestBed) -> None:
    """With a fault in calls of each operation, every run ends as expected, within the limit of calls."""
    assert matrix.run_cases(test_bed, _cases(GLUE_CASES)) == []


def test_deployed_stack_loses_nothing_when_sends_fail(test_bed: TestBed) -> None:
    """With failed sends to each queue, whole calls and single entries, every run ends as expected."""
    assert matrix.run_cases(test_bed, _cases(SEND_CASES)) == []


def test_unexpected_end_is_detected(test_bed: TestBed) -> None:
    """The matrix reports a case whose runs end with another outcome than the expected one."""
    case = matrix.Case(name="else", faults=[], ends=frozenset({"Failed"}))
    (violation,) = matrix.run_cases(test_bed, [case])
    assert violation == "else: ended as ['Stopped'], not as ['Failed']"


def _cases(names: set[str]) -> list[matrix.Case]:
    chosen = [case for case in (*cases.glue_faults(), *cases.send_faults()) if case.name in names]
    assert {case.name for case in chosen} == names
    return chosen


def test_names_of_cases_are_distinct() -> None:
    """Each case has its own job."""
    names = [case.name for case in (*cases.glue_faults(), *cases.send_faults())]
    assert len(names) == len(set(names))


def test_pairs_of_faults_lose_and_invent_nothing() -> None:
    """Two faults at a time, drawn with a seed, violate no invariant."""
    assert [violation for plan in pairs.draw_pairs(SEED, 8) for violation in pairs.run_plan(plan)] == []


def test_pairs_are_the_same_for_the_same_seed() -> None:
    """A seed repeats a run."""
    names = [[name for name, _ in plan] for plan in pairs.draw_pairs(SEED, 20)]
    assert names == [[name for name, _ in plan] for plan in pairs.draw_pairs(SEED, 20)]
    assert names != [[name for name, _ in plan] for plan in pairs.draw_pairs(SEED + 1, 20)]


def test_lost_target_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    """If STOP dropped a finding, the attack would report it."""
    stop = Glue.stop
    monkeypatch.setattr(Glue, "stop", lambda *arguments: stop(*arguments)[1:])
    assert any("lost: " in violation for violation in pairs.run_plan([]))


def test_kills_at_random_calls_lose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that is killed at random calls violates no invariant."""
    monkeypatch.setattr(kills, "RANDOM_ROUNDS", 1)
    violations, count = kills.at_random(SEED, lambda _: None)
    assert violations == []
    assert count > 0


def test_flood_has_one_result_for_each_message_with_the_fewest_calls() -> None:
    """Each of hundreds of messages ends once, with one call for 25 runs."""
    steps: list[str] = []
    result = flood.flood(600, 200, steps.append)
    assert (result.violations, result.stop_calls) == ([], result.expected_calls)
    assert steps == ["200 of 600 messages", "400 of 600 messages", "600 of 600 messages"]
    assert min(result.cpu_microseconds) > 0
    assert result.memory_growth >= 1
