"""A field of a stop request reaches everything that the request leads to, without code that names the field."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec
import pytest
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from gluebrake.contract import Selection, StopOutcome, StopRequest
from gluebrake.decisions.planning import merge
from gluebrake.decisions.routing import outgoing_messages
from gluebrake.model import MessageResult, OutgoingMessage, ParsedRequest, RunResult, StopTarget
from gluebrake.outcomes import OUTCOMES, Outcome, Route
from gluebrake.telemetry import ResultLine
from tests.support.builders import NOON, message, retry_policy, target

pytestmark = pytest.mark.disable_socket


class TicketRequest(StopRequest, frozen=True):
    """A stop request with one more field, as a later version may have it."""

    ticket: str | UnsetType = UNSET


RUNS: Final = TicketRequest("etl", job_run_ids=("jr_1",), ticket="T-1")
SELECTION: Final = TicketRequest(
    "etl",
    select=Selection(
        states=("RUNNING",),
        started_before=NOON,
        started_after=NOON,
        arguments={"--day": "1"},
        exclude=("jr_2",),
    ),
    ticket="T-1",
)
INCLUDING: Final = replace(RUNS, include_attempts=True, attempts_started_before=NOON)

SENDING_OUTCOMES: Final = tuple(
    outcome
    for outcome, facts in OUTCOMES.items()
    if facts.route is not Route.END and outcome not in {Outcome.INVALID_REQUEST, Outcome.TOO_MANY_RUNS}
)
"""The outcomes of a run that lead to a message: a retry, a confirmation, a poll or a dead letter."""

LISTING_OUTCOMES: Final = (Outcome.RETRYING, Outcome.DEFERRED, Outcome.NOT_FOUND, Outcome.FAILED)
"""The outcomes of a request whose runs could not be listed that lead to a message."""

# Where a field of a request has another name, or is left out, in what is reported about a single run.
OTHER_NAMES: Final = {"job_run_ids": "job_run_id"}
LEFT_OUT: Final = frozenset({"select", "include_attempts", "attempts_started_before"})


def _target(ticket: str = "T-1", run_id: str = "jr_1") -> StopTarget:
    return replace(target(run_id), request=TicketRequest("etl", ticket=ticket))


def _routed(*results: RunResult | MessageResult) -> list[OutgoingMessage]:
    return outgoing_messages(
        [result for result in results if isinstance(result, RunResult)],
        [result for result in results if isinstance(result, MessageResult)],
        retry_policy(),
        now=NOON,
        jitter=lambda: 0.5,
    )


@pytest.mark.parametrize("outcome", SENDING_OUTCOMES)
def test_message_about_a_run_has_every_field(outcome: Outcome) -> None:
    """Retry message, confirm message and dead letter are written from the whole request."""
    (sent,) = _routed(RunResult(_target(), outcome))
    assert json.loads(sent.body) == {"JobName": "etl", "JobRunIds": ["jr_1"], "Ticket": "T-1"}


@pytest.mark.parametrize("outcome", LISTING_OUTCOMES)
def test_message_about_a_selection_has_every_field(outcome: Outcome) -> None:
    """A selection that is sent again, and its dead letter, are written from the whole request."""
    (sent,) = _routed(MessageResult(message(), outcome, "why", request=SELECTION))
    assert json.loads(sent.body) == {
        "JobName": "etl",
        "Select": {
            "States": ["RUNNING"],
            "StartedBefore": "2026-11-24T12:00:00Z",
            "StartedAfter": "2026-11-24T12:00:00Z",
            "Arguments": {"--day": "1"},
            "Except": ["jr_2"],
        },
        "Ticket": "T-1",
    }


@pytest.mark.parametrize("outcome", [*LISTING_OUTCOMES, Outcome.TOO_MANY_RUNS])
def test_message_about_unlisted_attempts_has_every_field(outcome: Outcome) -> None:
    """A request whose attempts are not known keeps its runs, and the time before which attempts started."""
    (sent,) = _routed(MessageResult(message(), outcome, "why", request=INCLUDING))
    assert json.loads(sent.body) == {
        "JobName": "etl",
        "JobRunIds": ["jr_1"],
        "Ticket": "T-1",
        "IncludeAttempts": True,
        "AttemptsStartedBefore": "2026-11-24T12:00:00Z",
    }


def test_dead_letter_of_a_message_has_every_field() -> None:
    """The dead letter of a request for too many runs has the original body."""
    body = msgspec.json.encode(RUNS).decode()
    (sent,) = _routed(MessageResult(message(body), Outcome.TOO_MANY_RUNS, "why", request=RUNS))
    assert sent.body == body


def test_merged_target_has_every_field() -> None:
    """A target has the whole request, without the fields that say which runs it means."""
    for request in (RUNS, SELECTION, INCLUDING):
        (merged,) = merge([ParsedRequest(message(), request, ("jr_1",))])
        assert merged.request == TicketRequest("etl", ticket="T-1")


def test_targets_with_different_fields_do_not_share_a_message() -> None:
    """Targets share a message only if their requests are equal in every field."""
    sent = _routed(
        *(
            RunResult(_target(ticket, run_id), Outcome.RETRYING)
            for ticket, run_id in (("T-1", "jr_1"), ("T-2", "jr_2"), ("T-1", "jr_3"))
        )
    )
    assert [json.loads(message.body)["JobRunIds"] for message in sent] == [["jr_1", "jr_3"], ["jr_2"]]


@pytest.mark.parametrize("request_with_runs", [RUNS, SELECTION, INCLUDING, StopRequest("etl"), _target()])
def test_request_can_be_a_key(request_with_runs: StopRequest | StopTarget) -> None:
    """Equal values have equal hashes, so that targets are grouped by the request itself."""
    copy = replace(request_with_runs)
    assert copy is not request_with_runs
    assert {request_with_runs: "group"}[copy] == "group"


@pytest.mark.parametrize(
    "changes",
    [
        {"states": UNSET},
        {"started_before": UNSET},
        {"started_after": UNSET},
        {"arguments": {"--day": "2"}},
        {"arguments": UNSET},
        {"exclude": ("jr_3",)},
    ],
)
def test_selections_that_differ_are_different_keys(changes: dict[str, Any]) -> None:
    """Every field of a selection counts in a comparison, also those that its hash leaves out."""
    assert SELECTION.select
    other = replace(SELECTION, select=replace(SELECTION.select, **changes))
    assert len({SELECTION: 1, other: 2}) == 2


@pytest.mark.parametrize("report", [ResultLine, StopOutcome])
def test_reports_have_every_field_of_a_request(report: type[ResultLine | StopOutcome]) -> None:
    """A field of a request is in the log line and in the outcome event of each of its runs."""
    names = {field.name for field in msgspec.structs.fields(report)}
    expected = [
        OTHER_NAMES.get(field.name, field.name)
        for field in msgspec.structs.fields(StopRequest)
        if field.name not in LEFT_OUT
    ]
    missing = [name for name in expected if name not in names]
    assert not missing, f"{report.__name__} has no field for {', '.join(missing)}"
