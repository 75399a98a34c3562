"""Outcome events are published while there is time, and an event that is lost changes nothing else."""

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

from gluebrake.aws.event_bus import EventBus
from gluebrake.contract import StopOutcome
from gluebrake.decisions.outcome_events import outcome_events
from gluebrake.model import RunResult
from gluebrake.outcomes import Outcome
from tests.support.builders import NOON, results, target
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
NONE_UNDELIVERED: Final = frozenset[str]()
SETTLED_AT: Final = NOON + timedelta(minutes=2)
CLIENT: Final = boto3.client("events", region_name="eu-west-1", config=Config(signature_version=UNSIGNED))


def _bus(client: Any, *, name: str = BUS, calls_at_once: int = 4) -> EventBus:
    return EventBus(lambda: client, name=name, job_arn_prefix=PREFIX, calls_at_once=calls_at_once)


def _outcome(number: int = 1, **changes: Any) -> StopOutcome:
    outcome = StopOutcome(
        job_name="etl", job_run_id=f"jr_{number}", outcome=Outcome.STOPPED, settled_at=SETTLED_AT
    )
    return replace(outcome, **changes)


@pytest.fixture
def event_bus(aws: FakeAws) -> EventBus:
    """Make a bus with a client of the fake."""
    return _bus(boto3.client("events", **aws.client_options))


class TestPublishing:
    """What EventBridge gets."""

    def test_event_has_the_envelope_that_a_rule_matches(self, aws: FakeAws, event_bus: EventBus) -> None:
        """The envelope has source, detail-type, time and the job's ARN. Unknown values are left out."""
        outcome = _outcome(reason="over budget", time_to_stop_seconds=4.5)
        assert event_bus.publish([outcome], 10) == {}
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
    def test_ten_events_share_a_call(self, aws: FakeAws, event_bus: EventBus, count: int, calls: int) -> None:
        """Each event is published once, in the fewest calls."""
        assert event_bus.publish([_outcome(number) for number in range(count)], 10) == {}
        assert len(aws.requests("PutEvents")) == calls
        published = sorted(detail["jobRunId"] for detail in aws.events.details)
        assert published == sorted(f"jr_{number}" for number in range(count))

    def test_calls_at_once_are_bounded(self, aws: FakeAws) -> None:
        """The bus makes no more calls at once than it may."""
        aws.faults.add(Latency(0.02))
        bounded = _bus(boto3.client("events", **aws.client_options), calls_at_once=2)
        assert bounded.publish([_outcome(number) for number in range(80)], 10) == {}
        assert len(aws.connections) == 2

    def test_ten_events_of_the_longest_texts_fit_into_a_call(self, aws: FakeAws, event_bus: EventBus) -> None:
        """PutEvents accepts ten events of the longest texts, in the characters that take most bytes of JSON."""
        longest = "\x01" * 5000
        of_target = target(
            "j" * 255, "n" * 255, reason=longest[:1024], requested_by=longest[:1024], sender=longest
        )
        failed = RunResult(of_target, Outcome.FAILED, "Code" * 20, longest, "RUNNING")
        assert event_bus.publish(outcome_events([failed] * 10, [], NONE_UNDELIVERED, SETTLED_AT), 10) == {}
        assert len(aws.events.published) == 10

    @given(st.lists(results(), max_size=12))
    def test_botocore_accepts_any_event(self, run_results: list[RunResult]) -> None:
        """The parameters of PutEvents fit botocore's model for any results."""
        events = outcome_events(run_results, [], NONE_UNDELIVERED, SETTLED_AT)
        with Stubber(CLIENT) as stubber:
            for start in range(0, len(events), 10):
                entries = [{"EventId": "e"} for _ in events[start : start + 10]]
                stubber.add_response("put_events", {"FailedEntryCount": 0, "Entries": entries})
            sequential = EventBus(lambda: CLIENT, name=BUS, job_arn_prefix=PREFIX, calls_at_once=1)
            assert sequential.publish(events, 30) == {}
            stubber.assert_no_pending_responses()

    def test_empty_name_publishes_nothing(self, aws: FakeAws) -> None:
        """Without a bus no client is made, and no event counts as lost."""
        assert _bus(None, name="").publish([_outcome()], 10) == {}
        assert not aws.calls

    def test_no_client_is_made_without_an_event(self) -> None:
        """The first invocation pays for a client only when it has an event to publish."""

        def make_client() -> Any:
            raise AssertionError("no client is needed")

        event_bus = EventBus(make_client, name=BUS, job_arn_prefix=PREFIX, calls_at_once=4)
        assert event_bus.publish([], 10) == {}


class TestLostEvents:
    """Events that are not published are counted, and cause no error."""

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
    def test_failed_call_loses_its_events_only(
        self, aws: FakeAws, event_bus: EventBus, fault: Fault, code: str
    ) -> None:
        """The result has the error code of the lost events. The events of the other calls are published."""
        aws.faults.add(
            fault, operation="PutEvents", when=lambda call: "jr_0" in call.parameters["Entries"][0]["Detail"]
        )
        lost = event_bus.publish([_outcome(number) for number in range(15)], 10)
        assert lost == {code: 10}
        published = {detail["jobRunId"] for detail in aws.events.details}
        assert {f"jr_{number}" for number in range(10, 15)} <= published

    @pytest.mark.parametrize(
        ("entry", "code"),
        [
            ({"ErrorCode": "InternalFailure", "ErrorMessage": "try again"}, "InternalFailure"),
            ({}, "NoAnswer"),
        ],
    )
    def test_refused_entry_is_lost_alone(
        self, aws: FakeAws, event_bus: EventBus, entry: dict[str, str], code: str
    ) -> None:
        """EventBridge may refuse single entries of a call, with or without an error code."""

        def refuse_an_entry(call: Call, answer: Answer) -> Reply:
            reply = answer(call)
            reply.payload["Entries"][3] = entry
            return reply

        aws.faults.add(refuse_an_entry, operation="PutEvents")
        assert event_bus.publish([_outcome(number) for number in range(5)], 10) == {code: 1}

    def test_no_call_starts_without_time(self, aws: FakeAws, event_bus: EventBus) -> None:
        """With less than a second left, the events are lost and counted."""
        assert event_bus.publish([_outcome(1), _outcome(2)], 0.5) == {"NoTime": 2}
        assert not aws.calls

    def test_call_that_hangs_loses_its_events_only(self) -> None:
        """At the end of the time, the events of a call without response are lost. The others are published."""
        release = Event()
        client = _HangingClient(release, hangs=lambda entries: "jr_0" in entries[0]["Detail"])
        try:
            assert _bus(client).publish([_outcome(number) for number in range(25)], 1) == {"NoTime": 10}
        finally:
            release.set()

    def test_no_call_starts_after_the_end_of_the_time(self) -> None:
        """A call that waited behind one that hangs is cancelled, so that no lost event is published later."""
        release, before = Event(), {*threads()}
        client = _HangingClient(release, hangs=lambda _: True)
        try:
            lost = _bus(client, calls_at_once=1).publish([_outcome(number) for number in range(25)], 1)
        finally:
            release.set()
        for worker in {*threads()} - before:
            worker.join(20)
        assert (lost, client.calls) == ({"NoTime": 25}, 1)

    def test_client_that_cannot_be_made_causes_no_error(self) -> None:
        """An exception from Gluebrake's own code loses the events, and changes nothing else."""

        def make_client() -> Any:
            raise RuntimeError("no endpoint")

        event_bus = EventBus(make_client, name=BUS, job_arn_prefix=PREFIX, calls_at_once=4)
        assert event_bus.publish([_outcome()], 10) == {"RuntimeError": 1}


class _HangingClient:
    """A client whose calls hang until they are released."""

    def __init__(self, release: Event, hangs: Callable[[Any], bool]) -> None:
        self._release, self._hangs = release, hangs
        self.calls = 0

    def put_events(self, *, Entries: list[Any]) -> dict[str, Any]:  # noqa: N803 - EventBridge's name
        """Wait for the release, then answer as EventBridge does."""
        self.calls += 1
        if self._hangs(Entries):
            self._release.wait(20)
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "e"} for _ in Entries]}
