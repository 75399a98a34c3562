"""A message with a `DryRun` in the wrong place stops no run, and a function that only observes stops no run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings

from gluebrake.contract import StopRequest
from gluebrake.handlers import stop
from gluebrake.handlers.stop import StopDependencies
from gluebrake.model import ParsedRequest
from tests.integration.conftest import MakeDependencies
from tests.support.builders import Invalid, parse_one
from tests.support.fakes.aws_server import FakeAws
from tests.support.fakes.clock import VirtualClock
from tests.support.fakes.faults import Throttle
from tests.support.properties import check_observing
from tests.support.scenarios import WITH_SELECTIONS, Scenario
from tests.support.simulated_aws import STOP, Context, SimulatedAws
from tests.unit.parsing import events
from tests.unit.parsing.events import Json, message

SPELLINGS: Final = ("DryRun", "dryRun", "dryrun", "DRYRUN", "dry_run", "dry-run", "Dry Run")
STOPPING: Final[dict[str, Json]] = {
    "stop request": events.stop_request_event(events.request()),
    "selection": events.stop_request_event(events.request(Select={})),
    "run status": events.run_status(),
    "alarm's event": events.alarm_event(),
    "alarm's action": events.alarm_action(),
    "alarm's notification": events.alarm_notification(),
    "notification of a request": events.notification(events.request()),
    "notification of an alarm": events.notification(events.alarm_notification()),
}
READS: Final = {"GetJobRun", "GetJobRuns", "GetTags", "PutEvents"}
"""The calls of a function that stops nothing and sends no message."""


def _with_member(event: Any, name: str, value: Any) -> Iterator[Json]:
    """Yield copies of the event, with the member added to one object of it in each.

    The dimensions of a metric are left out: their names are the metric's, and `JobName` is one of them.
    """
    if isinstance(event, dict):
        if "JobRunId" not in event:
            yield {**event, name: value}
        for key, inner in event.items():
            yield from ({**event, key: changed} for changed in _with_member(inner, name, value))
    elif isinstance(event, list):
        for index, inner in enumerate(event):
            for changed in _with_member(inner, name, value):
                yield [*event[:index], changed, *event[index + 1 :]]  # type: ignore[misc]


@pytest.mark.parametrize("event", STOPPING.values(), ids=STOPPING)
def test_event_without_a_dry_run_requests_a_stop(event: Json) -> None:
    """Each of the events is one that stops runs."""
    assert isinstance(parse_one(message(event)), ParsedRequest)


@pytest.mark.parametrize("event", STOPPING.values(), ids=STOPPING)
@pytest.mark.parametrize("name", SPELLINGS)
def test_dry_run_in_any_object_of_an_event_stops_nothing(event: Json, name: str) -> None:
    """Wherever an event has the member, it is a dry run or refused, however the member is spelt."""
    for value in (True, False, "true", None):
        for changed in _with_member(event, name, value):
            parsed = parse_one(message(changed))
            assert isinstance(parsed, Invalid) or (isinstance(parsed, ParsedRequest) and _is_meant(changed))


@pytest.mark.parametrize("event", STOPPING.values(), ids=STOPPING)
@pytest.mark.parametrize("name", SPELLINGS)
def test_error_names_the_member_and_its_place(event: Json, name: str) -> None:
    """The error of a member beside the event says where it belongs."""
    parsed = parse_one(message({**event, name: True}))
    assert isinstance(parsed, Invalid)
    assert parsed.why.startswith(f"{name}: ")
    assert "the stop request" in parsed.why


@pytest.mark.parametrize("field", StopRequest.__struct_encode_fields__)
@pytest.mark.parametrize("event", STOPPING.values(), ids=STOPPING)
def test_field_of_a_stop_request_beside_an_event_is_refused(event: Json, field: str) -> None:
    """A field that the event's sender meant for the stop request is not ignored."""
    assert isinstance(parse_one(message({**event, field: "x"})), Invalid)


@pytest.mark.parametrize("event", STOPPING.values(), ids=STOPPING)
@pytest.mark.parametrize("is_direct", [True, False], ids=["direct", "queue"])
def test_function_stops_nothing(simulation: SimulatedAws, event: Json, *, is_direct: bool) -> None:
    """Neither a direct invocation nor a message with a misplaced `DryRun` leads to a call of Glue."""
    misplaced = {**event, "DryRun": True}
    if is_direct:
        response = simulation.functions[STOP](misplaced, simulation.context) or {}
        codes = [error["ErrorDetail"]["ErrorCode"] for error in response["Errors"]]
        assert codes == ["InvalidRequest"]
    else:
        simulation.put(json.dumps(misplaced))
        simulation.run()
        assert simulation.counts["InvalidRequest"] == 1
    assert {call.operation for call in simulation.aws.calls} == {"SendMessageBatch"}


@pytest.fixture
def observing(new_loggers: None) -> Iterator[SimulatedAws]:  # noqa: ARG001 - no later test has the mark of these lines
    """Run an AWS in which STOP only observes, with the runs of all events."""
    with SimulatedAws(clock=VirtualClock(events.SENT_AT), observe=True) as simulation:
        for run_id, age in ((events.RUN, 2), ("attempt", 1)):
            started_on = simulation.clock() - timedelta(hours=age)
            simulation.aws.glue.add_run(events.JOB, run_id, started_on=started_on, PreviousRunId=events.RUN)
        yield simulation


OBSERVED: Final[dict[str, Json]] = {
    **STOPPING,
    "plain request": events.request(),
    "plain selection": events.request(Select={}),
    "attempts": events.request(IncludeAttempts=True),
    "request that says it is no dry run": events.request(DryRun=False),
    "dry run": events.request(DryRun=True),
}
OF_ALL_OBSERVED: Final = pytest.mark.parametrize("event", OBSERVED.values(), ids=OBSERVED)


@OF_ALL_OBSERVED
@pytest.mark.parametrize("receive_count", [1, 2, 3, 4])
def test_observing_function_reads_each_message_as_a_dry_run(
    observing: SimulatedAws, event: Json, receive_count: int
) -> None:
    """A message of any form reports what would be stopped. Nothing is stopped, confirmed or a dead letter."""
    observing.put(json.dumps(event))
    invocation = observing.deliver_due(STOP, receive_count=receive_count)
    assert invocation.failures == []
    outcomes = [(line["outcome"], line["dry_run"], line["observe"]) for line in invocation.outcomes]
    assert set(outcomes) == {("WouldStop", True, True)}
    assert {call.operation for call in observing.aws.calls} <= READS
    assert {event["dryRun"] for event in observing.aws.events.details} == {True}
    assert len(observing.stop_queue) == len(observing.confirm_queue) == len(observing.dead_letter_queue) == 0


@OF_ALL_OBSERVED
def test_observing_function_answers_a_caller(observing: SimulatedAws, event: Json) -> None:
    """A direct invocation answers that each run would be stopped, and that none was submitted."""
    response = observing.functions[STOP](event, observing.context) or {}
    assert response["SuccessfulSubmissions"] == []
    assert {error["ErrorDetail"]["ErrorCode"] for error in response["Errors"]} == {"WouldStop"}
    assert {call.operation for call in observing.aws.calls} <= READS


@pytest.mark.parametrize(
    "event", [OBSERVED["plain request"], OBSERVED["plain selection"], OBSERVED["attempts"]]
)
def test_message_that_was_read_while_observing_never_stops_a_run(observing: SimulatedAws, event: Json) -> None:
    """What STOP sends again says that it is a dry run, also for a function that observes no more."""
    observing.put(json.dumps(event))
    for operation in ("GetJobRuns", "GetJobRun"):
        observing.aws.faults.add(Throttle(), operation=operation, times=1)
    observing.deliver_due(STOP)
    (retried,) = observing.stop_queue
    assert json.loads(retried.body)["DryRun"] is True
    stops = observing.dependencies[STOP]
    assert isinstance(stops, StopDependencies)
    observing.dependencies[STOP] = replace(stops, observe=False)
    observing.run()
    assert observing.counts["WouldStop"] > 0
    assert observing.stop_calls() == []


def test_observing_function_keeps_unreadable_messages_only(observing: SimulatedAws) -> None:
    """A request that fails while observing has no dead letter, since it would have stopped nothing."""
    observing.put("{")
    for request in (
        {**events.request(), "JobName": "unknown"},
        {**events.request(Select={}), "JobName": "unknown-*"},
        events.request(*(f"jr_{number}" for number in range(1001))),
    ):
        observing.put(json.dumps(request))
    observing.run()
    failures = {name: observing.counts[name] for name in ("InvalidRequest", "NotFound", "TooManyRuns")}
    assert failures == {"InvalidRequest": 1, "NotFound": 2, "TooManyRuns": 1}
    assert [code for _, code, *_ in observing.dead_letters()] == ["InvalidRequest"]


@pytest.mark.parametrize("observe", [True, False])
def test_setting_decides_whether_a_function_observes(
    aws: FakeAws, make_dependencies: MakeDependencies, capsys: pytest.CaptureFixture[str], *, observe: bool
) -> None:
    """The variable of the function's environment makes it observe, and marks its lines."""
    aws.glue.add_run(events.JOB, events.RUN)
    response = stop.handler(events.request(), Context(), make_dependencies(observe=observe))
    assert len(response["SuccessfulSubmissions"]) == (0 if observe else 1)
    assert len(aws.requests("BatchStopJobRun")) == (0 if observe else 1)
    line = json.loads(capsys.readouterr().out.splitlines()[0])
    assert (line["outcome"], line.get("observe", False)) == (
        "WouldStop" if observe else "StopSubmitted",
        observe,
    )


@pytest.mark.usefixtures("new_loggers")
@given(WITH_SELECTIONS)
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_observing_function_never_stops_a_run(scenario: Scenario) -> None:
    """Whatever fails, is killed or is delivered twice, a function that observes calls no BatchStopJobRun."""
    check_observing(scenario)


def _is_meant(event: Json) -> bool:
    """Return whether the stop request itself, beside its `JobName`, has the member `DryRun`."""
    detail = event.get("detail")
    return isinstance(detail, dict) and "JobName" in detail and detail.get("DryRun") in {True, False}
