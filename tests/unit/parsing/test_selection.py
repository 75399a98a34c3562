"""Tests of selections: which active runs match, and never a run that started after the message was sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from gluebrake.contract import Selection, StopRequest
from gluebrake.decisions.selection import select
from gluebrake.model import TERMINAL_STATES, ActiveRuns, ParsedRequest, RunFacts
from tests.support.builders import Invalid, parse_one
from tests.unit.parsing.events import JOB, SENT_AT, message, request, stop_request_event

pytestmark = pytest.mark.disable_socket

HOUR: Final = timedelta(hours=1)
EARLIER: Final = SENT_AT - HOUR
STATES: Final = ("STARTING", "RUNNING", "WAITING", "STOPPING", "PAUSED", "", *sorted(TERMINAL_STATES))
# A selection, and the time before which a matching run must have started.
DATED: Final[list[tuple[dict[str, Any], datetime]]] = [
    ({}, SENT_AT),
    ({"StartedBefore": EARLIER.isoformat()}, EARLIER),
    ({"StartedBefore": EARLIER.astimezone(timezone(5 * HOUR)).isoformat()}, EARLIER),
    ({"StartedBefore": (SENT_AT + HOUR).isoformat()}, SENT_AT),
    ({"StartedBefore": "9999-12-31T23:59:59Z"}, SENT_AT),
    ({"StartedBefore": "0001-01-01T00:00:00Z"}, datetime(1, 1, 1, tzinfo=UTC)),
    ({"OlderThanMinutes": 0}, SENT_AT),
    ({"OlderThanMinutes": 60}, EARLIER),
    ({"OlderThanMinutes": 10_080}, SENT_AT - timedelta(days=7)),
    ({"OlderThanMinutes": 30, "StartedBefore": EARLIER.isoformat()}, EARLIER),
    ({"OlderThanMinutes": 90, "StartedBefore": EARLIER.isoformat()}, SENT_AT - 1.5 * HOUR),
    ({"OlderThanMinutes": 60, "StartedBefore": (SENT_AT + HOUR).isoformat()}, EARLIER),
]
times = st.integers(-300, 300).map(lambda minutes: SENT_AT + timedelta(minutes=minutes))
runs = st.builds(
    RunFacts, run_id=st.uuids().map(str), state=st.sampled_from(STATES), started_on=st.none() | times
)
selections = st.fixed_dictionaries(
    {},
    optional={
        "States": st.lists(st.sampled_from(["STARTING", "RUNNING", "WAITING"]), min_size=1, max_size=4),
        "OlderThanMinutes": st.integers(0, 300),
        "StartedBefore": times.map(datetime.isoformat),
    },
)


def _parse(body: str | dict[str, Any], sent_at: datetime = SENT_AT) -> ParsedRequest:
    parsed = parse_one(message(body, sent_at=sent_at))
    assert isinstance(parsed, ParsedRequest), parsed.why
    return parsed


def _run(state: str = "RUNNING", started_on: datetime | None = EARLIER) -> RunFacts:
    return RunFacts("jr_1", state, started_on)


def _matches(selection: dict[str, Any], run: RunFacts) -> bool:
    active = ActiveRuns(JOB, complete=True, runs=(run,))
    return select(_parse(request(Select=selection)), active).run_ids == ("jr_1",)


class TestTimeLimit:
    """A selection gets its time limit when it is first parsed."""

    @pytest.mark.parametrize(("selection", "before"), DATED)
    def test_time_limit_is_the_earliest_time(self, selection: dict[str, Any], before: datetime) -> None:
        """Age and time become one StartedBefore, which is never later than the message."""
        assert _parse(request(Select=selection)).request.select == Selection(started_before=before)

    @pytest.mark.parametrize(("selection", "before"), DATED)
    def test_retry_keeps_the_time_limit(self, selection: dict[str, Any], before: datetime) -> None:
        """A retry or a redrive a day later selects the same runs, although they are older then."""
        first = _parse(request(Select=selection)).request
        retried = _parse(msgspec.json.encode(first).decode(), sent_at=SENT_AT + timedelta(days=1)).request
        assert retried.select == Selection(started_before=before)

    def test_states_are_unchanged(self) -> None:
        """Parsing does not change the states of a selection."""
        selection = _parse(request(Select={"States": ["WAITING", "STARTING"]})).request.select
        assert selection == Selection(states=("WAITING", "STARTING"), started_before=SENT_AT)

    @pytest.mark.parametrize(
        ("time", "before"),
        [
            ("2026-03-14T08:00:00Z", datetime(2026, 3, 14, 7, tzinfo=UTC)),
            ("2126-03-14T08:00:00Z", EARLIER),
            ("tomorrow", EARLIER),
            ("2026-03-14T08:00:00", EARLIER),
            ("", EARLIER),
        ],
    )
    def test_age_counts_from_the_event_or_from_its_message(self, time: str, before: datetime) -> None:
        """The age counts from the event's time, unless that is later than the message's or unreadable."""
        event = stop_request_event(request(Select={"OlderThanMinutes": 60}), time=time)
        assert _parse(event).request.select == Selection(started_before=before)

    @pytest.mark.parametrize(
        ("selection", "why"),
        [
            ({"States": []}, "Select.States: Expected `array` of length >= 1"),
            ({"States": "RUNNING"}, "Select.States: Expected `array`, got `str`"),
            ({"States": ["STOPPING"]}, "Select.States[0]: Invalid enum value 'STOPPING'"),
            ({"States": ["running"]}, "Select.States[0]: Invalid enum value 'running'"),
            ({"States": ["RUNNING", None]}, "Select.States[1]: Expected `str`, got `null`"),
            ({"OlderThanMinutes": -1}, "Select.OlderThanMinutes: Expected `int` >= 0"),
            ({"OlderThanMinutes": 10_081}, "Select.OlderThanMinutes: Expected `int` <= 10080"),
            ({"OlderThanMinutes": "60"}, "Select.OlderThanMinutes: Expected `int`, got `str`"),
            ({"OlderThanMinutes": 1.5}, "Select.OlderThanMinutes: Expected `int`, got `float`"),
            ({"OlderThanMinutes": 10**30}, "Select.OlderThanMinutes: "),
            ({"OlderThanMinutes": None}, "Select.OlderThanMinutes: Expected `int`, got `null`"),
            ({"OlderThanMinutes": True}, "Select.OlderThanMinutes: Expected `int`, got `bool`"),
            (
                {"StartedBefore": "2026-03-14T08:00:00"},
                "Select.StartedBefore: Expected `datetime` with a timezone",
            ),
            ({"StartedBefore": "yesterday"}, "Select.StartedBefore: Invalid RFC3339 encoded datetime"),
            ({"StartedBefore": 1773475200}, "Select.StartedBefore: Expected `datetime`, got `int`"),
            ({"StartedBefore": None}, "Select.StartedBefore: Expected `datetime`, got `null`"),
            ({"JobRunIds": ["jr_1"]}, "Select.JobRunIds: unknown field; allowed: States, OlderThanMinutes"),
        ],
    )
    def test_error_of_an_invalid_selection_has_the_rule(self, selection: dict[str, Any], why: str) -> None:
        """A selection that breaks a rule is invalid, with the field's path and the rule."""
        parsed = parse_one(message(request(Select=selection)))
        assert isinstance(parsed, Invalid)
        assert parsed.why.startswith(why)


class TestSelect:
    """Which active runs a selection matches."""

    @pytest.mark.parametrize("state", STATES)
    def test_selection_without_states_matches_every_active_run(self, state: str) -> None:
        """A run that is over or stopping does not match. A run in a state that Glue adds later does."""
        assert _matches({}, _run(state)) is (state not in TERMINAL_STATES | {"STOPPING"})
        assert _run(state).is_active is _matches({}, _run(state))

    @pytest.mark.parametrize("state", STATES)
    def test_selection_with_states_matches_these_states_only(self, state: str) -> None:
        """A run in another state does not match."""
        assert _matches({"States": ["WAITING", "RUNNING"]}, _run(state)) is (state in {"WAITING", "RUNNING"})

    @pytest.mark.parametrize(
        ("started_on", "expected"),
        [
            (SENT_AT - timedelta(microseconds=1), True),
            (SENT_AT, False),
            (SENT_AT + timedelta(microseconds=1), False),
            (None, False),
        ],
    )
    def test_run_must_have_started_before_the_message(
        self, started_on: datetime | None, *, expected: bool
    ) -> None:
        """A run that started with the message, later, or at an unknown time does not match."""
        assert _matches({}, _run(started_on=started_on)) is expected

    @given(selections, st.lists(runs, max_size=8))
    def test_every_match_is_active_and_started_before_the_limit(
        self, selection: dict[str, Any], active: list[RunFacts]
    ) -> None:
        """Any selection matches exactly the active runs in its states that started early enough."""
        listed = ActiveRuns(JOB, complete=True, runs=tuple(active))
        parsed = select(_parse(request(Select=selection)), listed)
        states = selection.get("States") or set(STATES) - TERMINAL_STATES - {"STOPPING"}
        before = min(
            SENT_AT - timedelta(minutes=selection.get("OlderThanMinutes", 0)),
            datetime.fromisoformat(selection.get("StartedBefore", SENT_AT.isoformat())),
        )
        expected = [run for run in active if run.state in states and run.started_on and run.started_on < before]
        assert parsed.run_ids == tuple(run.run_id for run in expected)

    def test_incomplete_listing_has_no_match(self) -> None:
        """A listing that failed has no runs."""
        parsed = select(_parse(request(Select={})), ActiveRuns(JOB, code="ThrottlingException"))
        assert parsed.run_ids == ()

    def test_request_is_unchanged_beside_the_run_ids(self) -> None:
        """The matching run ids do not become part of the request."""
        parsed = select(_parse(request(Select={})), ActiveRuns(JOB, complete=True, runs=(_run(),)))
        assert parsed.request == StopRequest(job_name=JOB, select=Selection(started_before=SENT_AT))
        assert parsed.request.job_run_ids is UNSET
