"""Outcome events: what is final is told, as far as there is time, and nothing depends on it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from threading import Event
from threading import enumerate as threads
from typing import Any, Final

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gluebrake.aws.event_bus import Events
from gluebrake.contract import StopOutcome
from gluebrake.decisions.outcome_events import outcomes
from gluebrake.decisions.routing import ROUTES
from gluebrake.model import Ignored, Measure, MessageResult, Queue, RunResult
from gluebrake.outcomes import Outcome
from gluebrake.parsing.dispatcher import read
from tests.support.builders import (
    AWS_ENVIRONMENT,
    NOON,
    SENDER_ID,
    event,
    message,
    names,
    notes,
    request,
    result,
    results,
    target,
)
from tests.support.fakes.aws_server import BUS, FakeAws
from tests.support.fakes.exchange import Answer, Call, Reply
from tests.support.fakes.faults import (
    EmptyBody,
    Fault,
    Latency,
    LostAnswer,
    Refused,
    Reset,
    Throttle,
    TruncatedBody,
)

PREFIX: Final = "arn:aws:glue:eu-west-1:123456789012:job/"
NOTHING: Final = frozenset[str]()
SETTLED_AT: Final = NOON + timedelta(minutes=2)
CLIENT: Final = boto3.client("events", region_name="eu-west-1", config=Config(signature_version=UNSIGNED))


def _events(client: Any, *, bus: str = BUS, calls_at_once: int = 4) -> Events:
    return Events(lambda: client, bus=bus, job_arn_prefix=PREFIX, calls_at_once=calls_at_once)


def _outcome(number: int = 1, **changes: Any) -> StopOutcome:
    known = StopOutcome(
        job_name="etl", job_run_id=f"jr_{number}", outcome=Outcome.STOPPED, settled_at=SETTLED_AT
    )
    return replace(known, **changes)


@pytest.fixture
def events(aws: FakeAws) -> Events:
    """Make events that go to the fake."""
    return _events(boto3.client("events", **aws.client_options))


class TestOutcomes:
    """Which outcomes are told, and what is told of them."""

    @pytest.mark.parametrize("outcome", [*Outcome])
    def test_only_what_is_final_is_told(self, outcome: Outcome) -> None:
        """An outcome that hands a demand on to a stage of ours is no news yet."""
        told = outcomes([result(outcome)], [], NOTHING, SETTLED_AT)
        onward = ROUTES[outcome]
        handed_on = onward is not None and onward.queue is not Queue.DEAD_LETTER
        assert [one.outcome for one in told] == ([] if handed_on else [outcome])

    def test_all_that_is_known_is_told(self) -> None:
        """Run, outcome, error, state, reason, who asked, attempts, times and measures are in the event."""
        measures = {Measure.TIME_TO_STOP: 4.5, Measure.DPUS_RELEASED: 10.0, Measure.DPU_HOURS_CONSUMED: 0.5}
        asked_for = target(attempt=2, submitted_at=NOON, sender="AIDAEXAMPLE:guardrail")
        became = RunResult(asked_for, Outcome.STOPPED, "SomeException", "some words", "STOPPED", measures)
        assert outcomes([became], [], NOTHING, SETTLED_AT) == [
            StopOutcome(
                job_name="etl",
                job_run_id="jr_1",
                outcome=Outcome.STOPPED,
                state="STOPPED",
                error_code="SomeException",
                error_message="some words",
                reason="over budget",
                requested_by="guardrail/nightly",
                sender="AIDAEXAMPLE:guardrail",
                attempt=2,
                submitted_at=NOON,
                settled_at=SETTLED_AT,
                time_to_stop_seconds=4.5,
                dpus_released=10.0,
                dpu_hours_consumed=0.5,
            )
        ]

    def test_a_dry_run_is_told_as_one(self) -> None:
        """Nobody takes a run that would be stopped for one that was."""
        (told,) = outcomes([result(Outcome.WOULD_STOP, dry_run=True)], [], NOTHING, SETTLED_AT)
        assert told.dry_run

    def test_what_comes_back_is_not_final(self) -> None:
        """A demand whose dead letter could not be sent will be settled again, and told then."""
        both = [
            result(Outcome.FAILED, message_ids=("m-1", "m-2")),
            result(Outcome.FAILED, message_ids=("m-3",)),
        ]
        assert len(outcomes(both, [], frozenset({"m-2"}), SETTLED_AT)) == 1
        assert outcomes([], [_of_request(Outcome.FAILED)], frozenset({"m-1"}), SETTLED_AT) == []

    def test_a_request_as_a_whole_is_told_without_a_run(self) -> None:
        """A selection that found nothing, or too much, has an outcome, a job, who asked, and no run id."""
        asking = request(reason="over budget", requested_by="guardrail/nightly", dry_run=True)
        became = MessageResult(message(attempt=2), Outcome.FAILED, "No.", request=asking, code="SomeException")
        assert outcomes([], [became], NOTHING, SETTLED_AT) == [
            StopOutcome(
                job_name="etl",
                outcome=Outcome.FAILED,
                error_code="SomeException",
                error_message="No.",
                dry_run=True,
                reason="over budget",
                requested_by="guardrail/nightly",
                sender=SENDER_ID,
                attempt=2,
                settled_at=SETTLED_AT,
            )
        ]

    def test_what_a_request_does_not_say_is_not_told(self) -> None:
        """Without a reason, and without a word on who asked, the event has neither."""
        became = MessageResult(message(), Outcome.NO_ACTIVE_RUNS, "no active run is meant", request=request())
        (told,) = outcomes([], [became], NOTHING, SETTLED_AT)
        assert (told.reason, told.requested_by) == ("", "")

    @pytest.mark.parametrize("outcome", [Outcome.INVALID_REQUEST, Outcome.IGNORED])
    def test_what_asks_for_nothing_is_not_told(self, outcome: Outcome) -> None:
        """A message that cannot be read has no job to tell of: an event on it could only lead to another."""
        assert outcomes([], [MessageResult(message("{"), outcome, "why")], NOTHING, SETTLED_AT) == []

    def test_retried_selection_is_not_told(self) -> None:
        """A search that will be tried again is no outcome."""
        assert outcomes([], [_of_request(Outcome.RETRYING)], NOTHING, SETTLED_AT) == []


def _of_request(outcome: Outcome) -> MessageResult:
    return MessageResult(message(), outcome, "no active run is meant", request=request())


class TestPublishing:
    """What EventBridge gets."""

    def test_an_event_is_what_a_rule_can_match(self, aws: FakeAws, events: Events) -> None:
        """Source, detail-type, time and the job's ARN are around it; what is not known is left out."""
        told = _outcome(reason="over budget", time_to_stop_seconds=4.5)
        assert events.publish([told], 10) == {}
        (entry,) = aws.events.published
        assert json.loads(entry.pop("Detail")) == {
            "jobName": "etl",
            "jobRunId": "jr_1",
            "outcome": "Stopped",
            "reason": "over budget",
            "settledAt": "2026-11-24T12:02:00Z",
            "timeToStopSeconds": 4.5,
        }
        assert entry == {
            "EventBusName": BUS,
            "Source": "gluebrake",
            "DetailType": "Glue Job Run Stop Outcome",
            "Time": SETTLED_AT.timestamp(),
            "Resources": [f"{PREFIX}etl"],
        }

    @pytest.mark.parametrize(("count", "calls"), [(1, 1), (10, 1), (11, 2), (95, 10)])
    def test_ten_events_share_a_call(self, aws: FakeAws, events: Events, count: int, calls: int) -> None:
        """The fewest calls carry each event once."""
        assert events.publish([_outcome(number) for number in range(count)], 10) == {}
        assert len(aws.requests("PutEvents")) == calls
        assert sorted(one["jobRunId"] for one in aws.events.details) == sorted(f"jr_{n}" for n in range(count))

    def test_calls_at_once_are_bounded(self, aws: FakeAws) -> None:
        """No more calls are under way than there are connections for."""
        aws.faults.add(Latency(0.02))
        bounded = _events(boto3.client("events", **aws.client_options), calls_at_once=2)
        assert bounded.publish([_outcome(number) for number in range(80)], 10) == {}
        assert len(aws.connections) == 2

    def test_the_longest_events_fit_into_a_call(self, aws: FakeAws, events: Events) -> None:
        """Ten events of the longest texts that there can be, the worst for JSON, are one request."""
        worst = "\x01" * 5000
        asked_for = target("j" * 255, "n" * 255, reason=worst[:1024], requested_by=worst[:1024], sender=worst)
        became = RunResult(asked_for, Outcome.FAILED, "Code" * 20, worst, "RUNNING")
        assert events.publish(outcomes([became] * 10, [], NOTHING, SETTLED_AT), 10) == {}
        assert len(aws.events.published) == 10

    @given(st.lists(results(), max_size=12))
    def test_any_outcome_is_taken(self, some: list[RunResult]) -> None:
        """Whatever the outcomes are, botocore finds no fault with the parameters."""
        told = outcomes(some, [], NOTHING, SETTLED_AT)
        with Stubber(CLIENT) as stubber:
            for start in range(0, len(told), 10):
                entries = [{"EventId": "e"} for _ in told[start : start + 10]]
                stubber.add_response("put_events", {"FailedEntryCount": 0, "Entries": entries})
            one_at_a_time = Events(lambda: CLIENT, bus=BUS, job_arn_prefix=PREFIX, calls_at_once=1)
            assert one_at_a_time.publish(told, 30) == {}
            stubber.assert_no_pending_responses()

    def test_nothing_is_published_where_there_is_no_bus(self, aws: FakeAws) -> None:
        """Switched off, no client is even made, and nothing counts as lost."""
        assert _events(None, bus="").publish([_outcome()], 10) == {}
        assert not aws.calls

    def test_no_client_is_made_for_nothing(self) -> None:
        """Without an outcome to tell, the function's start stays what it was."""

        def make_client() -> Any:
            raise AssertionError("no client is needed")

        assert Events(make_client, bus=BUS, job_arn_prefix=PREFIX, calls_at_once=4).publish([], 10) == {}


class TestLosing:
    """What could not be published is counted, and is nobody else's trouble."""

    @pytest.mark.parametrize(
        ("fault", "code"),
        [
            (Throttle(), "ThrottlingException"),
            (Refused("AccessDeniedException"), "AccessDeniedException"),
            (Refused("InternalException", status=500), "InternalException"),
            (Refused("ACodeOfALaterEventBridge"), "ACodeOfALaterEventBridge"),
            (Reset(), "ConnectionClosedError"),
            (LostAnswer(), "ConnectionClosedError"),
            (TruncatedBody(), "NoAnswer"),
            (EmptyBody(), "NoAnswer"),
        ],
    )
    def test_each_event_of_a_call_that_fails_is_lost(
        self, aws: FakeAws, events: Events, fault: Fault, code: str
    ) -> None:
        """No error leaves it: the code says why, and the other calls' events are published."""
        aws.faults.add(
            fault, operation="PutEvents", when=lambda call: "jr_0" in call.parameters["Entries"][0]["Detail"]
        )
        lost = events.publish([_outcome(number) for number in range(15)], 10)
        assert lost == {code: 10}
        assert {f"jr_{n}" for n in range(10, 15)} <= {one["jobRunId"] for one in aws.events.details}

    @pytest.mark.parametrize(
        ("entry", "code"),
        [
            ({"ErrorCode": "InternalFailure", "ErrorMessage": "try again"}, "InternalFailure"),
            ({}, "NoAnswer"),
        ],
    )
    def test_an_entry_that_is_refused_is_lost_alone(
        self, aws: FakeAws, events: Events, entry: dict[str, str], code: str
    ) -> None:
        """EventBridge may take some entries of a call and not others, whether it says why or not."""

        def refuse_one(call: Call, answer: Answer) -> Reply:
            reply = answer(call)
            reply.payload["Entries"][3] = entry
            return reply

        aws.faults.add(refuse_one, operation="PutEvents")
        assert events.publish([_outcome(number) for number in range(5)], 10) == {code: 1}

    def test_without_time_nothing_is_begun(self, aws: FakeAws, events: Events) -> None:
        """Time that is needed for closing is not spent on events; they are lost, and counted."""
        assert events.publish([_outcome(1), _outcome(2)], 0.5) == {"NoTime": 2}
        assert not aws.calls

    def test_a_call_that_takes_too_long_is_not_waited_for(self) -> None:
        """When the time is over, the events of a call that hangs are lost; the others are not."""
        release = Event()
        client = _Hanging(release, hangs=lambda entries: "jr_0" in entries[0]["Detail"])
        try:
            assert _events(client).publish([_outcome(number) for number in range(25)], 1) == {"NoTime": 10}
        finally:
            release.set()

    def test_nothing_begins_when_the_time_is_over(self) -> None:
        """What waits its turn behind a call that hangs is lost, and does not turn up after it was counted."""
        release, before = Event(), {*threads()}
        client = _Hanging(release, hangs=lambda _: True)
        try:
            lost = _events(client, calls_at_once=1).publish([_outcome(number) for number in range(25)], 1)
        finally:
            release.set()
        for worker in {*threads()} - before:
            worker.join(20)
        assert (lost, client.calls) == ({"NoTime": 25}, 1)

    def test_client_that_cannot_be_made_is_no_trouble(self) -> None:
        """Not even a mistake of our own keeps a stop from being done."""

        def make_client() -> Any:
            raise RuntimeError("no endpoint")

        broken = Events(make_client, bus=BUS, job_arn_prefix=PREFIX, calls_at_once=4)
        assert broken.publish([_outcome()], 10) == {"RuntimeError": 1}


class _Hanging:
    """A client whose calls hang until they are released."""

    def __init__(self, release: Event, hangs: Callable[[Any], bool]) -> None:
        self._release, self._hangs = release, hangs
        self.calls = 0

    def put_events(self, *, Entries: list[Any]) -> dict[str, Any]:  # noqa: N803 - EventBridge's name
        """Answer as EventBridge does, at last."""
        self.calls += 1
        if self._hangs(Entries):
            self._release.wait(20)
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "e"} for _ in Entries]}


@given(job_name=names(), reason=notes())
def test_an_outcome_that_comes_back_to_us_asks_for_nothing(job_name: str, reason: str) -> None:
    """Whatever it is about, our own event in one of our queues is ignored, so that none leads to another."""
    detail = {"jobName": job_name, "jobRunId": "jr_1", "outcome": "Failed", "reason": reason}
    was = read(message(event(detail, "Glue Job Run Stop Outcome")), AWS_ENVIRONMENT)
    assert isinstance(was, Ignored)
