"""Tests of selections and of attempts: which runs a request means, and none that started after its message."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from gluebrake.contract import Selection, StopRequest
from gluebrake.decisions.selection import listed_since, select
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
RUN_IDS: Final = tuple(f"jr_{number}" for number in range(8))
ARGUMENTS: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"--day": "1"},
    {"--day": "2"},
    {"--day": "1", "--env": "dev"},
    {"--day": 1},
)
times = st.integers(-300, 300).map(lambda minutes: SENT_AT + timedelta(minutes=minutes))
runs = st.builds(
    RunFacts,
    run_id=st.sampled_from(RUN_IDS),
    state=st.sampled_from(STATES),
    started_on=st.none() | times,
    previous_run_id=st.sampled_from(("", "jr_x", *RUN_IDS)),
    arguments=st.sampled_from(ARGUMENTS),
)
selections = st.fixed_dictionaries(
    {},
    optional={
        "States": st.lists(st.sampled_from(["STARTING", "RUNNING", "WAITING"]), min_size=1, max_size=4),
        "OlderThanMinutes": st.integers(0, 300),
        "StartedBefore": times.map(datetime.isoformat),
        "StartedAfter": times.map(datetime.isoformat),
        "Arguments": st.sampled_from(({"--day": "1"}, {"--day": "1", "--env": "dev"}, {"--env": ""})),
        "Except": st.lists(st.sampled_from(RUN_IDS), min_size=1, max_size=3),
    },
)


def _parse(body: str | dict[str, Any], sent_at: datetime = SENT_AT) -> ParsedRequest:
    parsed = parse_one(message(body, sent_at=sent_at))
    assert isinstance(parsed, ParsedRequest), parsed.why
    return parsed


def _run(state: str = "RUNNING", started_on: datetime | None = EARLIER, **facts: Any) -> RunFacts:
    return RunFacts("jr_1", state, started_on, **facts)


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

    def test_every_other_field_is_kept_in_a_retry(self) -> None:
        """Arguments, exceptions and the earliest start of a selection are the same in each retry."""
        fields = {
            "StartedAfter": EARLIER.isoformat(),
            "Arguments": {"--day": "1", "": "", "--text": "two\nlines"},
            "Except": ["jr_1", "jr_2"],
        }
        first = _parse(request(Select=fields)).request
        assert first.select == Selection(
            started_before=SENT_AT,
            started_after=EARLIER,
            arguments={"--day": "1", "": "", "--text": "two\nlines"},
            exclude=("jr_1", "jr_2"),
        )
        assert _parse(msgspec.json.encode(first).decode()).request == first

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
            (
                {"StartedAfter": "2026-03-14"},
                "Select.StartedAfter: Invalid RFC3339 encoded datetime; allowed: a",
            ),
            (
                {"StartedAfter": "2026-03-14T08:00:00"},
                "Select.StartedAfter: Expected `datetime` with a timezone component; allowed: a time with its",
            ),
            ({"Arguments": {}}, "Select.Arguments: Expected `object` of length >= 1"),
            (
                {"Arguments": {str(number): "" for number in range(51)}},
                "Select.Arguments: Expected `object` of",
            ),
            ({"Arguments": ["--day"]}, "Select.Arguments: Expected `object`, got `array`"),
            ({"Arguments": {"--day": 1}}, "Select.Arguments[...]: Expected `str`, got `int`"),
            ({"Arguments": {"--day": "x" * 1025}}, "Select.Arguments[...]: Expected `str` of length <= 1024"),
            ({"Arguments": {"x" * 1025: "1"}}, "Select.Arguments: Expected `str` of length <= 1024"),
            (
                {"Arguments": {"--day": "1\x07"}},
                "Select.Arguments: must have text without control characters; character 2 is U+0007",
            ),
            (
                {"Arguments": {"\ufffe": "1"}},
                "Select.Arguments: must have text without control characters; character 1 is U+FFFE",
            ),
            ({"Except": []}, "Select.Except: Expected `array` of length >= 1"),
            ({"Except": "jr_1"}, "Select.Except: Expected `array`, got `str`"),
            ({"Except": ["jr_1", ""]}, "Select.Except[1]: Expected `str` of length >= 1"),
            (
                {"Except": ["jr_1", "jr\n2"]},
                "Select.Except[1]: must be one line of text without control characters; character 3 is U+000A",
            ),
            (
                {"JobRunIds": ["jr_1"]},
                "Select.JobRunIds: unknown field; allowed: States, OlderThanMinutes, StartedBefore",
            ),
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

    @pytest.mark.parametrize(
        ("started_on", "expected"),
        [
            (EARLIER - timedelta(microseconds=1), False),
            (EARLIER, True),
            (EARLIER + timedelta(microseconds=1), True),
            (None, False),
        ],
    )
    def test_run_must_have_started_at_started_after_or_later(
        self, started_on: datetime | None, *, expected: bool
    ) -> None:
        """A run that started before StartedAfter, or at an unknown time, does not match."""
        assert _matches({"StartedAfter": EARLIER.isoformat()}, _run(started_on=started_on)) is expected

    @pytest.mark.parametrize(
        ("of_run", "expected"),
        [
            ({"--day": "1"}, True),
            ({"--day": "1", "--env": "dev"}, True),
            ({"--day": "2"}, False),
            ({"--day": ""}, False),
            ({"--Day": "1"}, False),
            ({"--day": 1}, False),
            ({"--day": None}, False),
            ({}, False),
        ],
    )
    def test_run_must_have_the_arguments(self, of_run: dict[str, Any], *, expected: bool) -> None:
        """A run matches if its own arguments have each name with exactly that value."""
        assert _matches({"Arguments": {"--day": "1"}}, _run(arguments=of_run)) is expected

    def test_run_must_have_all_of_the_arguments(self) -> None:
        """A run with some of the arguments only does not match."""
        both = {"--day": "1", "--env": "dev"}
        assert not _matches({"Arguments": both}, _run(arguments={"--day": "1"}))
        assert _matches({"Arguments": both}, _run(arguments=both))

    def test_excepted_run_does_not_match(self) -> None:
        """A run that Except names does not match, and every other run does."""
        assert not _matches({"Except": ["jr_0", "jr_1"]}, _run())
        assert _matches({"Except": ["jr_0", "jr_11", "JR_1"]}, _run())

    def test_run_on_two_pages_is_named_once(self) -> None:
        """Pages that overlap name a run once, and count it once, by the state of the later page."""
        selected = _parse(request(Select={}))
        redelivered = replace(selected, message=replace(selected.message, receive_count=2))
        listed = ActiveRuns(JOB, complete=True, runs=(_run(), _run("STOPPING")))
        resolved = select(redelivered, listed)
        assert (resolved.run_ids, resolved.inactive) == (("jr_1",), 1)
        resolved = select(redelivered, replace(listed, runs=(_run("STOPPING"), _run("STOPPING"))))
        assert (resolved.run_ids, resolved.inactive) == (("jr_1",), 1)

    @given(selections, st.lists(runs, max_size=8, unique_by=lambda run: run.run_id))
    def test_every_match_is_active_and_fulfils_every_condition(
        self, selection: dict[str, Any], active: list[RunFacts]
    ) -> None:
        """Any selection matches exactly the active runs that its fields describe, in the order of the list."""
        listed = ActiveRuns(JOB, complete=True, runs=tuple(active))
        parsed = select(_parse(request(Select=selection)), listed)
        states = selection.get("States") or set(STATES) - TERMINAL_STATES - {"STOPPING"}
        before = min(
            SENT_AT - timedelta(minutes=selection.get("OlderThanMinutes", 0)),
            datetime.fromisoformat(selection.get("StartedBefore", SENT_AT.isoformat())),
        )
        after = datetime.fromisoformat(selection.get("StartedAfter", "0001-01-01T00:00:00+00:00"))
        expected = [
            run
            for run in active
            if run.state in states and run.started_on and after <= run.started_on < before
            if selection.get("Arguments", {}).items() <= run.arguments.items()
            if run.run_id not in selection.get("Except", ())
        ]
        assert parsed.run_ids == tuple(run.run_id for run in expected)
        assert parsed.inactive == 0

    def test_incomplete_listing_has_no_match(self) -> None:
        """A listing that failed has no runs."""
        parsed = select(_parse(request(Select={})), ActiveRuns(JOB, code="ThrottlingException"))
        assert parsed.run_ids == ()

    def test_request_is_unchanged_beside_the_run_ids(self) -> None:
        """The matching run ids do not become part of the request."""
        parsed = select(_parse(request(Select={})), ActiveRuns(JOB, complete=True, runs=(_run(),)))
        assert parsed.request == StopRequest(job_name=JOB, select=Selection(started_before=SENT_AT))
        assert parsed.request.job_run_ids is UNSET


def _including(*run_ids: str, **changes: Any) -> ParsedRequest:
    """Parse a request for runs with their attempts; `changes` are the message's."""
    parsed = _parse(request(*run_ids, IncludeAttempts=True))
    return replace(parsed, message=replace(parsed.message, **changes))


def _attempt(run_id: str, previous_run_id: str, state: str = "RUNNING", **facts: Any) -> RunFacts:
    return RunFacts(run_id, state, **{"started_on": EARLIER, "previous_run_id": previous_run_id, **facts})


def _resolved(parsed: ParsedRequest, *listed: RunFacts) -> ParsedRequest:
    return select(parsed, ActiveRuns(JOB, complete=True, runs=listed))


class TestAttempts:
    """Which runs a request for named runs and their attempts means."""

    @pytest.mark.parametrize(
        ("time", "before"),
        [
            (None, SENT_AT),
            (EARLIER, EARLIER),
            (SENT_AT + HOUR, SENT_AT),
            (datetime(1, 1, 1, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC)),
        ],
    )
    def test_time_limit_is_kept_in_a_retry(self, time: datetime | None, before: datetime) -> None:
        """The time of the message, or an earlier AttemptsStartedBefore, is the limit in each retry."""
        limit = {} if time is None else {"AttemptsStartedBefore": time.isoformat()}
        first = _parse(request(IncludeAttempts=True, **limit)).request
        assert first.attempts_started_before == before
        retried = _parse(msgspec.json.encode(first).decode(), sent_at=SENT_AT + timedelta(days=1)).request
        assert retried == first

    def test_time_limit_is_that_of_the_event(self) -> None:
        """Attempts must have started before the event of the request."""
        event = stop_request_event(request(IncludeAttempts=True), time="2026-03-14T08:00:00Z")
        assert _parse(event).request.attempts_started_before == datetime(2026, 3, 14, 8, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("fields", "why"),
        [
            ({"IncludeAttempts": 1}, "IncludeAttempts: Expected `bool`, got `int`"),
            (
                {"IncludeAttempts": True, "Select": {}},
                "IncludeAttempts: needs JobRunIds; a selection matches every attempt by itself",
            ),
            ({"AttemptsStartedBefore": EARLIER.isoformat()}, "AttemptsStartedBefore: needs IncludeAttempts"),
            (
                {"AttemptsStartedBefore": EARLIER.isoformat(), "IncludeAttempts": False},
                "AttemptsStartedBefore: needs IncludeAttempts",
            ),
            (
                {"AttemptsStartedBefore": "2026-03-14T08:00:00", "IncludeAttempts": True},
                "AttemptsStartedBefore: Expected `datetime` with a timezone component; allowed: a time with",
            ),
        ],
    )
    def test_error_has_the_field_and_the_rule(self, fields: dict[str, Any], why: str) -> None:
        """A request that breaks a rule of the two fields is invalid, alone and in an event."""
        for body, path in ((request(**fields), ""), (stop_request_event(request(**fields)), "detail.")):
            parsed = parse_one(message(body))
            assert isinstance(parsed, Invalid)
            assert parsed.why.startswith(path + why)

    def test_attempts_follow_the_named_runs(self) -> None:
        """A run belongs to the request if its PreviousRunId leads to a named run, over any number of runs."""
        listed = (
            _attempt("jr_9", "jr_8"),
            _attempt("third", "second"),
            _attempt("second", "jr_1", "FAILED", completed_on=EARLIER),
            _attempt("jr_1", "", "FAILED", completed_on=EARLIER),
            _attempt("other", ""),
            _attempt("of the second name", "jr_2"),
        )
        assert _resolved(_including("jr_1", "jr_2"), *listed).run_ids == (
            *("jr_1", "jr_2"),
            *("of the second name", "third"),
        )

    def test_named_attempt_leads_to_later_attempts_only(self) -> None:
        """The run that a named attempt follows is not meant."""
        listed = (_attempt("jr_3", "jr_2"), _attempt("jr_2", "jr_1"), _attempt("jr_1", ""))
        assert _resolved(_including("jr_2"), *listed).run_ids == ("jr_2", "jr_3")

    def test_named_runs_are_meant_whatever_the_list_shows(self) -> None:
        """A named run that is over, too young or not listed remains in the request."""
        young = _attempt("jr_2", "", started_on=SENT_AT)
        over = _attempt("jr_1", "", "SUCCEEDED", completed_on=EARLIER)
        for listed in ((), (young, over)):
            resolved = _resolved(_including("jr_1", "jr_2"), *listed)
            assert (resolved.run_ids, resolved.inactive) == (("jr_1", "jr_2"), 0)

    @pytest.mark.parametrize(
        ("started_on", "expected"),
        [(SENT_AT - timedelta(microseconds=1), True), (SENT_AT, False), (SENT_AT + HOUR, False), (None, False)],
    )
    def test_attempt_must_have_started_before_the_message(
        self, started_on: datetime | None, *, expected: bool
    ) -> None:
        """An attempt that started with the message, later, or at an unknown time is not meant."""
        resolved = _resolved(_including("jr_1"), _attempt("jr_2", "jr_1", started_on=started_on))
        assert ("jr_2" in resolved.run_ids) is expected

    @pytest.mark.parametrize("state", STATES)
    def test_attempt_must_be_active(self, state: str) -> None:
        """At the first delivery, an attempt that is stopping or over is not meant."""
        attempt = _attempt("jr_2", "jr_1", state, completed_on=SENT_AT)
        resolved = _resolved(_including("jr_1"), attempt)
        assert ("jr_2" in resolved.run_ids) is attempt.is_active

    @pytest.mark.parametrize("state", STATES)
    @pytest.mark.parametrize("ended", [timedelta(), -HOUR])
    def test_redelivery_also_means_attempts_that_may_have_been_stopped(
        self, state: str, ended: timedelta
    ) -> None:
        """An earlier delivery may have stopped an attempt that is STOPPING, or that ended since."""
        attempt = _attempt("jr_2", "jr_1", state, completed_on=SENT_AT + ended)
        resolved = _resolved(_including("jr_1", receive_count=2), attempt)
        assert ("jr_2" in resolved.run_ids) is not (attempt.is_over and ended < timedelta())
        assert resolved.inactive == ("jr_2" in resolved.run_ids and not attempt.is_active)

    def test_redelivered_dry_run_means_active_attempts_only(self) -> None:
        """A dry run has stopped nothing."""
        parsed = _including("jr_1", receive_count=2)
        dry_run = replace(parsed, request=replace(parsed.request, dry_run=True))
        assert _resolved(dry_run, _attempt("jr_2", "jr_1", "STOPPING")).run_ids == ("jr_1",)

    def test_direct_invocation_may_be_a_repetition(self) -> None:
        """Lambda repeats an invocation without a mark, so an attempt that is STOPPING is meant."""
        parsed = _including("jr_1", is_direct=True)
        assert _resolved(parsed, _attempt("jr_2", "jr_1", "STOPPING")).run_ids == ("jr_1", "jr_2")
        limited = replace(parsed, request=replace(parsed.request, attempts_started_before=SENT_AT - HOUR))
        for minutes, expected in ((4, True), (6, False)):
            ended = _attempt(
                *("jr_2", "jr_1", "STOPPED"),
                started_on=SENT_AT - 2 * HOUR,
                completed_on=SENT_AT - timedelta(minutes=minutes),
            )
            assert ("jr_2" in _resolved(limited, ended).run_ids) is expected

    def test_runs_that_lead_to_each_other_have_an_end(self) -> None:
        """Runs whose PreviousRunIds form a circle are each meant once, and so is a run that leads to itself."""
        circle = [_attempt(f"jr_{number}", f"jr_{(number + 1) % 4}") for number in range(4)]
        listed = (*circle, *circle, _attempt("jr_5", "jr_5"))
        for named in ("jr_0", "jr_5"):
            run_ids = _resolved(_including(named), *listed).run_ids
            assert sorted(run_ids) == (["jr_5"] if named == "jr_5" else [f"jr_{number}" for number in range(4)])

    def test_run_that_is_named_and_an_attempt_is_counted_as_named(self) -> None:
        """A named run that follows another named run is meant once, and each name remains."""
        listed = (_attempt("jr_2", "jr_1", "STOPPING"), _attempt("jr_2", "jr_1", "STOPPING"))
        resolved = _resolved(_including("jr_1", "jr_2", "jr_1", receive_count=2), *listed)
        assert (resolved.run_ids, resolved.inactive) == (("jr_1", "jr_2", "jr_1"), 0)

    @pytest.mark.parametrize("runs_of_job", [(), (_attempt("jr_2", "jr_1"),)])
    def test_time_of_an_earlier_delivery_is_no_submission_time(self, runs_of_job: tuple[RunFacts, ...]) -> None:
        """The submission time of a retried request is that of its first delivery, and no run has it."""
        resolved = _resolved(_including("jr_1", submitted_at=EARLIER), *runs_of_job)
        assert resolved.message.submitted_at is None

    def test_incomplete_listing_changes_nothing(self) -> None:
        """A request whose attempts could not be listed is sent again with the time of its first delivery."""
        parsed = _including("jr_1", submitted_at=EARLIER)
        assert select(parsed, ActiveRuns(JOB, code="ThrottlingException")) == parsed

    @given(
        st.lists(st.sampled_from(RUN_IDS), min_size=1, max_size=3),
        st.lists(runs, max_size=8, unique_by=lambda run: run.run_id),
        st.integers(1, 2),
    )
    def test_every_attempt_leads_to_a_named_run(
        self, named: list[str], listed: list[RunFacts], receive_count: int
    ) -> None:
        """Exactly the runs with a way to a named run are meant that started in time and may need a stop."""
        resolved = _resolved(_including(*named, receive_count=receive_count), *listed)
        previous = {run.run_id: run.previous_run_id for run in listed}

        def leads_to_a_named_run(run_id: str) -> bool:
            way = [run_id]
            while (run_id := previous.get(run_id, "")) and run_id not in way:
                way.append(run_id)
            return not set(way).isdisjoint(named)

        expected = {
            run.run_id
            for run in listed
            if run.run_id not in named and leads_to_a_named_run(run.run_id)
            if run.started_on and run.started_on < SENT_AT
            if run.is_active or (receive_count > 1 and not run.is_over)
        }
        assert resolved.run_ids[: len(named)] == tuple(named)
        assert Counter(resolved.run_ids[len(named) :]) == dict.fromkeys(expected, 1)

    def test_ended_runs_are_listed_for_attempts(self) -> None:
        """A failed attempt leads from the next attempt to the named run, so every run is listed."""
        assert listed_since(_including("jr_1")) == datetime.min.replace(tzinfo=UTC)
        assert listed_since(_including("jr_1", receive_count=2)) == datetime.min.replace(tzinfo=UTC)
        assert listed_since(_parse(request(Select={}))) is None
