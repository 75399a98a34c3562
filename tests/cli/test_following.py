"""How far runs have come, by Glue's states and the functions' log."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from gluebrake.model import JobRun, RunFacts
from gluebrake_cli import asking, stopping
from gluebrake_cli.errors import OperatorError
from gluebrake_cli.following import Followed, Line, followed, outcome_line
from gluebrake_cli.stopping import PollOptions, Source

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
RUN, OTHER = JobRun("etl", "jr_1"), JobRun("etl", "jr_2")


def _line(outcome: str, run: JobRun | None = RUN, **more: Any) -> Line:
    named = {"job_name": run.job_name, "job_run_id": run.run_id} if run else {"job_name": "etl"}
    return {"outcome": outcome, "message_ids": ["m-1"], "error_message": "", **named, **more}


def _one(*log: Line, state: str = "") -> Followed:
    (one,) = followed([RUN], {RUN: state} if state else {}, log, "m-1")
    return one


@pytest.mark.parametrize("state", ["STOPPED", "SUCCEEDED", "FAILED", "TIMEOUT", "ERROR", "EXPIRED"])
def test_a_run_that_has_ended_is_over(state: str) -> None:
    """Glue's word is enough, and only STOPPED is what was asked for."""
    assert _one(state=state).is_over
    assert _one(state=state).is_as_asked(dry_run=False) == (state == "STOPPED")


@pytest.mark.parametrize("outcome", ["Protected", "NotAllowed", "NotFound", "Failed", "StopTimedOut"])
def test_a_run_that_is_given_up_is_over(outcome: str) -> None:
    """A run that will not be stopped is not waited for, and counts as not stopped."""
    one = _one(_line("Retrying"), _line(outcome, error_message="why"), state="RUNNING")
    assert (one.is_over, one.is_as_asked(dry_run=False), one.error_message) == (True, False, "why")


@pytest.mark.parametrize(
    "outcome", ["StopSubmitted", "Retrying", "Deferred", "NotYetConfirmed", "AlreadyStopping"]
)
def test_a_run_on_its_way_is_waited_for(outcome: str) -> None:
    """Handed on is not done: submitted is never called stopped."""
    assert not _one(_line(outcome), state="STOPPING").is_over


def test_the_last_outcome_counts() -> None:
    """A run that was tried again and then stopped has stopped, even where no state can be read."""
    one = _one(_line("Retrying"), _line("StopSubmitted"), _line("Stopped", state="STOPPED"))
    assert (one.outcome, one.is_over, one.is_as_asked(dry_run=False)) == ("Stopped", True, True)


def test_an_outcome_that_comes_back_does_not_count() -> None:
    """When the function could not hand it on, it is worked again, and told again."""
    assert not _one(_line("NotAllowed", will_redeliver=True), state="RUNNING").is_over


def test_a_dry_run_ends_with_what_would_be() -> None:
    """A dry run is as asked when the function says that it would stop the run."""
    assert _one(_line("WouldStop"), state="RUNNING").is_as_asked(dry_run=True)
    assert not _one(state="STOPPED").is_as_asked(dry_run=True)


@pytest.mark.parametrize("outcome", ["InvalidRequest", "TooManyRuns", "NoActiveRuns", "NotAllowed"])
def test_what_becomes_of_the_message_becomes_of_its_runs(outcome: str) -> None:
    """A request that is refused as a whole ends the wait for each of its runs, another's does not."""
    assert _one(_line(outcome, None), state="RUNNING").is_over
    assert not _one(_line(outcome, None, message_ids=["m-2"]), state="RUNNING").is_over


def test_each_run_has_its_own_outcome() -> None:
    """What is told of one run is not told of its neighbour, nor of one of another job."""
    log = [_line("Failed", OTHER), _line("Failed", JobRun("other", "jr_1"))]
    first, second = followed([RUN, OTHER], {}, log, "m-1")
    assert (first.outcome, second.outcome) == ("", "Failed")


@pytest.mark.parametrize("message", ["START RequestId: 1", "[]", "12", '{"level": "INFO"}'])
def test_a_line_without_an_outcome_is_none(message: str) -> None:
    """A log holds Lambda's own lines, metrics and tracebacks too."""
    assert outcome_line(message) is None
    assert outcome_line('{"outcome": "Stopped"}') == {"outcome": "Stopped"}


class _Story:
    """States and logs, look by look; an exception is what a look ends in."""

    def __init__(self, states: Sequence[str | Exception], logs: Sequence[list[Line] | Exception]) -> None:
        self._states, self._logs = iter(states), iter(logs)
        self.looked_at: list[list[JobRun]] = []

    def active_runs(self, job_name: str, now: datetime) -> Sequence[RunFacts]:
        """Have three runs of any job: one that started after now, and one that starts."""
        assert job_name
        return [
            RunFacts("young", "RUNNING", started_on=now.replace(hour=now.hour + 1)),
            RunFacts("old", "RUNNING", started_on=now.replace(hour=now.hour - 1)),
            RunFacts("starting", "STARTING"),
        ]

    def states(self, runs: Sequence[JobRun]) -> Mapping[JobRun, str]:
        """Tell the same state of all."""
        self.looked_at.append(list(runs))
        state = next(self._states)
        if isinstance(state, Exception):
            raise state
        return dict.fromkeys(runs, state)

    def outcomes(self, since: datetime) -> Sequence[Line]:
        """Tell the next log."""
        assert since == NOW
        log = next(self._logs)
        if isinstance(log, Exception):
            raise log
        return log


def _follow(
    story: Source, timeout: float = 60, say: Callable[[str], None] = lambda _: None
) -> list[list[Followed]]:
    patience = PollOptions(timeout, every=0)
    looks = stopping.follow(story, [RUN, OTHER], "m-1", since=NOW, patience=patience, say=say)
    return list(looks)


def test_runs_are_followed_to_their_end() -> None:
    """The looks end when the last run has, and one that is over is not looked at again."""
    story = _Story(["RUNNING", "STOPPING", "STOPPED"], [[], [_line("Protected")], [_line("Protected")]])
    looks = _follow(story)
    assert [{one.state for one in look} for look in looks] == [
        {"RUNNING"},
        {"STOPPING"},
        {"STOPPED", "STOPPING"},
    ]
    assert story.looked_at == [[RUN, OTHER], [RUN, OTHER], [OTHER]]


def test_the_looks_end_with_the_time() -> None:
    """A run that does not stop in time is told as it is."""
    (look,) = _follow(_Story(["STOPPING"], [[]]), timeout=0)
    assert not any(one.is_over for one in look)


def test_one_source_is_enough() -> None:
    """Who may read the log or the states, but not both, follows all the same, and hears of it once."""
    said: list[str] = []
    denied = OperatorError("denied")
    assert _follow(_Story(["STOPPING", "STOPPED"], [denied, denied]), say=said.append)
    assert len(said) == 1
    assert "denied" in said[0]
    assert _follow(_Story([denied], [[_line("Failed"), _line("Stopped", OTHER)]]))


def test_the_runs_that_a_selection_means_are_found() -> None:
    """What is followed is what is asked: no run that starts after the request, none of another age."""
    story = _Story([], [])
    request = asking.request(
        "etl", [], older_than_minutes=None, reason="", requested_by="me", dry_run=False, now=NOW
    )
    assert stopping.meant(story, request, NOW) == [JobRun("etl", "old")]
    older = asking.request(
        "etl", [], older_than_minutes=90, reason="", requested_by="me", dry_run=False, now=NOW
    )
    assert stopping.meant(story, older, NOW) == []


def test_named_runs_are_those_named() -> None:
    """Run ids are not looked up, and a repeated one is one run."""
    request = asking.request(
        "etl", ["a", "b", "a"], older_than_minutes=None, reason="", requested_by="", dry_run=True, now=NOW
    )
    assert stopping.meant(_Story([], []), request, NOW) == [JobRun("etl", "a"), JobRun("etl", "b")]


def test_without_any_source_it_is_an_error() -> None:
    """When neither can be read, the request was sent all the same, and the error says so."""
    with pytest.raises(OperatorError, match=r"was sent, but .* no states; no log"):
        _follow(_Story([OperatorError("no states")], [OperatorError("no log")]))


def test_an_error_of_our_own_is_raised() -> None:
    """What does not come from AWS is a mistake in the program, and not passed over."""
    with pytest.raises(ZeroDivisionError):
        _follow(_Story([ZeroDivisionError()], [[]]))
