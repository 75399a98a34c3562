"""A stop request that STOP does not read has a hint, with the reason if it is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gluebrake_cli import unread_requests
from gluebrake_cli.health import MappingState
from gluebrake_cli.runs import FollowedRuns, RunStatus
from gluebrake_cli.stack import Deployment
from tests.cli.command_line import run
from tests.cli.policies_aws import PoliciesAws
from tests.support.simulated_aws import SimulatedAws

CONTINUES = "1 run had not ended after --timeout. The functions continue to stop it."
NOT_SEEN = (
    "No outcome of the request is seen, so STOP may not have read it. `gluebrake status` shows what is wrong."
)
DISABLED = (
    "STOP has not read the request: the stop function's mapping is Disabled."
    " `gluebrake status` shows what is wrong."
)


def _status(**changed: Any) -> RunStatus:
    return RunStatus(**{"job_name": "etl", "job_run_id": "jr_1", "state": "RUNNING"} | changed)


def _set_mapping(monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    mappings = [MappingState("stop", state, "1"), MappingState("confirm", "Disabled", "2")]
    monkeypatch.setattr(Deployment, "mappings", lambda _: mappings)


@pytest.mark.parametrize(
    ("statuses", "unread"),
    [
        ([_status(), _status(state="")], True),
        ([_status(), _status(state="SUCCEEDED")], True),
        ([_status(), _status(outcome="StopSubmitted")], False),
        ([_status(state="STOPPING")], False),
        ([_status(state="SUCCEEDED")], False),
        ([], False),
    ],
)
def test_a_request_is_unread_if_nothing_shows_that_stop_has_read_it(
    statuses: list[RunStatus], *, unread: bool
) -> None:
    """A log that the operator may not read has no outcome either, but then a run in STOPPING is enough."""
    assert unread_requests.are_unread(statuses) is unread


def test_the_hint_follows_once_after_some_time() -> None:
    """The command continues: the mapping may be enabled meanwhile."""
    polls = [[_status()], [_status()], [_status(outcome="Stopped")]]
    warnings: list[str] = []
    shown = unread_requests.with_hint(iter(polls), lambda: "why", warnings.append, after_seconds=0)
    assert [*shown] == polls
    assert warnings == ["why"]


@pytest.mark.parametrize(("status", "after"), [(_status(), 60.0), (_status(outcome="Retrying"), 0.0)])
def test_there_is_no_hint_before_that_time_or_after_an_outcome(status: RunStatus, after: float) -> None:
    """A request that was read needs no hint."""
    warnings: list[str] = []
    polls = iter([[status], [status]])
    assert len([*unread_requests.with_hint(polls, lambda: "why", warnings.append, after_seconds=after)]) == 2
    assert warnings == []


def test_the_hint_is_late_enough_for_a_healthy_stack() -> None:
    """STOP and CloudWatch Logs take some seconds."""
    warnings: list[str] = []
    assert [*unread_requests.with_hint(iter([[_status()]]), lambda: "why", warnings.append)]
    assert warnings == []


@pytest.mark.parametrize(
    ("statuses", "text"),
    [
        ([_status(outcome="StopSubmitted")], CONTINUES),
        ([_status()], "1 run had not ended after --timeout."),
        (
            [_status(outcome="Retrying"), _status()],
            "2 runs had not ended after --timeout. The functions continue to stop 1 of them.",
        ),
        (
            [_status(outcome="Retrying")] * 2,
            "2 runs had not ended after --timeout. The functions continue to stop them.",
        ),
        ([_status(state="STOPPED")], ""),
    ],
)
def test_only_runs_with_an_outcome_are_still_being_stopped(statuses: list[RunStatus], text: str) -> None:
    """The functions have not seen a request without an outcome in the log."""
    assert FollowedRuns(statuses=statuses).unfinished == text


@pytest.mark.parametrize(
    "arguments",
    [
        ("stop", "etl", "jr_1"),
        ("stop", "etl", "jr_1", "--dry-run"),
        ("sweep", "--jobs", "*", "--older-than", "2h", "--stop", "--yes", "1"),
    ],
)
@pytest.mark.parametrize(("state", "hint"), [("Disabled", DISABLED), ("Enabled", NOT_SEEN), ("", NOT_SEEN)])
def test_a_request_that_stop_does_not_read_is_explained(  # noqa: PLR0913, PLR0917 - the parameters
    deployment: Deployment,
    simulation: SimulatedAws,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    state: str,
    hint: str,
) -> None:
    """The reason is the state of the mapping. Without the permission to read it, the hint has no reason."""
    simulation.aws.glue.add_job("etl")
    simulation.aws.glue.add_run("etl", "jr_1", started_on=datetime.now(UTC) - timedelta(hours=3))
    if state:
        _set_mapping(monkeypatch, state)
    shown = run(PoliciesAws().connect(deployment), *arguments, "--timeout", "0", code=3).stderr
    assert shown.count(hint) == 1
    assert "continue to stop" not in shown
