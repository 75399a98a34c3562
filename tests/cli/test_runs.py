"""Runs are followed by their states in Glue and their outcomes in the functions' logs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gluebrake.decisions.stop_outcomes import GLUE_MAY_RETRY
from gluebrake.model import JobRun, RunFacts
from gluebrake_cli import runs, stop_requests
from gluebrake_cli.errors import OperatorError
from gluebrake_cli.runs import LogLine, PollOptions, RunStatus, Source, parse_log_line, run_statuses

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
RUN, OTHER_RUN = JobRun("etl", "jr_1"), JobRun("etl", "jr_2")


def _line(outcome: str, run: JobRun | None = RUN, **more: Any) -> LogLine:
    names = {"job_name": run.job_name, "job_run_id": run.run_id} if run else {"job_name": "etl"}
    return {"outcome": outcome, "message_ids": ["m-1"], "error_message": "", **names, **more}


def _status(*log: LogLine, state: str = "") -> RunStatus:
    (status,) = run_statuses({RUN: "m-1"}, {RUN: state} if state else {}, log)
    return status


@pytest.mark.parametrize("state", ["STOPPED", "SUCCEEDED", "FAILED", "TIMEOUT", "ERROR", "EXPIRED"])
def test_a_run_in_a_terminal_state_is_over(state: str) -> None:
    """The state is enough, and only STOPPED counts as stopped."""
    assert (_status(state=state).is_over, _status(state=state).has_ended) == (True, True)
    assert _status(state=state).is_stopped(dry_run=False) == (state == "STOPPED")


@pytest.mark.parametrize("outcome", ["Protected", "NotAllowed", "NotFound", "Failed", "StopTimedOut"])
def test_a_run_with_a_final_outcome_is_over(outcome: str) -> None:
    """A run that will not be stopped is not waited for, and counts as not stopped."""
    status = _status(_line("Retrying"), _line(outcome, error_message="why"), state="RUNNING")
    assert (status.is_over, status.is_stopped(dry_run=False), status.error_message) == (True, False, "why")
    assert not status.has_ended


@pytest.mark.parametrize("outcome", ["Stopped", "FinishedBeforeStop", "AlreadyFinished"])
def test_a_run_whose_outcome_is_its_end_has_ended(outcome: str) -> None:
    """The outcome is enough: Glue may not know the run any more, or no state can be read."""
    assert _status(_line(outcome)).has_ended


def test_a_failed_run_has_the_hint_that_glue_may_retry_it() -> None:
    """A run that failed by itself has the hint before a function logs it. A logged error stays as it is."""
    assert _status(state="FAILED").error_message == GLUE_MAY_RETRY
    assert _status(_line("Failed", error_message="why"), state="FAILED").error_message == "why"
    assert _status(state="TIMEOUT").error_message == ""


@pytest.mark.parametrize(
    "outcome", ["StopSubmitted", "Retrying", "Deferred", "NotYetConfirmed", "AlreadyStopping"]
)
def test_a_run_without_a_final_outcome_is_waited_for(outcome: str) -> None:
    """A submitted stop is not a stopped run."""
    assert not _status(_line(outcome), state="STOPPING").is_over


def test_the_last_outcome_counts() -> None:
    """A run that was retried and then stopped is stopped, even where no state can be read."""
    status = _status(_line("Retrying"), _line("StopSubmitted"), _line("Stopped", state="STOPPED"))
    assert (status.outcome, status.is_over, status.is_stopped(dry_run=False)) == ("Stopped", True, True)


@pytest.mark.parametrize(
    ("outcome", "state"),
    [("Stopped", "STOPPED"), ("FinishedBeforeStop", "SUCCEEDED"), ("AlreadyFinished", "FAILED")],
)
def test_the_end_of_a_run_in_the_log_counts(outcome: str, state: str) -> None:
    """A poll may read no state of the run, or an earlier one. A run leaves no terminal state."""
    status = _status(_line(outcome, state=state), state="STOPPING")
    assert (status.is_over, status.state) == (True, state)


def test_an_outcome_that_will_be_redelivered_does_not_count() -> None:
    """SQS redelivers the message, and the function logs another outcome."""
    assert not _status(_line("NotAllowed", will_redeliver=True), state="RUNNING").is_over


def test_a_dry_run_ends_with_would_stop() -> None:
    """A dry run succeeds when the function reports that it would stop the run."""
    assert _status(_line("WouldStop"), state="RUNNING").is_stopped(dry_run=True)
    assert not _status(state="STOPPED").is_stopped(dry_run=True)


@pytest.mark.parametrize("outcome", ["InvalidRequest", "TooManyRuns", "NoActiveRuns", "NotAllowed"])
def test_the_outcome_of_a_message_is_that_of_its_runs(outcome: str) -> None:
    """A request that is refused as a whole ends the wait for each of its runs. Another request does not."""
    assert _status(_line(outcome, None), state="RUNNING").is_over
    assert not _status(_line(outcome, None, message_ids=["m-2"]), state="RUNNING").is_over


def test_each_run_has_the_outcome_of_its_own_message() -> None:
    """Runs of several jobs may be requested by several messages, of which one may be refused."""
    log = [_line("TooManyRuns", None, message_ids=["m-1"]), _line("NotAllowed", None, message_ids=["m-3"])]
    statuses = run_statuses({RUN: "m-1", OTHER_RUN: "m-2", JobRun("other", "jr_1"): None}, {}, log)
    assert [status.outcome for status in statuses] == ["TooManyRuns", "", ""]


def test_each_run_has_its_own_outcome() -> None:
    """The outcome of a run is not that of another run, nor of a run of another job with the same id."""
    log = [_line("Failed", OTHER_RUN), _line("Failed", JobRun("other", "jr_1"))]
    first, second = run_statuses(dict.fromkeys([RUN, OTHER_RUN], "m-1"), {}, log)
    assert (first.outcome, second.outcome) == ("", "Failed")


@pytest.mark.parametrize("message", ["START RequestId: 1", "[]", "12", '{"level": "INFO"}'])
def test_a_line_without_an_outcome_is_skipped(message: str) -> None:
    """A log has Lambda's own lines, metrics and tracebacks too."""
    assert parse_log_line(message) is None
    assert parse_log_line('{"outcome": "Stopped"}') == {"outcome": "Stopped"}


class _Source:
    """States and logs for each poll. An exception is raised."""

    def __init__(self, states: Sequence[str | Exception], logs: Sequence[list[LogLine] | Exception]) -> None:
        self._states, self._logs = iter(states), iter(logs)
        self.polled: list[list[JobRun]] = []
        self.reads: list[str] = []

    def states(self, runs: Sequence[JobRun]) -> Mapping[JobRun, str]:
        """Return the same state for all runs."""
        self.polled.append(list(runs))
        self.reads.append("states")
        state = next(self._states)
        if isinstance(state, Exception):
            raise state
        return dict.fromkeys(runs, state)

    def outcomes(self, since: datetime) -> Sequence[LogLine]:
        """Return the next log."""
        assert since == NOW
        self.reads.append("outcomes")
        log = next(self._logs)
        if isinstance(log, Exception):
            raise log
        return log


def _follow(
    source: Source, timeout: float = 60, warn: Callable[[str], None] = lambda _: None
) -> list[list[RunStatus]]:
    poll_options = PollOptions(timeout, interval_seconds=0, log_interval_seconds=0)
    messages = dict.fromkeys([RUN, OTHER_RUN], "m-1")
    polls = runs.follow(source, messages, since=NOW, poll_options=poll_options, warn=warn)
    return list(polls)


def test_runs_are_followed_to_their_end() -> None:
    """Polling ends with the last run, and a run that is over is not polled again."""
    source = _Source(["RUNNING", "STOPPING", "STOPPED"], [[], [_line("Protected")], [_line("Protected")]])
    polls = _follow(source)
    assert [{status.state for status in poll} for poll in polls] == [
        {"RUNNING"},
        {"STOPPING"},
        {"STOPPED", "STOPPING"},
    ]
    assert source.polled == [[RUN, OTHER_RUN], [RUN, OTHER_RUN], [OTHER_RUN]]


def test_polling_ends_with_the_timeout() -> None:
    """A run that does not stop in time keeps its last status."""
    (poll,) = _follow(_Source(["STOPPING"], [[]]), timeout=0)
    assert not any(status.is_over for status in poll)


def test_states_or_outcomes_alone_are_enough() -> None:
    """Without the permission for one of the two, the runs are followed by the other, with one warning."""
    warnings: list[str] = []
    denied = OperatorError("denied")
    assert _follow(_Source(["STOPPING", "STOPPED"], [denied, denied]), warn=warnings.append)
    assert len(warnings) == 1
    assert "denied" in warnings[0]
    assert _follow(_Source([denied], [[_line("Failed"), _line("Stopped", OTHER_RUN)]]))


def test_without_states_and_outcomes_it_is_an_error() -> None:
    """The error says that the request was sent all the same."""
    with pytest.raises(OperatorError, match=r"was sent, but .* no log; no states"):
        _follow(_Source([OperatorError("no states")], [OperatorError("no log")]))


def test_an_unexpected_error_is_raised() -> None:
    """An error that is not AWS's is a bug, and shows its traceback."""
    with pytest.raises(ZeroDivisionError):
        _follow(_Source([ZeroDivisionError()], [[]]))


def test_the_states_are_read_after_the_log() -> None:
    """A final outcome in the log is not newer than the run's state, so the end of the run is seen."""
    source = _Source(["SUCCEEDED"], [[_line("NoActiveRuns", None)]])
    assert all(status.has_ended for status in _follow(source)[-1])
    assert source.reads == ["outcomes", "states"]


class _Listed:
    """A job with active runs, and with runs that are over if the caller asks for them."""

    def __init__(self) -> None:
        hour_ago, two_hours_ago = NOW - timedelta(hours=1), NOW - timedelta(hours=2)
        late = {"--date": "2026-11-24"}
        self._active = [
            RunFacts("young", "RUNNING", started_on=NOW + timedelta(hours=1), previous_run_id="old"),
            RunFacts("late", "RUNNING", started_on=hour_ago, previous_run_id="failed", arguments=late),
            RunFacts("old", "RUNNING", started_on=two_hours_ago),
            RunFacts("starting", "STARTING"),
        ]
        self._over = [
            RunFacts("failed", "FAILED", started_on=two_hours_ago, completed_on=NOW, previous_run_id="first"),
            RunFacts("first", "FAILED", started_on=two_hours_ago, completed_on=two_hours_ago),
        ]

    def active_runs(
        self, job_name: str, now: datetime, ended_since: datetime | None = None
    ) -> Sequence[RunFacts]:
        """Return the runs of any job."""
        assert (job_name, now) == ("etl", NOW)
        return [*self._active, *(run for run in self._over if run.ended_since(ended_since))]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["late", "old"]),
        ({"older_than": 90}, ["old"]),
        ({"older_than": 180}, []),
        ({"started_after": "2026-11-24T01:30:00Z"}, ["late"]),
        ({"arguments": ["--date=2026-11-24"]}, ["late"]),
        ({"arguments": ["--date=2026-11-25"]}, []),
        ({"exclude": ["late", "unknown"]}, ["old"]),
    ],
)
def test_the_runs_of_a_selection_are_listed(options: dict[str, Any], expected: list[str]) -> None:
    """The command follows the runs that the function stops, and no run that starts later."""
    request = stop_requests.build("etl", stop_requests.Runs(all_active=True, **options), now=NOW)
    assert runs.requested_runs(_Listed(), request, NOW) == [JobRun("etl", run_id) for run_id in expected]


def test_the_attempts_of_a_named_run_are_listed() -> None:
    """A failed attempt leads from the named run to the active one. No attempt that starts later is meant."""
    named = stop_requests.Runs(run_ids=("first", "old"), include_attempts=True)
    request = stop_requests.build("etl", named, now=NOW)
    expected = [JobRun("etl", run_id) for run_id in ("first", "old", "late")]
    assert runs.requested_runs(_Listed(), request, NOW) == expected


def test_named_runs_are_not_listed() -> None:
    """Run ids are taken as they are, and a repeated one is one run."""
    request = stop_requests.build("other", stop_requests.Runs(run_ids=("a", "b", "a")), now=NOW)
    assert runs.requested_runs(_Listed(), request, NOW) == [JobRun("other", "a"), JobRun("other", "b")]


def test_the_log_is_read_less_often_than_the_states() -> None:
    """The quota for log reads is small, so the last reading is used until the interval has passed."""
    source = _Source(["RUNNING", "RUNNING", "STOPPED"], [[_line("StopSubmitted")]])
    poll_options = PollOptions(60, interval_seconds=0, log_interval_seconds=1000)
    polls = list(runs.follow(source, {RUN: "m-1"}, since=NOW, poll_options=poll_options, warn=lambda _: None))
    assert [poll[0].outcome for poll in polls] == ["StopSubmitted", "StopSubmitted", "Stopped"]


def test_the_log_is_read_at_the_timeout() -> None:
    """The last status has the last outcome, whenever the log was read before."""
    source = _Source(["STOPPING", "STOPPING"], [[], [_line("NotYetConfirmed")]])
    poll_options = PollOptions(0.5, interval_seconds=0.6, log_interval_seconds=1000)
    *_, last = runs.follow(source, {RUN: "m-1"}, since=NOW, poll_options=poll_options, warn=lambda _: None)
    assert last[0].outcome == "NotYetConfirmed"


def test_the_log_is_not_read_every_two_seconds() -> None:
    """Without other options, a reading is used for five seconds."""
    assert PollOptions(60, 2.0).log_interval_seconds >= 5


def test_the_outcome_of_the_end_is_waited_for() -> None:
    """A run is STOPPED before CONFIRM logs it. The last status has the outcome and what the run used."""
    stopped = _line("Stopped", DpuHoursConsumed=3.2, EstimatedCostUsd=1.41, TimeToStop="unknown")
    source = _Source(["STOPPED", "", ""], [[_line("StopSubmitted")], [_line("StopSubmitted")], [stopped]])
    poll_options = PollOptions(60, 0, log_interval_seconds=0, outcome_seconds=60)
    polls = list(runs.follow(source, {RUN: "m-1"}, since=NOW, poll_options=poll_options, warn=lambda _: None))
    assert [poll[0].outcome for poll in polls] == ["StopSubmitted", "StopSubmitted", "Stopped"]
    assert polls[-1][0].measures == {"DpuHoursConsumed": 3.2, "EstimatedCostUsd": 1.41}


@pytest.mark.parametrize(("state", "outcome"), [("STOPPED", "Stopped"), ("SUCCEEDED", "FinishedBeforeStop")])
@pytest.mark.parametrize("logged", ["StopSubmitted", "AlreadyStopping", "Retrying", "NotYetConfirmed"])
def test_the_outcome_follows_from_the_state_if_it_is_not_logged_in_time(
    state: str, outcome: str, logged: str
) -> None:
    """The command does not end with a submission: it knows from Glue what CONFIRM will log."""
    source = _Source([state], [[_line(logged)]])
    poll_options = PollOptions(60, 0, log_interval_seconds=0, outcome_seconds=0)
    (poll,) = runs.follow(source, {RUN: "m-1"}, since=NOW, poll_options=poll_options, warn=lambda _: None)
    assert poll[0].outcome == outcome


def test_no_outcome_is_waited_for_without_the_log() -> None:
    """An operator who may not read the log sees the state of the run, and does not wait for nothing."""
    source = _Source(["STOPPED"], [OperatorError("denied")])
    poll_options = PollOptions(60, 0, log_interval_seconds=0, outcome_seconds=60)
    (poll,) = runs.follow(source, {RUN: "m-1"}, since=NOW, poll_options=poll_options, warn=lambda _: None)
    assert (poll[0].state, poll[0].outcome) == ("STOPPED", "")


def test_a_submission_of_an_active_run_is_no_outcome() -> None:
    """A run that is not over keeps what was logged."""
    status = _status(_line("StopSubmitted"), state="STOPPING")
    assert status.concluded is status
