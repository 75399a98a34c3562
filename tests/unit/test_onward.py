"""Onward: each outcome has its destination, and as few messages as say it go there."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timedelta
from itertools import chain
from math import ceil
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from gluebrake import sqs_record
from gluebrake.aws.sqs import MAX_BYTES
from gluebrake.contract import ATTEMPT, SENDER, SUBMITTED_AT, Selection
from gluebrake.decisions.planning import merge
from gluebrake.decisions.routing import IDS_IN_A_MESSAGE, ROUTES, Backoff, sends
from gluebrake.model import Message, MessageResult, ParsedRequest, Queue, RunResult, Send
from gluebrake.outcomes import Outcome
from gluebrake.parsing import dispatcher
from tests.support.builders import (
    AWS_ENVIRONMENT,
    NOON,
    OUR_ATTRIBUTES,
    OUR_SENDER_ID,
    SENDER_ID,
    message,
    message_result,
    policy,
    record,
    request,
    result,
    results,
    target,
)

pytestmark = pytest.mark.disable_socket

DESTINATIONS: Final[dict[Outcome, Queue | None]] = {
    Outcome.STOP_SUBMITTED: Queue.CONFIRM,
    Outcome.ALREADY_STOPPING: Queue.CONFIRM,
    Outcome.ALREADY_FINISHED: None,
    Outcome.NOT_FOUND: Queue.DEAD_LETTER,
    Outcome.PROTECTED: None,
    Outcome.NOT_ALLOWED: Queue.DEAD_LETTER,
    Outcome.WOULD_STOP: None,
    Outcome.RETRYING: Queue.STOP,
    Outcome.DEFERRED: Queue.STOP,
    Outcome.FAILED: Queue.DEAD_LETTER,
    Outcome.STOPPED: None,
    Outcome.FINISHED_BEFORE_STOP: None,
    Outcome.NOT_YET_CONFIRMED: Queue.CONFIRM,
    Outcome.STOP_TIMED_OUT: Queue.DEAD_LETTER,
    Outcome.INVALID_REQUEST: Queue.DEAD_LETTER,
    Outcome.TOO_MANY_RUNS: Queue.DEAD_LETTER,
    Outcome.NO_ACTIVE_RUNS: None,
    Outcome.IGNORED: None,
}
OF_A_MESSAGE: Final = (
    Outcome.INVALID_REQUEST,
    Outcome.TOO_MANY_RUNS,
    Outcome.NO_ACTIVE_RUNS,
    Outcome.IGNORED,
)
OF_A_DEMAND: Final = tuple(outcome for outcome in Outcome if outcome not in OF_A_MESSAGE)
HANDED_ON: Final = tuple(o for o in OF_A_DEMAND if DESTINATIONS[o] in {Queue.STOP, Queue.CONFIRM})
DEADLY: Final = tuple(o for o in OF_A_DEMAND if DESTINATIONS[o] is Queue.DEAD_LETTER)
EARLIER: Final = NOON - timedelta(minutes=10)


def _sends(
    some: list[RunResult],
    messages: list[MessageResult] | None = None,
    jitter: float = 0.5,
    **changes: Any,
) -> list[Send]:
    return sends(some, messages or [], policy(**changes), now=NOON, jitter=lambda: jitter)


def _received(sent: Send, attributes: dict[str, str] | None = None) -> Message:
    """Receive what was sent, as the next function does."""
    sent_by_us = record(
        sent.body, sent.attributes if attributes is None else attributes, SenderId=OUR_SENDER_ID
    )
    return sqs_record.message(sent_by_us, max_attempts=100, trusted_sender_ids={"AROAGLUEBRAKE"})


def _asked(sent: Send) -> ParsedRequest:
    """Read what was sent, as the next function does."""
    read = dispatcher.read(_received(sent), AWS_ENVIRONMENT)
    assert isinstance(read, ParsedRequest), read
    return read


def _without_runs(sent: Send) -> str:
    return json.dumps({**json.loads(sent.body), "JobRunIds": None}, sort_keys=True)


class TestDestinations:
    """Which queue an outcome leads to."""

    def test_each_outcome_has_a_place_in_the_table(self) -> None:
        """No outcome is left without saying whether it leads anywhere."""
        assert {outcome: to and to.queue for outcome, to in ROUTES.items()} == DESTINATIONS
        assert set(ROUTES) == set(Outcome)

    @pytest.mark.parametrize("outcome", OF_A_DEMAND)
    def test_outcome_of_a_demand_leads_to_its_queue(self, outcome: Outcome) -> None:
        """One demand leads to one message at most, in the right queue, with its message behind it."""
        sent = _sends([result(outcome)])
        queue = DESTINATIONS[outcome]
        assert [one.queue for one in sent] == ([queue] if queue else [])
        assert all(one.message_ids == {"m-1"} for one in sent)

    @pytest.mark.parametrize("outcome", OF_A_MESSAGE)
    def test_outcome_of_a_message_leads_to_its_queue(self, outcome: Outcome) -> None:
        """A message that could not be used is a dead letter, one that asks for nothing is done."""
        sent = _sends([], [message_result(outcome)])
        queue = DESTINATIONS[outcome]
        assert [one.queue for one in sent] == ([queue] if queue else [])

    @given(st.lists(results(), max_size=10))
    def test_each_message_is_behind_what_it_led_to(self, some: list[RunResult]) -> None:
        """Exactly the messages of demands that go on are behind the sends, each behind its own runs."""
        behind: dict[tuple[Queue, str, str, bool], set[str]] = {}
        for sent in _sends(some):
            asked = json.loads(sent.body)
            for run_id in asked["JobRunIds"]:
                key = (sent.queue, asked["JobName"], run_id, asked.get("DryRun", False))
                behind.setdefault(key, set()).update(sent.message_ids)
        wanted: dict[tuple[Queue, str, str, bool], set[str]] = {}
        for one in some:
            queue, of = DESTINATIONS[one.outcome], one.target
            if queue and not (queue is Queue.DEAD_LETTER and of.dry_run):
                key = (queue, of.run.job_name, of.run.run_id, of.dry_run)
                wanted.setdefault(key, set()).update(of.message_ids)
        assert wanted.keys() == behind.keys()
        assert all(behind[key] >= wanted[key] for key in wanted)
        assert set().union(*behind.values()) == set().union(*wanted.values())

    @given(st.lists(results(), max_size=10))
    def test_every_body_is_a_stop_request(self, some: list[RunResult]) -> None:
        """Whatever is sent can be read again, and names each run that goes on exactly once."""
        sent = _sends(some)
        read = Counter(
            (one.queue, asked.request.job_name, run_id)
            for one in sent
            for asked in [_asked(one)]
            for run_id in asked.request.job_run_ids or ()
        )
        wanted = Counter(
            (queue, one.target.run.job_name, one.target.run.run_id)
            for one in some
            for queue in [DESTINATIONS[one.outcome]]
            if queue and not (queue is Queue.DEAD_LETTER and one.target.dry_run)
        )
        assert read == wanted


class TestHandingOn:
    """What the next stage is told."""

    @pytest.mark.parametrize("outcome", HANDED_ON)
    def test_notes_travel_along(self, outcome: Outcome) -> None:
        """The next stage knows as well as this one who asked for what, and why."""
        (sent,) = _sends([result(outcome, dry_run=True, reason="over\nbudget")])
        (merged,) = merge([_asked(sent)])
        assert merged.run == target().run
        assert (merged.dry_run, merged.reason) == (True, "over\nbudget")
        assert (merged.requested_by, merged.sender) == ("guardrail/nightly", SENDER_ID)

    def test_demand_without_notes_says_nothing(self) -> None:
        """A reason or a requester that nobody gave is left out, since an empty one is invalid."""
        (sent,) = _sends([result(Outcome.RETRYING, reason="", requested_by="")])
        assert json.loads(sent.body) == {"JobName": "etl", "JobRunIds": ["jr_1"]}
        assert (_asked(sent).request.reason, _asked(sent).request.requested_by) == (UNSET, UNSET)

    @pytest.mark.parametrize(
        ("outcome", "attempt"),
        [
            (Outcome.STOP_SUBMITTED, 0),
            (Outcome.ALREADY_STOPPING, 0),
            (Outcome.RETRYING, 4),
            (Outcome.DEFERRED, 3),
            (Outcome.NOT_YET_CONFIRMED, 4),
        ],
    )
    def test_attempt_counts_within_a_stage(self, outcome: Outcome, attempt: int) -> None:
        """A retry and a further look count up, a deferral was none, and confirming starts at nothing."""
        (sent,) = _sends([result(outcome, attempt=3)])
        assert sent.attributes[ATTEMPT] == str(attempt)
        assert _received(sent).attempt == attempt

    @pytest.mark.parametrize("known", [None, EARLIER])
    @pytest.mark.parametrize(
        ("outcome", "kept"),
        [
            (Outcome.STOP_SUBMITTED, False),
            (Outcome.ALREADY_STOPPING, True),
            (Outcome.RETRYING, True),
            (Outcome.DEFERRED, True),
            (Outcome.NOT_YET_CONFIRMED, True),
        ],
    )
    def test_submission_time_is_kept_or_now(
        self, outcome: Outcome, known: datetime | None, *, kept: bool
    ) -> None:
        """A submission is now; what was submitted before keeps its time; what never was has none."""
        (sent,) = _sends([result(outcome, submitted_at=known)])
        to_confirm = outcome in {Outcome.STOP_SUBMITTED, Outcome.ALREADY_STOPPING}
        wanted = known if kept and known else (NOON if to_confirm else None)
        assert _received(sent).submitted_at == wanted
        assert (SUBMITTED_AT in sent.attributes) == (wanted is not None)

    @pytest.mark.parametrize(("minutes", "kept"), [(30, True), (31, False), (600, False)])
    def test_submission_past_its_deadline_is_watched_anew(self, minutes: int, *, kept: bool) -> None:
        """A run brought back long after it was submitted gets its whole time again."""
        known = NOON - timedelta(minutes=minutes)
        (sent,) = _sends([result(Outcome.ALREADY_STOPPING, submitted_at=known)])
        assert _received(sent).submitted_at == (known if kept else NOON)

    def test_only_our_attributes_are_written(self) -> None:
        """What goes on carries our bookkeeping and nothing else."""
        (sent,) = _sends([result(Outcome.STOP_SUBMITTED)])
        assert sent.attributes == {ATTEMPT: "0", SENDER: SENDER_ID, SUBMITTED_AT: NOON.isoformat()}

    def test_deferred_demand_is_still_a_retried_one(self) -> None:
        """A redelivered demand that is deferred may have been stopped by the delivery before."""
        (redelivered,) = merge(
            [replace(_asked(_sends([result(Outcome.DEFERRED)])[0]), message=message(receive_count=2))]
        )
        assert redelivered.maybe_already_stopped
        (deferred,) = merge([_asked(*_sends([RunResult(redelivered, Outcome.DEFERRED)]))])
        assert deferred.maybe_already_stopped


class TestBatching:
    """Re-sends stay together."""

    @pytest.mark.parametrize("outcome", HANDED_ON)
    @pytest.mark.parametrize(("runs", "messages"), [(1, 1), (500, 1), (501, 2), (1000, 2)])
    def test_runs_that_are_alike_share_messages(self, outcome: Outcome, runs: int, messages: int) -> None:
        """All runs of which the same is said go in as few messages as there may be, in order."""
        some = [result(outcome, run_id=f"jr_{number}") for number in range(runs)]
        sent = _sends(some)
        assert len(sent) == messages
        run_ids = chain.from_iterable(json.loads(one.body)["JobRunIds"] for one in sent)
        assert list(run_ids) == [one.target.run.run_id for one in some]

    def test_limit_of_a_message_is_the_policys(self) -> None:
        """A request may allow fewer runs than a message could hold; our own must pass as well."""
        some = [result(Outcome.RETRYING, run_id=f"jr_{number}") for number in range(25)]
        sizes = [len(json.loads(one.body)["JobRunIds"]) for one in _sends(some, ids_in_a_message=10)]
        assert sizes == [10, 10, 5]

    @pytest.mark.parametrize(
        "changes",
        [
            {"job_name": "report"},
            {"attempt": 1},
            {"dry_run": True},
            {"reason": "other"},
            {"requested_by": "other"},
            {"sender": "other"},
            {"submitted_at": EARLIER},
        ],
    )
    def test_runs_that_differ_do_not_share_a_message(self, changes: dict[str, Any]) -> None:
        """A message says one thing of all its runs, so what differs is said in another."""
        some = [result(Outcome.RETRYING), result(Outcome.RETRYING, run_id="jr_2", **changes)]
        assert len(_sends(some)) == 2

    def test_message_ids_differ_and_do_not_matter(self) -> None:
        """Runs of several messages share one, which has all of them behind it."""
        some = [
            result(Outcome.RETRYING),
            result(Outcome.RETRYING, run_id="jr_2", message_ids=("m-2", "m-3")),
        ]
        (sent,) = _sends(some)
        assert sent.message_ids == {"m-1", "m-2", "m-3"}

    def test_outcomes_that_lead_to_the_same_place_share_a_message(self) -> None:
        """Submitted now and found stopping now are confirmed alike."""
        some = [result(Outcome.STOP_SUBMITTED), result(Outcome.ALREADY_STOPPING, run_id="jr_2")]
        (sent,) = _sends(some)
        assert json.loads(sent.body)["JobRunIds"] == ["jr_1", "jr_2"]

    @given(st.lists(results(), max_size=20), st.integers(1, 5))
    def test_messages_are_the_fewest(self, some: list[RunResult], size: int) -> None:
        """There are as many messages as the groups of runs that are alike need, and not one more."""
        alone = [sent for one in some for sent in _sends([one]) if sent.queue is not Queue.DEAD_LETTER]
        groups = Counter((sent.queue, _without_runs(sent), *sent.attributes.items()) for sent in alone)
        sent = [one for one in _sends(some, ids_in_a_message=size) if one.queue is not Queue.DEAD_LETTER]
        assert len(sent) == sum(ceil(count / size) for count in groups.values())

    @pytest.mark.parametrize("character", ["\U0001f6d1", '"', "\\", "\t", "\x80"])
    def test_largest_message_fits_into_sqs(self, character: str) -> None:
        """With the longest ids, names and notes, in whatever characters, a message is not too large."""
        long = character * 250
        some = [
            result(
                Outcome.RETRYING,
                run_id=f"{number:05}{long}",
                job_name=long,
                reason=character * 1024,
                requested_by=character * 1024,
            )
            for number in range(IDS_IN_A_MESSAGE)
        ]
        (sent,) = _sends(some)
        assert len(sent.body.encode()) < MAX_BYTES - 10_000


class TestDeadLetters:
    """What is left for a person."""

    @pytest.mark.parametrize("outcome", DEADLY)
    def test_each_run_has_a_dead_letter_of_its_own(self, outcome: Outcome) -> None:
        """A dead letter is one run, so that each can be brought back by itself."""
        some = [result(outcome, run_id="jr_1"), result(outcome, run_id="jr_2")]
        sent = _sends(some)
        assert [json.loads(one.body)["JobRunIds"] for one in sent] == [["jr_1"], ["jr_2"]]
        assert [one.delay_seconds for one in sent] == [0, 0]

    @pytest.mark.parametrize("outcome", DEADLY)
    def test_reason_is_told_in_eventbridges_words(self, outcome: Outcome) -> None:
        """A dead letter says what went wrong, and has none of the attributes that would travel on."""
        failed = replace(
            result(outcome, attempt=7), code="ThrottlingException", error="Rate exceeded", state="RUNNING"
        )
        (sent,) = _sends([failed])
        assert sent.attributes == {
            "ERROR_CODE": "ThrottlingException",
            "ERROR_MESSAGE": "Rate exceeded Glue says that the run is RUNNING.",
            "RETRY_ATTEMPTS": "7",
        }

    @pytest.mark.parametrize("outcome", DEADLY)
    @pytest.mark.parametrize(
        ("error", "state", "told"),
        [
            ("", "STOPPING", "Glue says that the run is STOPPING."),
            ("No run.", "", "No run."),
            ("", "", "The outcome is {}."),
        ],
    )
    def test_reason_is_never_empty(self, outcome: Outcome, error: str, state: str, told: str) -> None:
        """Where Glue gave no code or text, the outcome and the state speak."""
        (sent,) = _sends([replace(result(outcome), error=error, state=state)])
        assert sent.attributes["ERROR_CODE"] == outcome.value
        assert sent.attributes["ERROR_MESSAGE"] == told.format(outcome.value)

    @pytest.mark.parametrize("outcome", DEADLY)
    def test_dry_run_leaves_no_dead_letter(self, outcome: Outcome) -> None:
        """What only would have been stopped is nobody's business when it cannot be."""
        assert _sends([result(outcome, dry_run=True)]) == []

    def test_dry_run_of_too_many_leaves_no_dead_letter(self) -> None:
        """The same is true of a message as a whole."""
        assert _sends([], [message_result(Outcome.TOO_MANY_RUNS, dry_run=True)]) == []

    @pytest.mark.parametrize("outcome", [Outcome.INVALID_REQUEST, Outcome.TOO_MANY_RUNS])
    def test_unusable_message_is_kept_verbatim(self, outcome: Outcome) -> None:
        """The body of a message that could not be used goes on as it is, with the reason beside it."""
        (sent,) = _sends([], [message_result(outcome)])
        assert sent.body == "{"
        assert sent.message_ids == {"m-1"}
        assert sent.attributes == {
            "ERROR_CODE": outcome.value,
            "ERROR_MESSAGE": "the body: is not JSON",
            "RETRY_ATTEMPTS": "2",
        }

    @pytest.mark.parametrize(("outcome", "attempt"), [(Outcome.RETRYING, "3"), (Outcome.DEFERRED, "2")])
    def test_search_that_is_tried_again_is_its_message_again(self, outcome: Outcome, attempt: str) -> None:
        """A selection for which there was no answer goes back whole, in its message's name."""
        selection = request(job_run_ids=UNSET, select=Selection(started_before=NOON))
        unfound = replace(message_result(outcome), request=selection)
        (sent,) = _sends([], [unfound])
        assert (sent.queue, sent.message_ids) == (Queue.STOP, frozenset({"m-1"}))
        assert sent.attributes == {ATTEMPT: attempt, SENDER: SENDER_ID}
        assert sent.delay_seconds == policy().retry.seconds(int(attempt), 0.5)
        assert _asked(sent).request == selection

    def test_dead_letter_of_a_selection_keeps_its_time(self) -> None:
        """Brought back, it means no run that started after it was first read."""
        selection = request(job_run_ids=UNSET, select=Selection(started_before=NOON))
        (sent,) = _sends([], [replace(message_result(Outcome.FAILED), request=selection)])
        assert json.loads(sent.body)["Select"] == {"StartedBefore": "2026-11-24T12:00:00Z"}

    @pytest.mark.parametrize("outcome", DEADLY)
    def test_dead_letter_that_is_brought_back_starts_anew(self, outcome: Outcome) -> None:
        """Moved to the stop queue as it is, it is a first message that asks for the same run."""
        (sent,) = _sends([result(outcome, attempt=7, submitted_at=EARLIER)])
        assert not sent.attributes.keys() & OUR_ATTRIBUTES
        received = _received(sent)
        assert (received.is_first, received.attempt, received.submitted_at) == (True, 0, None)
        assert _asked(sent).request.job_run_ids == ("jr_1",)


class TestDelays:
    """How soon."""

    @pytest.mark.parametrize(
        ("attempt", "longest"), [(0, 5), (1, 5), (2, 10), (3, 20), (7, 320), (8, 640), (9, 900), (99, 900)]
    )
    def test_delays_double_up_to_the_longest(self, attempt: int, longest: int) -> None:
        """Each attempt waits twice as long as the one before, as far as one message can carry it."""
        backoff = Backoff(5, 900, first_attempt=1)
        assert backoff.seconds(attempt, 1) == longest
        assert backoff.seconds(attempt, 0) == ceil(longest / 2)

    @given(st.integers(1, 900), st.integers(1, 900), st.integers(0, 1), st.integers(0, 10**6), st.floats(0, 1))
    def test_delay_is_in_the_upper_half(
        self, first: int, longest: int, first_attempt: int, attempt: int, jitter: float
    ) -> None:
        """However often, a delay is one that SQS takes, and spread over the upper half of its range."""
        seconds = Backoff(first, longest, first_attempt).seconds(attempt, jitter)
        cap = Backoff(first, longest, first_attempt).seconds(attempt, 1)
        assert 1 <= ceil(cap / 2) <= seconds <= cap <= min(longest, 900)

    @pytest.mark.parametrize(
        ("outcome", "attempt", "delay"),
        [
            (Outcome.RETRYING, 0, 5),
            (Outcome.RETRYING, 2, 20),
            (Outcome.DEFERRED, 0, 5),
            (Outcome.DEFERRED, 2, 10),
        ],
    )
    def test_retry_waits_by_its_attempt(self, outcome: Outcome, attempt: int, delay: int) -> None:
        """The first retry waits for the first delay, and so does what was never tried."""
        (sent,) = _sends([result(outcome, attempt=attempt)], jitter=1)
        assert sent.delay_seconds == delay

    @pytest.mark.parametrize(
        ("outcome", "attempt", "delay"),
        [
            (Outcome.STOP_SUBMITTED, 5, 15),
            (Outcome.NOT_YET_CONFIRMED, 0, 30),
            (Outcome.NOT_YET_CONFIRMED, 9, 300),
        ],
    )
    def test_look_waits_by_its_number(self, outcome: Outcome, attempt: int, delay: int) -> None:
        """The first look comes soon, later ones less often."""
        (sent,) = _sends([result(outcome, attempt=attempt)], jitter=1)
        assert sent.delay_seconds == delay

    def test_each_message_is_spread_by_itself(self) -> None:
        """The runs in a message stay together, and messages spread."""
        drawn = iter([0.0, 1.0])
        some = [
            result(Outcome.RETRYING, run_id=f"jr_{number}", reason="a" if number < 5 else "b")
            for number in range(10)
        ]
        sent = sends(some, [], policy(), now=NOON, jitter=lambda: next(drawn))
        assert [one.delay_seconds for one in sent] == [3, 5]

    @pytest.mark.parametrize(
        ("age", "delay"), [(0, 300), (1499, 300), (1500, 300), (1501, 300), (1502, 299), (1799, 2), (1799.5, 2)]
    )
    def test_last_look_comes_just_past_the_deadline(self, age: float, delay: int) -> None:
        """A run is looked at when its deadline has passed, not a whole delay later."""
        submitted_at = NOON - timedelta(seconds=age)
        (sent,) = _sends([result(Outcome.NOT_YET_CONFIRMED, attempt=9, submitted_at=submitted_at)], jitter=1)
        assert sent.delay_seconds == delay

    @pytest.mark.parametrize("age", [1800, 1801, 100_000])
    def test_run_that_cannot_be_read_past_the_deadline_waits_as_long_as_ever(self, age: float) -> None:
        """Past the deadline only failed reads go on, and they are not hurried."""
        submitted_at = NOON - timedelta(seconds=age)
        (sent,) = _sends([result(Outcome.NOT_YET_CONFIRMED, attempt=9, submitted_at=submitted_at)], jitter=1)
        assert sent.delay_seconds == 300

    @given(st.integers(0, 30), st.integers(-60, 4000), st.floats(0, 1), st.integers(1, 86_400))
    def test_look_never_overshoots_the_deadline(
        self, attempt: int, age: int, jitter: float, deadline: int
    ) -> None:
        """A look before the deadline is followed by one at most a second past it."""
        looked = result(Outcome.NOT_YET_CONFIRMED, attempt=attempt, submitted_at=NOON - timedelta(seconds=age))
        (sent,) = _sends([looked], jitter=jitter, deadline_seconds=deadline)
        assert 1 <= sent.delay_seconds <= 900
        if age < deadline:
            assert age + sent.delay_seconds <= deadline + 1
