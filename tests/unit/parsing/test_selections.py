"""Selections: which of a job's runs are meant, and never one that started after they were asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from gluebrake.contract import Selection, StopRequest
from gluebrake.decisions.selection import selected
from gluebrake.model import TERMINAL_STATES, ActiveRuns, Invalid, ParsedRequest, RunFacts
from gluebrake.parsing import dispatcher
from tests.unit.parsing.events import AWS_ENVIRONMENT, JOB, SENT_AT, message, request, stop_requested

pytestmark = pytest.mark.disable_socket

HOUR: Final = timedelta(hours=1)
EARLIER: Final = SENT_AT - HOUR
STATES: Final = ("STARTING", "RUNNING", "WAITING", "STOPPING", "PAUSED", "", *sorted(TERMINAL_STATES))
# What a selection says, and the time before which a run must have started.
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
STARTED_BEFORE: Final = "must be a time with its offset from UTC, like 2026-11-24T03:00:00Z"

moments = st.integers(-300, 300).map(lambda minutes: SENT_AT + timedelta(minutes=minutes))
runs = st.builds(
    RunFacts, run_id=st.uuids().map(str), state=st.sampled_from(STATES), started_on=st.none() | moments
)
selections = st.fixed_dictionaries(
    {},
    optional={
        "States": st.lists(st.sampled_from(["STARTING", "RUNNING", "WAITING"]), min_size=1, max_size=4),
        "OlderThanMinutes": st.integers(0, 300),
        "StartedBefore": moments.map(datetime.isoformat),
    },
)


def _asked(body: str | dict[str, Any], sent_at: datetime = SENT_AT) -> ParsedRequest:
    read = dispatcher.read(message(body, sent_at=sent_at), AWS_ENVIRONMENT)
    assert isinstance(read, ParsedRequest), read.why
    return read


def _run(state: str = "RUNNING", started_on: datetime | None = EARLIER) -> RunFacts:
    return RunFacts("jr_1", state, started_on)


def _means(select: dict[str, Any], run: RunFacts) -> bool:
    return selected(_asked(request(Select=select)), ActiveRuns(JOB, complete=True, runs=(run,))).run_ids == (
        "jr_1",
    )


class TestDating:
    """A selection is given its time when it is first read."""

    @pytest.mark.parametrize(("select", "before"), DATED)
    def test_selection_gets_the_earliest_of_its_times(self, select: dict[str, Any], before: datetime) -> None:
        """StartedBefore says all there is to say of time, and is never after the message."""
        assert _asked(request(Select=select)).request.select == Selection(started_before=before)

    @pytest.mark.parametrize(("select", "before"), DATED)
    def test_age_counts_once_however_often_it_is_read(self, select: dict[str, Any], before: datetime) -> None:
        """A retry or a redrive a day later means what the first reading meant: no run ages meanwhile."""
        first = _asked(request(Select=select)).request
        again = _asked(msgspec.json.encode(first).decode(), sent_at=SENT_AT + timedelta(days=1)).request
        assert again.select == Selection(started_before=before)

    def test_states_stay(self) -> None:
        """The states that a selection names are left as they are."""
        select = _asked(request(Select={"States": ["WAITING", "STARTING"]})).request.select
        assert select == Selection(states=("WAITING", "STARTING"), started_before=SENT_AT)

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
    def test_event_is_as_old_as_it_says_and_no_younger_than_its_message(
        self, time: str, before: datetime
    ) -> None:
        """An event's age counts from its own time, unless that is later than the message's or unreadable."""
        event = stop_requested(request(Select={"OlderThanMinutes": 60}), time=time)
        assert _asked(event).request.select == Selection(started_before=before)

    @pytest.mark.parametrize(
        ("select", "why"),
        [
            ({"States": []}, "Select.States: must be a list of length >= 1"),
            ({"States": "RUNNING"}, "Select.States: must be a list, not text"),
            ({"States": ["STOPPING"]}, "Select.States[0]: must be one of STARTING, RUNNING and WAITING"),
            ({"States": ["running"]}, "Select.States[0]: must be one of STARTING, RUNNING and WAITING"),
            ({"States": ["RUNNING", None]}, "Select.States[1]: must be text, not null"),
            ({"OlderThanMinutes": -1}, "Select.OlderThanMinutes: must be a whole number >= 0"),
            ({"OlderThanMinutes": 10_081}, "Select.OlderThanMinutes: must be a whole number <= 10080"),
            ({"OlderThanMinutes": "60"}, "Select.OlderThanMinutes: must be a whole number, not text"),
            ({"OlderThanMinutes": 1.5}, "Select.OlderThanMinutes: must be a whole number, not a number"),
            ({"OlderThanMinutes": 10**30}, "Select.OlderThanMinutes: "),
            ({"OlderThanMinutes": None}, "Select.OlderThanMinutes: must be a whole number, not null"),
            ({"OlderThanMinutes": True}, "Select.OlderThanMinutes: must be a whole number, not true or false"),
            ({"StartedBefore": "2026-03-14T08:00:00"}, f"Select.StartedBefore: {STARTED_BEFORE}"),
            ({"StartedBefore": "yesterday"}, f"Select.StartedBefore: {STARTED_BEFORE}"),
            ({"StartedBefore": 1773475200}, "Select.StartedBefore: must be a time, not a whole number"),
            ({"StartedBefore": None}, "Select.StartedBefore: must be a time, not null"),
            ({"JobRunIds": ["jr_1"]}, "Select.JobRunIds: unknown field; allowed: States, OlderThanMinutes"),
        ],
    )
    def test_wrong_selection_is_explained(self, select: dict[str, Any], why: str) -> None:
        """A selection that breaks a rule stops nothing, and says which rule."""
        read = dispatcher.read(message(request(Select=select)), AWS_ENVIRONMENT)
        assert isinstance(read, Invalid)
        assert read.why.startswith(why)
        assert "`" not in read.why


class TestSelecting:
    """Which runs of those that were found are meant."""

    @pytest.mark.parametrize("state", STATES)
    def test_every_active_run_is_meant_when_no_state_is_named(self, state: str) -> None:
        """What is over or stopping is not meant; a state that Glue adds tomorrow is."""
        assert _means({}, _run(state)) is (state not in TERMINAL_STATES | {"STOPPING"})
        assert _run(state).is_active is _means({}, _run(state))

    @pytest.mark.parametrize("state", STATES)
    def test_named_states_alone_are_meant(self, state: str) -> None:
        """A run in any other state is not meant."""
        assert _means({"States": ["WAITING", "RUNNING"]}, _run(state)) is (state in {"WAITING", "RUNNING"})

    @pytest.mark.parametrize(
        ("started_on", "meant"),
        [
            (SENT_AT - timedelta(microseconds=1), True),
            (SENT_AT, False),
            (SENT_AT + timedelta(microseconds=1), False),
            (None, False),
        ],
    )
    def test_run_must_have_started_before(self, started_on: datetime | None, *, meant: bool) -> None:
        """A run that started with the message, after it, or at no time that is known is not meant."""
        assert _means({}, _run(started_on=started_on)) is meant

    @given(selections, st.lists(runs, max_size=8))
    def test_no_run_is_selected_that_started_when_or_after_it_was_asked_for(
        self, select: dict[str, Any], found: list[RunFacts]
    ) -> None:
        """Whatever a selection says, it means active runs in its states that are old enough, all of them."""
        one = selected(_asked(request(Select=select)), ActiveRuns(JOB, complete=True, runs=tuple(found)))
        states = select.get("States") or set(STATES) - TERMINAL_STATES - {"STOPPING"}
        before = min(
            SENT_AT - timedelta(minutes=select.get("OlderThanMinutes", 0)),
            datetime.fromisoformat(select.get("StartedBefore", SENT_AT.isoformat())),
        )
        meant = [run for run in found if run.state in states and run.started_on and run.started_on < before]
        assert one.run_ids == tuple(run.run_id for run in meant)

    def test_nothing_is_selected_from_a_search_without_an_end(self) -> None:
        """What a failed search leaves is no run."""
        assert selected(_asked(request(Select={})), ActiveRuns(JOB, code="ThrottlingException")).run_ids == ()

    def test_request_is_kept_beside_the_runs(self) -> None:
        """What was asked is told as it was asked, not as it was found."""
        one = selected(_asked(request(Select={})), ActiveRuns(JOB, complete=True, runs=(_run(),)))
        assert one.request == StopRequest(job_name=JOB, select=Selection(started_before=SENT_AT))
        assert one.request.job_run_ids is UNSET
