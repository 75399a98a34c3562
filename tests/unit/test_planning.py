"""Planning: demands, limits, and the fewest batches."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from datetime import timedelta
from itertools import chain
from math import ceil
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

import gluebrake
from gluebrake.contract import Selection
from gluebrake.decisions.planning import Plan, matches, merge, plan
from gluebrake.model import ParsedRequest, RunResult, StopTarget
from gluebrake.outcomes import Outcome
from tests.support.builders import NOON, askings, limits, message, parsed, request, target

pytestmark = pytest.mark.disable_socket

Key: TypeAlias = tuple[str, str, bool]


def _key(target: StopTarget) -> Key:
    return target.run.job_name, target.run.run_id, target.dry_run


def _behind(askings: list[ParsedRequest]) -> dict[Key, list[ParsedRequest]]:
    """Return what asks for each (job, run, dry run), the earliest message first: a plain second opinion."""
    behind: dict[Key, list[ParsedRequest]] = {}
    for one in sorted(askings, key=lambda one: (one.message.sent_at, one.message.message_id)):
        for run_id in sorted(set(one.request.job_run_ids or ())):
            behind.setdefault((one.request.job_name, run_id, one.request.dry_run), []).append(one)
    return behind


def _planned(made: Plan) -> list[StopTarget]:
    stops = chain.from_iterable(batch.targets for batch in made.stops)
    return [*stops, *made.looks, *(result.target for result in made.results)]


def _earlier(minutes: int) -> Any:
    return NOON - timedelta(minutes=minutes)


class TestMerging:
    """Messages about the same run share one demand."""

    @given(askings())
    def test_each_run_and_kind_of_run_is_demanded_once(self, askings: list[ParsedRequest]) -> None:
        """Every (job, run, dry run) that some message names has one demand, and nothing else has."""
        made = plan(askings, limits())
        counts = Counter(map(_key, _planned(made)))
        assert counts == dict.fromkeys(_behind(askings), 1)
        assert made.targets == len(counts)

    @given(askings())
    def test_demand_holds_what_all_its_messages_said(self, askings: list[ParsedRequest]) -> None:
        """The lowest attempt, the earliest submission, the earliest message's notes, and all the ids."""
        behind = _behind(askings)
        for merged in merge(askings):
            those = behind[_key(merged)]
            messages, first = [one.message for one in those], those[0]
            assert merged.attempt == min(message.attempt for message in messages)
            assert merged.submitted_at == min(
                (message.submitted_at for message in messages if message.submitted_at), default=None
            )
            assert merged.message_ids == tuple(message.message_id for message in messages)
            assert merged.reason == (first.request.reason or "")
            assert merged.requested_by == (first.request.requested_by or "")
            assert merged.sender == first.message.sender
            assert merged.maybe_already_stopped == any(m.attempt > 0 or m.receive_count > 1 for m in messages)

    @given(st.data())
    def test_order_of_arrival_changes_nothing(self, data: st.DataObject) -> None:
        """SQS delivers in any order; the plan depends on when messages were sent."""
        some = data.draw(askings())
        shuffled = data.draw(st.permutations(some))
        assert plan(shuffled, limits(max_runs_per_request=40)).stops == (
            plan(some, limits(max_runs_per_request=40)).stops
        )
        assert merge(shuffled) == merge(some)

    def test_earliest_message_speaks_for_all(self) -> None:
        """The reason, the requester and the sender are those of whoever asked first."""
        late = parsed(
            by=message(message_id="late", attempt=0, submitted_at=_earlier(30), sender="bob"), reason="late"
        )
        early = parsed(
            by=message(message_id="early", sent_at=_earlier(5), attempt=2, submitted_at=_earlier(10)),
            reason="early",
            requested_by="guardrail",
        )
        assert merge([late, early]) == [
            target(
                attempt=0,
                maybe_already_stopped=True,
                submitted_at=_earlier(30),
                reason="early",
                message_ids=("early", "late"),
                requested_by="guardrail",
            )
        ]

    def test_runs_of_the_earliest_message_come_first(self) -> None:
        """When not all calls can be made, those that were asked for first are."""
        late = parsed("jr_1", "jr_2", by=message(message_id="late"))
        early = parsed("jr_3", "jr_2", by=message(message_id="early", sent_at=_earlier(5)))
        assert [one.run.run_id for one in merge([late, early])] == ["jr_3", "jr_2", "jr_1"]

    def test_run_named_twice_in_a_message_is_one_demand(self) -> None:
        """A message stands behind its demand once, however often it names the run."""
        (merged,) = merge([parsed("jr_1", "jr_1")])
        assert merged.message_ids == ("m-1",)

    def test_dry_run_neither_suppresses_nor_becomes_a_stop(self) -> None:
        """Asked to stop a run and to show what stopping it would do, both are done."""
        made = plan([parsed(by=message(message_id="dry"), dry_run=True), parsed()], limits())
        assert [(d.dry_run, d.message_ids) for batch in made.stops for d in batch.targets] == [
            (False, ("m-1",))
        ]
        assert [(d.dry_run, d.message_ids) for d in made.looks] == [(True, ("dry",))]

    def test_same_run_id_of_another_job_is_another_run(self) -> None:
        """A run is a job's name and an id."""
        made = plan([parsed(job_name="etl"), parsed(job_name="report")], limits())
        assert [batch.job_name for batch in made.stops] == ["etl", "report"]

    def test_nothing_asked_is_nothing_planned(self) -> None:
        """Without messages there is nothing to do."""
        assert plan([], limits()) == Plan((), (), (), (), 0, 0, 0)


class TestBatches:
    """One BatchStopJobRun call each."""

    @given(askings())
    def test_batches_are_the_fewest_that_glue_takes(self, askings: list[ParsedRequest]) -> None:
        """Each batch has 1 to 25 runs of one job, and a job has no more batches than its runs need."""
        made = plan(askings, limits())
        runs = Counter(job_name for job_name, _, dry_run in _behind(askings) if not dry_run)
        for batch in made.stops:
            assert 1 <= len(batch.targets) <= 25
            assert {one.run.job_name for one in batch.targets} == {batch.job_name}
            assert not any(one.dry_run for one in batch.targets)
        assert Counter(batch.job_name for batch in made.stops) == {
            job_name: ceil(count / 25) for job_name, count in runs.items()
        }

    @pytest.mark.parametrize(("runs", "sizes"), [(1, [1]), (25, [25]), (26, [25, 1]), (51, [25, 25, 1])])
    def test_batches_are_filled_in_order(self, runs: int, sizes: list[int]) -> None:
        """Only the last batch of a job has room left."""
        made = plan([parsed(*(f"jr_{number}" for number in range(runs)))], limits())
        assert [len(batch.targets) for batch in made.stops] == sizes

    @given(askings())
    def test_only_dry_runs_are_merely_looked_at(self, askings: list[ParsedRequest]) -> None:
        """The looks are the dry runs, all of them."""
        made = plan(askings, limits())
        assert {_key(one) for one in made.looks} == {key for key in _behind(askings) if key[2]}


class TestCounts:
    """What the plan counts."""

    @given(askings())
    def test_mentions_are_demands_and_duplicates(self, askings: list[ParsedRequest]) -> None:
        """Each mention of a run in a message is a demand or a duplicate."""
        made = plan(askings, limits())
        mentions = sum(len(one.request.job_run_ids or ()) for one in askings)
        assert mentions == made.targets + made.duplicates

    @pytest.mark.parametrize(
        ("by", "requested"),
        [
            (message(), 3),
            (message(receive_count=2), 0),
            (message(is_retry=True), 0),
            (message(is_retry=True, attempt=1), 0),
        ],
    )
    def test_runs_are_requested_only_once(self, by: Any, requested: int) -> None:
        """A redelivery, and a message of our own, ask for nothing new."""
        assert plan([parsed("jr_1", "jr_2", "jr_1", by=by)], limits()).requested == requested


class TestLimits:
    """What may be stopped."""

    @pytest.mark.parametrize(
        ("allowed", "protected", "outcome"),
        [
            (("*",), (), None),
            (("etl",), (), None),
            (("etl*", "report"), ("etl",), Outcome.PROTECTED),
            (("report",), (), Outcome.NOT_ALLOWED),
            (("ETL",), (), Outcome.NOT_ALLOWED),
            (("report",), ("e*",), Outcome.PROTECTED),
            (("*",), ("*",), Outcome.PROTECTED),
            (("*",), ("et", "tl", "Etl", "e?l", "[e]tl"), None),
        ],
    )
    @pytest.mark.parametrize("dry_run", [False, True])
    def test_patterns_decide_without_a_call(
        self, allowed: tuple[str, ...], protected: tuple[str, ...], outcome: Outcome | None, *, dry_run: bool
    ) -> None:
        """A job that is protected, or outside of what may be stopped, is settled by that; protected wins."""
        made = plan([parsed(dry_run=dry_run)], limits(jobs=allowed, protected_jobs=protected))
        assert [result.outcome for result in made.results] == ([outcome] if outcome else [])
        assert len(made.stops) + len(made.looks) == (0 if outcome else 1)
        assert made.targets == 1

    def test_settled_demand_says_which_limit_it_was(self) -> None:
        """The log and the dead letter tell which setting keeps the job from being stopped."""
        made = plan(
            [parsed(job_name="prod"), parsed(job_name="report")],
            limits(jobs=("etl",), protected_jobs=("prod",)),
        )
        why = {result.target.run.job_name: (result.code, result.error) for result in made.results}
        assert why == {
            "prod": ("Protected", "the job matches protectedJobs"),
            "report": ("NotAllowed", "the job matches none of jobs"),
        }

    @given(askings(), st.sampled_from([(), ("etl",), ("*",)]), st.sampled_from([("*",), ("nightly",)]))
    def test_limits_lose_no_demand(
        self, askings: list[ParsedRequest], protected: tuple[str, ...], allowed: tuple[str, ...]
    ) -> None:
        """Whatever the patterns, each demand is planned or settled, exactly once, and by its job's name."""
        made = plan(askings, limits(jobs=allowed, protected_jobs=protected))
        assert Counter(map(_key, _planned(made))) == dict.fromkeys(_behind(askings), 1)
        assert {result.target.run.job_name for result in made.results} == {
            job_name
            for job_name, _, _ in _behind(askings)
            if job_name in protected or "*" in protected or not ("*" in allowed or job_name in allowed)
        }

    def test_request_of_exactly_the_limit_is_planned(self) -> None:
        """The limit itself is allowed; ids that repeat count once."""
        made = plan([parsed("jr_1", "jr_2", "jr_1")], limits(max_runs_per_request=2))
        assert (made.targets, made.message_results) == (2, ())

    @pytest.mark.parametrize("dry_run", [False, True])
    def test_request_over_the_limit_stops_nothing(self, *, dry_run: bool) -> None:
        """A message that names too many runs is settled as a whole; its neighbours are planned."""
        big = parsed("jr_1", "jr_2", "jr_3", by=message(message_id="big"), dry_run=dry_run)
        made = plan([big, parsed("jr_3")], limits(max_runs_per_request=2))
        (settled,) = made.message_results
        assert (settled.message, settled.outcome, settled.request) == (
            big.message,
            Outcome.TOO_MANY_RUNS,
            big.request,
        )
        assert settled.why == "JobRunIds: names 3 runs, but maxRunsPerRequest is 2; none was stopped"
        assert [one.message_ids for one in _planned(made)] == [("m-1",)]
        assert (made.requested, made.duplicates) == (1, 0)

    def test_selection_over_the_limit_says_that_it_is_one(self) -> None:
        """What it means was found, not named."""
        big = ParsedRequest(message(), request(job_run_ids=UNSET, select=Selection()), ("jr_1", "jr_2", "jr_3"))
        (settled,) = plan([big], limits(max_runs_per_request=2)).message_results
        assert settled.why == "Select: means 3 runs, but maxRunsPerRequest is 2; none was stopped"


def _matches(pattern: str, name: str) -> bool:
    """Match as the definition reads: `*` is nothing, or one character and `*` again."""
    if not pattern:
        return not name
    if pattern[0] == "*":
        return _matches(pattern[1:], name) or (bool(name) and _matches(pattern, name[1:]))
    return bool(name) and name[0] == pattern[0] and _matches(pattern[1:], name[1:])


class TestPatterns:
    """Patterns of job names."""

    @given(
        st.text("ab*", max_size=7) | st.text("aA.+?[]\\^$|(){}*\n é", max_size=5),
        st.text("ab", max_size=7) | st.text("aA.+?[]\\^$|(){}*\n é", max_size=6),
    )
    @example("a*", "a\n")
    @example("a", "a\n")
    @example("a*a", "a")
    @example("ab*ba", "aba")
    @example("*a*a*", "a")
    @example("**", "")
    @example("", "")
    @hypothesis_settings(max_examples=500)
    def test_only_the_asterisk_is_special(self, pattern: str, name: str) -> None:
        """Matching agrees with a naive matcher that follows the definition."""
        assert matches(pattern, name) == _matches(pattern, name)

    @given(st.text(max_size=8).filter(lambda name: "*" not in name))
    def test_name_without_an_asterisk_matches_itself(self, name: str) -> None:
        """Any text at all is a pattern for itself alone."""
        assert matches(name, name)
        assert not matches(name, name + "x")
        assert not matches(name, "x" + name)

    def test_asterisks_do_not_multiply_the_time(self) -> None:
        """A pattern with several asterisks is matched at once, also against a name made to be slow."""
        program = "from gluebrake.decisions.planning import matches; matches('*a*a*a*a*b', 'a' * 255)"
        environ = {"PYTHONPATH": str(Path(gluebrake.__file__).parent.parent)}
        subprocess.run([sys.executable, "-c", program], env=environ, timeout=3, check=True)


def test_plan_does_not_read_what_others_settled() -> None:
    """Results carry the demand as it was merged, so that the log tells who asked."""
    made = plan([parsed(reason="over budget")], limits(jobs=("report",)))
    (result,) = made.results
    assert result == RunResult(
        replace(target(), reason="over budget", requested_by=""),
        Outcome.NOT_ALLOWED,
        "NotAllowed",
        "the job matches none of jobs",
    )
