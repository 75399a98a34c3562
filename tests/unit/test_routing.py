"""Each outcome leads to its queue, in the fewest messages."""

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

from gluebrake import lambda_event
from gluebrake.aws.sqs import MAX_BYTES
from gluebrake.contract import ATTEMPT, SENDER, STAGE, SUBMITTED_AT, VIA, Selection
from gluebrake.decisions.planning import merge
from gluebrake.decisions.routing import IDS_IN_A_MESSAGE, Backoff, outgoing_messages
from gluebrake.decisions.selection import delivered_before
from gluebrake.model import Message, MessageResult, OutgoingMessage, ParsedRequest, RunResult
from gluebrake.outcomes import OUTCOMES, Outcome, Route
from gluebrake.parsing import dispatcher
from gluebrake.stages import Queue
from tests.support.builders import (
    AWS_ENVIRONMENT,
    BOOKKEEPING_ATTRIBUTES,
    EVENT_VIA,
    FUNCTION_SENDER_ID,
    NOON,
    SENDER_ID,
    bookkeeping,
    message,
    message_result,
    parse_requests,
    record,
    request,
    result,
    results,
    retry_policy,
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
    Outcome.UNCONFIRMED: Queue.DEAD_LETTER,
    Outcome.INVALID_REQUEST: Queue.DEAD_LETTER,
    Outcome.TOO_MANY_RUNS: Queue.DEAD_LETTER,
    Outcome.NO_ACTIVE_RUNS: None,
    Outcome.IGNORED: None,
    Outcome.SWEPT: None,
    Outcome.SWEEP_LATE: None,
}
QUEUES: Final[dict[Route, Queue | None]] = {
    Route.END: None,
    Route.CONFIRM: Queue.CONFIRM,
    Route.NEXT_ATTEMPT: Queue.STOP,
    Route.SAME_ATTEMPT: Queue.STOP,
    Route.NEXT_POLL: Queue.CONFIRM,
    Route.DEAD_LETTER: Queue.DEAD_LETTER,
}
MESSAGE_OUTCOMES: Final = (
    Outcome.INVALID_REQUEST,
    Outcome.TOO_MANY_RUNS,
    Outcome.NO_ACTIVE_RUNS,
    Outcome.IGNORED,
)
RUN_OUTCOMES: Final = tuple(outcome for outcome in Outcome if outcome not in MESSAGE_OUTCOMES)
SENT_ON: Final = tuple(o for o in RUN_OUTCOMES if DESTINATIONS[o] in {Queue.STOP, Queue.CONFIRM})
FAILURES: Final = tuple(o for o in RUN_OUTCOMES if DESTINATIONS[o] is Queue.DEAD_LETTER)
EARLIER: Final = NOON - timedelta(minutes=10)


def _routed(
    run_results: list[RunResult],
    message_results: list[MessageResult] | None = None,
    jitter: float = 0.5,
    **changes: Any,
) -> list[OutgoingMessage]:
    """Route the results at noon; `changes` are the retry policy's."""
    policy = retry_policy(**changes)
    return outgoing_messages(run_results, message_results or [], policy, now=NOON, jitter=lambda: jitter)


def _received(sent: OutgoingMessage) -> Message:
    """Receive the message as the next function does. A dead letter is redriven to the stop queue."""
    received = record(sent.body, sent.attributes, SenderId=FUNCTION_SENDER_ID)
    stage = "confirm" if sent.queue is Queue.CONFIRM else "stop"
    return lambda_event.sqs_message(received, bookkeeping(stage=stage, max_attempts=100))


def _parsed(sent: OutgoingMessage) -> ParsedRequest:
    """Receive and parse the message as the next function does."""
    requests, unusable = parse_requests([_received(sent)], dispatcher.parse, AWS_ENVIRONMENT)
    assert not unusable
    (parsed,) = requests
    return parsed


def _without_runs(sent: OutgoingMessage) -> str:
    return json.dumps({**json.loads(sent.body), "JobRunIds": None}, sort_keys=True)


def _has_message(result: RunResult) -> bool:
    """Return whether a message results: a failed dry run has no dead letter."""
    queue = DESTINATIONS[result.outcome]
    return queue is not None and not (queue is Queue.DEAD_LETTER and result.target.dry_run)


class TestDestinations:
    """The queue that an outcome leads to."""

    def test_each_outcome_has_a_destination(self) -> None:
        """The table of outcomes has a route for every outcome."""
        assert {outcome: QUEUES[facts.route] for outcome, facts in OUTCOMES.items()} == DESTINATIONS
        assert set(OUTCOMES) == set(Outcome)

    @pytest.mark.parametrize("outcome", RUN_OUTCOMES)
    def test_outcome_of_a_run_leads_to_its_queue(self, outcome: Outcome) -> None:
        """A target leads to at most one message, which has the id of the message that named the run."""
        sent = _routed([result(outcome)])
        queue = DESTINATIONS[outcome]
        assert [message.queue for message in sent] == ([queue] if queue else [])
        assert all(message.message_ids == {"m-1"} for message in sent)

    @pytest.mark.parametrize("outcome", MESSAGE_OUTCOMES)
    def test_outcome_of_a_message_leads_to_its_queue(self, outcome: Outcome) -> None:
        """A message that cannot be used becomes a dead letter. One that requests nothing leads nowhere."""
        sent = _routed([], [message_result(outcome)])
        queue = DESTINATIONS[outcome]
        assert [message.queue for message in sent] == ([queue] if queue else [])

    @given(st.lists(results(), max_size=10))
    def test_sent_messages_have_the_ids_of_their_messages(self, run_results: list[RunResult]) -> None:
        """A message that is sent has the ids of all messages that named its runs, and no others."""
        sent_ids: dict[tuple[Queue, str, str, bool], set[str]] = {}
        for sent in _routed(run_results):
            body = json.loads(sent.body)
            for run_id in body["JobRunIds"]:
                key = (sent.queue, body["JobName"], run_id, body.get("DryRun", False))
                sent_ids.setdefault(key, set()).update(sent.message_ids)
        expected: dict[tuple[Queue, str, str, bool], set[str]] = {}
        for run_result in filter(_has_message, run_results):
            queue, stop_target = DESTINATIONS[run_result.outcome], run_result.target
            assert queue
            key = (queue, stop_target.run.job_name, stop_target.run.run_id, stop_target.dry_run)
            expected.setdefault(key, set()).update(stop_target.message_ids)
        assert expected.keys() == sent_ids.keys()
        assert all(sent_ids[key] >= expected[key] for key in expected)
        assert set().union(*sent_ids.values()) == set().union(*expected.values())

    @given(st.lists(results(), max_size=10))
    def test_every_body_is_a_stop_request(self, run_results: list[RunResult]) -> None:
        """Each body that is sent can be parsed, and names each run exactly once."""
        named = Counter(
            (sent.queue, parsed.request.job_name, run_id)
            for sent in _routed(run_results)
            for parsed in [_parsed(sent)]
            for run_id in parsed.request.job_run_ids or ()
        )
        expected = Counter(
            (DESTINATIONS[result.outcome], result.target.run.job_name, result.target.run.run_id)
            for result in filter(_has_message, run_results)
        )
        assert named == expected


class TestSendingOn:
    """Messages for the next attempt, the next poll or the next stage."""

    @pytest.mark.parametrize("outcome", SENT_ON)
    def test_notes_are_sent_on(self, outcome: Outcome) -> None:
        """The next stage gets the run, the dry run, the reason, the requester, the sender and the envelope."""
        (sent,) = _routed([result(outcome, dry_run=True, reason="over\nbudget", via=EVENT_VIA)])
        (merged,) = merge([_parsed(sent)])
        assert merged.run == target().run
        assert (merged.dry_run, merged.request.reason) == (True, "over\nbudget")
        assert (merged.request.requested_by, merged.sender) == ("guardrail/nightly", SENDER_ID)
        assert merged.via == EVENT_VIA

    def test_absent_notes_are_left_out(self) -> None:
        """A request without reason and requester stays without them, since empty ones are invalid."""
        (sent,) = _routed([result(Outcome.RETRYING, reason="", requested_by="")])
        assert json.loads(sent.body) == {"JobName": "etl", "JobRunIds": ["jr_1"]}
        assert (_parsed(sent).request.reason, _parsed(sent).request.requested_by) == (UNSET, UNSET)

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
        """A retry and a further poll count one more, a deferral counts none, and confirmation starts at 0."""
        (sent,) = _routed([result(outcome, attempt=3)])
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
        """A run that was just submitted has the present time. Every other known time is kept."""
        (sent,) = _routed([result(outcome, submitted_at=known)])
        to_confirm = outcome in {Outcome.STOP_SUBMITTED, Outcome.ALREADY_STOPPING}
        expected = known if kept and known else (NOON if to_confirm else None)
        assert _received(sent).submitted_at == expected
        assert (SUBMITTED_AT in sent.attributes) == (expected is not None)

    @pytest.mark.parametrize(("minutes", "kept"), [(30, True), (31, False), (600, False)])
    def test_submission_past_its_deadline_starts_again(self, minutes: int, *, kept: bool) -> None:
        """A run that is redriven long after its submission has the whole deadline again."""
        known = NOON - timedelta(minutes=minutes)
        (sent,) = _routed([result(Outcome.ALREADY_STOPPING, submitted_at=known)])
        assert _received(sent).submitted_at == (known if kept else NOON)

    def test_message_has_only_the_bookkeeping_attributes(self) -> None:
        """A message has attempt, stage, first sender, submission time and envelope, if there was one."""
        expected = {
            ATTEMPT: "0",
            STAGE: "confirm",
            SENDER: SENDER_ID,
            SUBMITTED_AT: NOON.isoformat(),
        }
        for via, attribute in (("", {}), (EVENT_VIA, {VIA: EVENT_VIA})):
            (sent,) = _routed([result(Outcome.STOP_SUBMITTED, via=via)])
            assert sent.attributes == {**expected, **attribute}

    def test_deferred_target_may_already_be_stopped(self) -> None:
        """An earlier delivery may have stopped the run of a target that is deferred after its redelivery."""
        first = replace(_parsed(_routed([result(Outcome.DEFERRED)])[0]), message=message(receive_count=2))
        (redelivered,) = merge([first])
        assert redelivered.maybe_already_stopped
        (deferred,) = merge([_parsed(*_routed([RunResult(redelivered, Outcome.DEFERRED)]))])
        assert deferred.maybe_already_stopped


class TestSharing:
    """Runs share messages."""

    @pytest.mark.parametrize("outcome", SENT_ON)
    @pytest.mark.parametrize(("runs", "messages"), [(1, 1), (500, 1), (501, 2), (1000, 2)])
    def test_equal_targets_share_messages(self, outcome: Outcome, runs: int, messages: int) -> None:
        """Targets that differ only in the run are sent in the fewest messages, in order."""
        run_results = [result(outcome, run_id=f"jr_{number}") for number in range(runs)]
        sent = _routed(run_results)
        assert len(sent) == messages
        run_ids = chain.from_iterable(json.loads(message.body)["JobRunIds"] for message in sent)
        assert list(run_ids) == [result.target.run.run_id for result in run_results]

    def test_policy_limits_the_ids_of_a_message(self) -> None:
        """A request may allow fewer runs than fit into a message, and Gluebrake's own messages keep to that."""
        run_results = [result(Outcome.RETRYING, run_id=f"jr_{number}") for number in range(25)]
        sent = _routed(run_results, ids_in_a_message=10)
        assert [len(json.loads(message.body)["JobRunIds"]) for message in sent] == [10, 10, 5]

    @pytest.mark.parametrize(
        "changes",
        [
            {"job_name": "report"},
            {"attempt": 1},
            {"dry_run": True},
            {"reason": "other"},
            {"requested_by": "other"},
            {"sender": "other"},
            {"via": EVENT_VIA},
            {"submitted_at": EARLIER},
        ],
    )
    def test_targets_that_differ_do_not_share_a_message(self, changes: dict[str, Any]) -> None:
        """A message has one job, one request and one set of attributes for all its runs."""
        run_results = [result(Outcome.RETRYING), result(Outcome.RETRYING, run_id="jr_2", **changes)]
        assert len(_routed(run_results)) == 2

    def test_runs_of_several_messages_share_a_message(self) -> None:
        """The message that they share has the ids of all of those messages."""
        run_results = [
            result(Outcome.RETRYING),
            result(Outcome.RETRYING, run_id="jr_2", message_ids=("m-2", "m-3")),
        ]
        (sent,) = _routed(run_results)
        assert sent.message_ids == {"m-1", "m-2", "m-3"}

    def test_outcomes_with_the_same_route_share_a_message(self) -> None:
        """A run that was just submitted and one that was already stopping are confirmed together."""
        run_results = [result(Outcome.STOP_SUBMITTED), result(Outcome.ALREADY_STOPPING, run_id="jr_2")]
        (sent,) = _routed(run_results)
        assert json.loads(sent.body)["JobRunIds"] == ["jr_1", "jr_2"]

    @given(st.lists(results(), max_size=20), st.integers(1, 5))
    def test_messages_are_the_fewest(self, run_results: list[RunResult], size: int) -> None:
        """There are as many messages as the groups of equal targets need, and no more."""
        single = [sent for run_result in run_results for sent in _routed([run_result])]
        groups = Counter(
            (sent.queue, _without_runs(sent), *sent.attributes.items())
            for sent in single
            if sent.queue is not Queue.DEAD_LETTER
        )
        sent = [m for m in _routed(run_results, ids_in_a_message=size) if m.queue is not Queue.DEAD_LETTER]
        assert len(sent) == sum(ceil(count / size) for count in groups.values())

    @pytest.mark.parametrize("character", ["\U0001f6d1", '"', "\\", "\t", "\x80"])
    def test_largest_message_fits_into_sqs(self, character: str) -> None:
        """A message with the longest ids, names and notes, in any characters, is not too large."""
        long = character * 250
        run_results = [
            result(
                Outcome.RETRYING,
                run_id=f"{number:05}{long}",
                job_name=long,
                reason=character * 1024,
                requested_by=character * 1024,
            )
            for number in range(IDS_IN_A_MESSAGE)
        ]
        (sent,) = _routed(run_results)
        assert len(sent.body.encode()) < MAX_BYTES - 10_000


class TestDeadLetters:
    """Dead letters, and selections that are sent again."""

    @pytest.mark.parametrize("outcome", FAILURES)
    def test_each_run_has_its_own_dead_letter(self, outcome: Outcome) -> None:
        """A dead letter names one run, so that each run can be redriven by itself."""
        sent = _routed([result(outcome, run_id="jr_1"), result(outcome, run_id="jr_2")])
        assert [json.loads(message.body)["JobRunIds"] for message in sent] == [["jr_1"], ["jr_2"]]
        assert [message.delay_seconds for message in sent] == [0, 0]

    @pytest.mark.parametrize("outcome", FAILURES)
    def test_dead_letter_has_eventbridges_error_attributes(self, outcome: Outcome) -> None:
        """A dead letter of a plain request has the error and none of the bookkeeping attributes."""
        failed = replace(
            result(outcome, attempt=7), code="ThrottlingException", error="Rate exceeded", state="RUNNING"
        )
        (sent,) = _routed([failed])
        assert sent.attributes == {
            "ERROR_CODE": "ThrottlingException",
            "ERROR_MESSAGE": "Rate exceeded Glue reports the run as RUNNING.",
            "RETRY_ATTEMPTS": "7",
        }

    @pytest.mark.parametrize("sent_by", [FUNCTION_SENDER_ID, SENDER_ID])
    def test_dead_letter_has_the_envelope(self, sent_by: str) -> None:
        """A dead letter says what carried the request. That is believed of a dead letter of the functions."""
        of_run = [result(outcome, via=EVENT_VIA) for outcome in FAILURES]
        of_message = [
            MessageResult(message(via=EVENT_VIA), outcome, "why", request=known)
            for outcome in (Outcome.INVALID_REQUEST, Outcome.TOO_MANY_RUNS, Outcome.FAILED)
            for known in (None, request(job_run_ids=UNSET, select=Selection(started_before=NOON)))
        ]
        dead_letters = _routed(of_run, of_message)
        assert len(dead_letters) == len(of_run) + len(of_message)
        for sent in dead_letters:
            assert sent.attributes.keys() == {"ERROR_CODE", "ERROR_MESSAGE", "RETRY_ATTEMPTS", VIA}
            redriven = lambda_event.sqs_message(
                record(sent.body, sent.attributes, SenderId=sent_by), bookkeeping()
            )
            assert redriven.via == (EVENT_VIA if sent_by == FUNCTION_SENDER_ID else "")
            assert redriven.is_first

    @pytest.mark.parametrize("outcome", FAILURES)
    @pytest.mark.parametrize(
        ("error", "state", "explanation"),
        [
            ("", "STOPPING", "Glue reports the run as STOPPING."),
            ("No run.", "", "No run."),
            ("", "", "The outcome is {}."),
        ],
    )
    def test_error_message_is_never_empty(
        self, outcome: Outcome, error: str, state: str, explanation: str
    ) -> None:
        """Without a code or a text from Glue, the attributes have the outcome and the state."""
        (sent,) = _routed([replace(result(outcome), error=error, state=state)])
        assert sent.attributes["ERROR_CODE"] == outcome.value
        assert sent.attributes["ERROR_MESSAGE"] == explanation.format(outcome.value)

    @pytest.mark.parametrize("outcome", FAILURES)
    def test_failed_dry_run_has_no_dead_letter(self, outcome: Outcome) -> None:
        """A dry run stops nothing, so its failure needs no action."""
        assert _routed([result(outcome, dry_run=True)]) == []

    def test_dry_run_of_too_many_runs_has_no_dead_letter(self) -> None:
        """The same holds for a message as a whole."""
        assert _routed([], [message_result(Outcome.TOO_MANY_RUNS, dry_run=True)]) == []

    @pytest.mark.parametrize("outcome", [Outcome.INVALID_REQUEST, Outcome.TOO_MANY_RUNS])
    def test_body_of_an_unusable_message_is_unchanged(self, outcome: Outcome) -> None:
        """The dead letter has the original body, and the reason as an attribute."""
        (sent,) = _routed([], [message_result(outcome)])
        assert sent.body == "{"
        assert sent.message_ids == {"m-1"}
        assert sent.attributes == {
            "ERROR_CODE": outcome.value,
            "ERROR_MESSAGE": "the body: is not JSON",
            "RETRY_ATTEMPTS": "2",
        }

    @pytest.mark.parametrize(("outcome", "attempt"), [(Outcome.RETRYING, "3"), (Outcome.DEFERRED, "2")])
    def test_selection_is_sent_again(self, outcome: Outcome, attempt: str) -> None:
        """A selection whose runs could not be listed is sent again, with its first sender."""
        selection = request(job_run_ids=UNSET, select=Selection(started_before=NOON))
        received = message("{", attempt=2, via=EVENT_VIA)
        (sent,) = _routed([], [MessageResult(received, outcome, "why", request=selection)])
        assert (sent.queue, sent.message_ids) == (Queue.STOP, frozenset({"m-1"}))
        assert sent.attributes == {ATTEMPT: attempt, STAGE: "stop", SENDER: SENDER_ID, VIA: EVENT_VIA}
        assert sent.delay_seconds == retry_policy().delays[Queue.STOP].seconds(int(attempt), 0.5)
        assert _parsed(sent).request == selection

    def test_dead_letter_of_a_selection_keeps_its_time(self) -> None:
        """After a redrive the selection matches no run that started after it was first parsed."""
        selection = request(job_run_ids=UNSET, select=Selection(started_before=NOON))
        (sent,) = _routed([], [replace(message_result(Outcome.FAILED), request=selection)])
        assert json.loads(sent.body)["Select"] == {"StartedBefore": "2026-11-24T12:00:00Z"}

    @pytest.mark.parametrize("outcome", [Outcome.RETRYING, Outcome.FAILED, Outcome.TOO_MANY_RUNS])
    def test_request_for_attempts_keeps_its_time(self, outcome: Outcome) -> None:
        """After a retry or a redrive the request means the runs that it names, and no younger attempt."""
        including = request("jr_1", "jr_2", include_attempts=True, attempts_started_before=EARLIER)
        (sent,) = _routed([], [replace(message_result(outcome), request=including)])
        assert _parsed(sent).request == including
        assert _parsed(sent).run_ids == ("jr_1", "jr_2")

    def test_retry_after_a_redelivery_has_the_time_of_the_first_delivery(self) -> None:
        """The first delivery may have stopped attempts, so the retry also means those that ended since."""
        including = request("jr_1", include_attempts=True, attempts_started_before=NOON)
        received = message(receive_count=2)
        (sent,) = _routed([], [MessageResult(received, Outcome.RETRYING, "why", request=including)])
        assert (_received(sent).attempt, _received(sent).submitted_at) == (1, NOON)
        assert delivered_before(_received(sent), including) == NOON

    @pytest.mark.parametrize("outcome", FAILURES)
    def test_redriven_dead_letter_starts_at_the_first_attempt(self, outcome: Outcome) -> None:
        """A dead letter on the stop queue, with no change, is a first message that names the same run."""
        (sent,) = _routed([result(outcome, attempt=7, submitted_at=EARLIER)])
        assert sent.attributes.keys().isdisjoint({*BOOKKEEPING_ATTRIBUTES, STAGE})
        received = _received(sent)
        assert (received.is_first, received.attempt, received.submitted_at) == (True, 0, None)
        assert _parsed(sent).request.job_run_ids == ("jr_1",)


class TestDelays:
    """The delay of a message."""

    @pytest.mark.parametrize(
        ("attempt", "longest"), [(0, 5), (1, 5), (2, 10), (3, 20), (7, 320), (8, 640), (9, 900), (99, 900)]
    )
    def test_delays_double_up_to_the_longest(self, attempt: int, longest: int) -> None:
        """Each delay is twice the one before, up to the longest that one message can have."""
        backoff = Backoff(5, 900, first_attempt=1)
        assert backoff.seconds(attempt, 1) == longest
        assert backoff.seconds(attempt, 0) == ceil(longest / 2)

    @given(st.integers(1, 900), st.integers(1, 900), st.integers(0, 1), st.integers(0, 10**6), st.floats(0, 1))
    def test_delay_is_in_the_upper_half(
        self, first: int, longest: int, first_attempt: int, attempt: int, jitter: float
    ) -> None:
        """At any attempt, SQS accepts the delay, and jitter spreads it over the upper half of its range."""
        seconds = Backoff(first, longest, first_attempt).seconds(attempt, jitter)
        upper_bound = Backoff(first, longest, first_attempt).seconds(attempt, 1)
        assert 1 <= ceil(upper_bound / 2) <= seconds <= upper_bound <= min(longest, 900)

    @pytest.mark.parametrize(
        ("outcome", "attempt", "delay"),
        [
            (Outcome.RETRYING, 0, 5),
            (Outcome.RETRYING, 2, 20),
            (Outcome.DEFERRED, 0, 5),
            (Outcome.DEFERRED, 2, 10),
        ],
    )
    def test_attempt_decides_the_delay_of_a_retry(self, outcome: Outcome, attempt: int, delay: int) -> None:
        """The first retry has the first delay, and so has a target that was deferred before any attempt."""
        (sent,) = _routed([result(outcome, attempt=attempt)], jitter=1)
        assert sent.delay_seconds == delay

    @pytest.mark.parametrize(
        ("outcome", "attempt", "delay"),
        [
            (Outcome.STOP_SUBMITTED, 5, 15),
            (Outcome.NOT_YET_CONFIRMED, 0, 30),
            (Outcome.NOT_YET_CONFIRMED, 9, 300),
        ],
    )
    def test_number_of_polls_decides_the_delay_of_a_poll(
        self, outcome: Outcome, attempt: int, delay: int
    ) -> None:
        """The first poll has the first delay, and later polls have longer ones."""
        (sent,) = _routed([result(outcome, attempt=attempt)], jitter=1)
        assert sent.delay_seconds == delay

    def test_each_message_has_its_own_jitter(self) -> None:
        """The runs of a message stay together, and different messages have different delays."""
        drawn = iter([0.0, 1.0])
        run_results = [
            result(Outcome.RETRYING, run_id=f"jr_{number}", reason="a" if number < 5 else "b")
            for number in range(10)
        ]
        sent = outgoing_messages(run_results, [], retry_policy(), now=NOON, jitter=lambda: next(drawn))
        assert [message.delay_seconds for message in sent] == [3, 5]

    @pytest.mark.parametrize(
        ("age", "delay"), [(0, 300), (1499, 300), (1500, 300), (1501, 300), (1502, 299), (1799, 2), (1799.5, 2)]
    )
    def test_last_poll_is_just_after_the_deadline(self, age: float, delay: int) -> None:
        """A run is polled when its deadline has passed, and not a whole delay later."""
        submitted_at = NOON - timedelta(seconds=age)
        (sent,) = _routed([result(Outcome.NOT_YET_CONFIRMED, attempt=9, submitted_at=submitted_at)], jitter=1)
        assert sent.delay_seconds == delay

    @pytest.mark.parametrize("age", [1800, 1801, 100_000])
    def test_unreadable_run_after_the_deadline_has_the_usual_delay(self, age: float) -> None:
        """After the deadline only failed reads lead to further polls, and these are not hurried."""
        submitted_at = NOON - timedelta(seconds=age)
        (sent,) = _routed([result(Outcome.NOT_YET_CONFIRMED, attempt=9, submitted_at=submitted_at)], jitter=1)
        assert sent.delay_seconds == 300

    @given(st.integers(0, 30), st.integers(-60, 4000), st.floats(0, 1), st.integers(1, 86_400))
    def test_poll_is_at_most_a_second_after_the_deadline(
        self, attempt: int, age: int, jitter: float, deadline: int
    ) -> None:
        """A poll before the deadline is followed by one at most a second after it."""
        submitted_at = NOON - timedelta(seconds=age)
        polled = result(Outcome.NOT_YET_CONFIRMED, attempt=attempt, submitted_at=submitted_at)
        (sent,) = _routed([polled], jitter=jitter, deadline_seconds=deadline)
        assert 1 <= sent.delay_seconds <= 900
        if age < deadline:
            assert age + sent.delay_seconds <= deadline + 1
