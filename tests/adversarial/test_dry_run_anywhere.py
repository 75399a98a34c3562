"""A `DryRun` outside the stop request: the message is refused, and stops nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest

from gluebrake.model import ParsedRequest
from tests.support.builders import Invalid, parse_one
from tests.support.simulated_aws import STOP, SimulatedAws
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


@pytest.mark.parametrize("field", ["JobName", "JobRunIds", "Select", "Reason", "RequestedBy", "DryRun"])
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


def _is_meant(event: Json) -> bool:
    """Return whether the stop request itself, beside its `JobName`, has the member `DryRun`."""
    detail = event.get("detail")
    return isinstance(detail, dict) and "JobName" in detail and detail.get("DryRun") in {True, False}
