"""Requests become targets, within the limits, in the fewest batches."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from itertools import chain
from math import ceil
from typing import TypeAlias

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from gluebrake.contract import Selection, StopRequest
from gluebrake.decisions.planning import Plan, as_dry_run, merge, plan
from gluebrake.model import Message, ParsedRequest, RunResult, StopTarget
from gluebrake.outcomes import Outcome
from gluebrake.patterns import matches
from tests.support.builders import (
    EVENT_VIA,
    NOON,
    limits,
    message,
    parsed,
    parsed_requests,
    request,
    target,
)

pytestmark = pytest.mark.disable_socket

Key: TypeAlias = tuple[str, str, bool]


def _key(target: StopTarget) -> Key:
    return target.run.job_name, target.run.run_id, target.dry_run


def _requests_by_key(requests: list[ParsedRequest]) -> dict[Key, list[ParsedRequest]]:
    """Return the requests for each (job, run, dry run), the earliest message first, computed independently."""
    by_key: dict[Key, list[ParsedRequest]] = {}
    for earliest_first in sorted(requests, key=lambda r: (r.message.sent_at, r.message.message_id)):
        stop_request = earliest_first.request
        for run_id in sorted(set(stop_request.job_run_ids or ())):
            key = (stop_request.job_name, run_id, stop_request.dry_run)
            by_key.setdefault(key, []).append(earliest_first)
    return by_key


def _all_targets(planned: Plan) -> list[StopTarget]:
    stops = chain.from_iterable(batch.targets for batch in planned.stops)
    return [*stops, *planned.dry_runs, *(result.target for result in planned.results)]


def _earlier(minutes: int) -> datetime:
    return NOON - timedelta(minutes=minutes)


def _least_claim(messages: list[Message]) -> Message:
    """Return the first message without a submission time, else the first of all, with the fewest attempts."""
    without_time = [message for message in messages if not message.submitted_at]
    attempts = min(message.attempt for message in without_time or messages)
    return next(message for message in without_time or messages if message.attempt == attempts)


class TestMerging:
    """Messages that name the same run share a target."""

    @given(parsed_requests())
    def test_each_run_and_dry_run_has_one_target(self, requests: list[ParsedRequest]) -> None:
        """Each (job, run, dry run) that a message names has one target, and there are no others."""
        planned = plan(requests, limits())
        counts = Counter(map(_key, _all_targets(planned)))
        assert counts == dict.fromkeys(_requests_by_key(requests), 1)
        assert planned.targets == len(counts)

    @given(parsed_requests())
    def test_target_combines_its_messages(self, requests: list[ParsedRequest]) -> None:
        """A target has the lowest attempt, the first submission, the earliest request and all message ids."""
        by_key = _requests_by_key(requests)
        for merged in merge(requests):
            of_target = by_key[_key(merged)]
            messages, earliest = [parsed.message for parsed in of_target], of_target[0]
            believed = [message for message in messages if message.is_retry] or [_least_claim(messages)]
            assert merged.attempt == min(message.attempt for message in messages)
            assert merged.submitted_at == min(
                (message.submitted_at for message in believed if message.submitted_at), default=None
            )
            assert merged.message_ids == tuple(message.message_id for message in messages)
            assert merged.request == replace(earliest.request, job_run_ids=UNSET, select=UNSET)
            assert (merged.sender, merged.via) == (earliest.message.sender, earliest.message.via)
            assert merged.maybe_already_stopped == (
                any(message.attempt > 0 for message in believed)
                or any(message.receive_count > 1 for message in messages)
            )

    @given(st.data())
    def test_order_of_delivery_changes_nothing(self, data: st.DataObject) -> None:
        """SQS delivers in any order, and the plan depends on when messages were sent."""
        requests = data.draw(parsed_requests())
        shuffled = data.draw(st.permutations(requests))
        strict = limits(max_runs_per_request=40)
        assert plan(shuffled, strict).stops == plan(requests, strict).stops
        assert merge(shuffled) == merge(requests)

    def test_earliest_message_decides_the_request(self) -> None:
        """Reason, requester, sender and envelope are those of the earliest message."""
        late = parsed(
            by=message(message_id="late", submitted_at=_earlier(30), sender="bob", via="event late"),
            reason="late",
        )
        early = parsed(
            by=message(
                message_id="early",
                sent_at=_earlier(5),
                attempt=2,
                submitted_at=_earlier(10),
                via=EVENT_VIA,
            ),
            reason="early",
            requested_by="guardrail",
        )
        assert merge([late, early]) == [
            target(
                attempt=0,
                maybe_already_stopped=False,
                submitted_at=_earlier(30),
                reason="early",
                message_ids=("early", "late"),
                requested_by="guardrail",
                via=EVENT_VIA,
            )
        ]

    @pytest.mark.parametrize(
        ("by", "submitted_at"),
        [(message(is_retry=True, submitted_at=_earlier(1)), _earlier(1)), (message(), None)],
    )
    def test_false_bookkeeping_affects_its_own_message_only(
        self, by: Message, submitted_at: datetime | None
    ) -> None:
        """A message of a function, and a message without bookkeeping, count more than another's claims."""
        forged = parsed(by=message(message_id="forged", attempt=3, submitted_at=_earlier(60)))
        for requests in ([forged, parsed(by=by)], [parsed(by=by), forged]):
            (merged,) = merge(requests)
            assert (merged.submitted_at, merged.maybe_already_stopped) == (submitted_at, False)

    def test_runs_of_the_earliest_message_are_first(self) -> None:
        """When not all calls can be made, those for the earliest message are."""
        late = parsed("jr_1", "jr_2", by=message(message_id="late"))
        early = parsed("jr_3", "jr_2", by=message(message_id="early", sent_at=_earlier(5)))
        assert [merged.run.run_id for merged in merge([late, early])] == ["jr_3", "jr_2", "jr_1"]

    def test_target_is_of_one_run_without_its_attempts(self) -> None:
        """The attempts of a named run are targets by themselves, so no target includes attempts again."""
        including = parsed("jr_1", include_attempts=True, attempts_started_before=NOON, reason="over budget")
        merged = merge([replace(including, run_ids=("jr_1", "jr_2"))])
        assert [target.run.run_id for target in merged] == ["jr_1", "jr_2"]
        assert {target.request for target in merged} == {StopRequest("etl", reason="over budget")}

    def test_attempt_of_one_message_is_a_named_run_of_another(self) -> None:
        """A run that a message means as an attempt, and another names, is one target of both."""
        named = parsed("jr_2", by=message(message_id="named"))
        including = parsed("jr_1", include_attempts=True, attempts_started_before=NOON)
        first, second = merge([replace(including, run_ids=("jr_1", "jr_2")), named])
        assert (first.run.run_id, first.message_ids) == ("jr_1", ("m-1",))
        assert (second.run.run_id, second.message_ids) == ("jr_2", ("m-1", "named"))

    def test_run_that_a_message_names_twice_is_one_target(self) -> None:
        """The target has the message's id once."""
        (merged,) = merge([parsed("jr_1", "jr_1")])
        assert merged.message_ids == ("m-1",)

    def test_dry_run_and_stop_of_a_run_are_two_targets(self) -> None:
        """A dry run does not suppress a stop of the same run, and does not become one."""
        planned = plan([parsed(by=message(message_id="dry"), dry_run=True), parsed()], limits())
        stops = [target for batch in planned.stops for target in batch.targets]
        assert [(target.dry_run, target.message_ids) for target in stops] == [(False, ("m-1",))]
        assert [(target.dry_run, target.message_ids) for target in planned.dry_runs] == [(True, ("dry",))]

    def test_same_run_id_of_another_job_is_another_run(self) -> None:
        """A run is identified by a job's name and a run id."""
        planned = plan([parsed(job_name="etl"), parsed(job_name="report")], limits())
        assert [batch.job_name for batch in planned.stops] == ["etl", "report"]

    def test_no_request_is_an_empty_plan(self) -> None:
        """Without requests there is nothing to do."""
        assert plan([], limits()) == Plan((), (), (), (), 0, 0, 0)


class TestBatches:
    """A batch is one call of BatchStopJobRun."""

    @given(parsed_requests())
    def test_batches_are_the_fewest_that_glue_accepts(self, requests: list[ParsedRequest]) -> None:
        """Each batch has 1 to 25 runs of one job, and a job has no more batches than its runs need."""
        planned = plan(requests, limits())
        runs = Counter(job_name for job_name, _, dry_run in _requests_by_key(requests) if not dry_run)
        for batch in planned.stops:
            assert 1 <= len(batch.targets) <= 25
            assert {target.run.job_name for target in batch.targets} == {batch.job_name}
            assert not any(target.dry_run for target in batch.targets)
        assert Counter(batch.job_name for batch in planned.stops) == {
            job_name: ceil(count / 25) for job_name, count in runs.items()
        }

    @pytest.mark.parametrize(("runs", "sizes"), [(1, [1]), (25, [25]), (26, [25, 1]), (51, [25, 25, 1])])
    def test_batches_are_filled_in_order(self, runs: int, sizes: list[int]) -> None:
        """Only the last batch of a job has fewer than 25 runs."""
        planned = plan([parsed(*(f"jr_{number}" for number in range(runs)))], limits())
        assert [len(batch.targets) for batch in planned.stops] == sizes

    @given(parsed_requests())
    def test_dry_runs_are_in_no_batch(self, requests: list[ParsedRequest]) -> None:
        """The targets whose states are only read are the dry runs, all of them."""
        planned = plan(requests, limits())
        assert set(map(_key, planned.dry_runs)) == {key for key in _requests_by_key(requests) if key[2]}


class TestObserving:
    """Requests that are read as dry runs."""

    @given(parsed_requests())
    def test_request_becomes_a_dry_run(self, requests: list[ParsedRequest]) -> None:
        """No request is left that stops a run, and nothing else of a request changes."""
        observed = [as_dry_run(parsed) for parsed in requests]
        planned = plan(observed, limits())
        assert planned.stops == ()
        assert {target.run for target in planned.dry_runs} == {target.run for target in merge(requests)}
        assert observed == [replace(p, request=replace(p.request, dry_run=True)) for p in requests]


class TestCounts:
    """What the plan counts."""

    @given(parsed_requests())
    def test_each_mention_is_a_target_or_a_duplicate(self, requests: list[ParsedRequest]) -> None:
        """Targets and duplicates add up to the mentions of runs in all messages."""
        planned = plan(requests, limits())
        mentions = sum(len(parsed.request.job_run_ids or ()) for parsed in requests)
        assert mentions == planned.targets + planned.duplicates

    @pytest.mark.parametrize(
        ("by", "requested"),
        [
            (message(), 3),
            (message(receive_count=2), 0),
            (message(is_retry=True), 0),
            (message(is_retry=True, attempt=1), 0),
        ],
    )
    def test_runs_are_requested_only_once(self, by: Message, requested: int) -> None:
        """A redelivery, and a retry that Gluebrake sent, count no runs again."""
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
        """A protected job is rejected, and so is a job that is not allowed. Protection takes precedence."""
        planned = plan([parsed(dry_run=dry_run)], limits(jobs=allowed, protected_jobs=protected))
        assert [result.outcome for result in planned.results] == ([outcome] if outcome else [])
        assert len(planned.stops) + len(planned.dry_runs) == (0 if outcome else 1)
        assert planned.targets == 1

    def test_rejected_target_names_its_limit(self) -> None:
        """Log line and dead letter show which setting rejects the job."""
        planned = plan(
            [parsed(job_name="prod"), parsed(job_name="report")],
            limits(jobs=("etl",), protected_jobs=("prod",)),
        )
        why = {result.target.run.job_name: (result.code, result.error) for result in planned.results}
        assert why == {
            "prod": ("Protected", "the job matches protectedJobs"),
            "report": ("NotAllowed", "the job matches none of jobs"),
        }

    @given(parsed_requests(), st.sampled_from([(), ("etl",), ("*",)]), st.sampled_from([("*",), ("nightly",)]))
    def test_limits_lose_no_target(
        self, requests: list[ParsedRequest], protected: tuple[str, ...], allowed: tuple[str, ...]
    ) -> None:
        """With any patterns, each target is planned or rejected, exactly once, by its job's name."""
        planned = plan(requests, limits(jobs=allowed, protected_jobs=protected))
        by_key = _requests_by_key(requests)
        assert Counter(map(_key, _all_targets(planned))) == dict.fromkeys(by_key, 1)
        assert {result.target.run.job_name for result in planned.results} == {
            job_name
            for job_name, _, _ in by_key
            if job_name in protected or "*" in protected or not ("*" in allowed or job_name in allowed)
        }

    def test_request_of_exactly_the_limit_is_planned(self) -> None:
        """The limit itself is allowed, and a repeated id counts once."""
        planned = plan([parsed("jr_1", "jr_2", "jr_1")], limits(max_runs_per_request=2))
        assert (planned.targets, planned.message_results) == (2, ())

    @pytest.mark.parametrize("dry_run", [False, True])
    def test_request_over_the_limit_stops_nothing(self, *, dry_run: bool) -> None:
        """A request for too many runs fails as a whole, and the other requests are planned."""
        large = parsed("jr_1", "jr_2", "jr_3", by=message(message_id="large"), dry_run=dry_run)
        planned = plan([large, parsed("jr_3")], limits(max_runs_per_request=2))
        (failed,) = planned.message_results
        assert (failed.message, failed.outcome, failed.request) == (
            large.message,
            Outcome.TOO_MANY_RUNS,
            large.request,
        )
        assert failed.why == "JobRunIds: names 3 runs, but maxRunsPerRequest is 2; none was stopped"
        assert [target.message_ids for target in _all_targets(planned)] == [("m-1",)]
        assert (planned.requested, planned.duplicates) == (1, 0)

    def test_selection_over_the_limit_is_named_as_one(self) -> None:
        """The reason names Select, since the request has no JobRunIds."""
        selection = request(job_run_ids=UNSET, select=Selection())
        large = ParsedRequest(message(), selection, ("jr_1", "jr_2", "jr_3"))
        (failed,) = plan([large], limits(max_runs_per_request=2)).message_results
        assert failed.why == "Select: matches 3 runs, but maxRunsPerRequest is 2; none was stopped"

    @pytest.mark.parametrize(("inactive", "fails"), [(0, True), (1, False)])
    def test_attempts_count_towards_the_limit(self, inactive: int, *, fails: bool) -> None:
        """Named runs and active attempts count, and the reason names the field that adds the attempts."""
        including = parsed("jr_1", include_attempts=True, attempts_started_before=NOON)
        large = replace(including, run_ids=("jr_1", "jr_2", "jr_3"), inactive=inactive)
        planned = plan([large], limits(max_runs_per_request=2))
        reasons = [failed.why for failed in planned.message_results]
        expected = "IncludeAttempts: means 3 runs, but maxRunsPerRequest is 2; none was stopped"
        assert reasons == ([expected] if fails else [])
        assert len(_all_targets(planned)) == (0 if fails else 3)

    def test_rejected_target_has_the_merged_request(self) -> None:
        """The result has the whole target, so that the log shows who requested the stop."""
        planned = plan([parsed(reason="over budget")], limits(jobs=("report",)))
        (rejected,) = planned.results
        assert rejected == RunResult(
            target(reason="over budget", requested_by=""),
            Outcome.NOT_ALLOWED,
            "NotAllowed",
            "the job matches none of jobs",
        )


def _matches(pattern: str, name: str) -> bool:
    """Match by the definition: `*` is nothing, or one character and `*` again."""
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
        """The function agrees with a simple matcher that follows the definition."""
        assert matches(pattern, name) == _matches(pattern, name)

    @given(st.text(max_size=8).filter(lambda name: "*" not in name))
    def test_name_without_an_asterisk_matches_itself(self, name: str) -> None:
        """Any such text is a pattern for itself alone."""
        assert matches(name, name)
        assert not matches(name, name + "x")
        assert not matches(name, "x" + name)

    @pytest.mark.parametrize(("pattern", "is_match"), [("etl-*-v*-eu", True), ("etl-*-w*-eu", False)])
    def test_each_part_must_occur(self, pattern: str, *, is_match: bool) -> None:
        """The text between two asterisks is somewhere in the name."""
        assert matches(pattern, "etl-orders-v2-eu") is is_match

    def test_asterisks_do_not_multiply_the_time(self) -> None:
        """The name is searched once for each part, while a matcher that backtracks would not return."""
        assert not matches("*a" * 30 + "*b", "a" * 255)
