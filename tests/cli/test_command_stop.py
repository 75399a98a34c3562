"""`gluebrake stop` sends one request and, with --wait, follows its runs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from gluebrake_cli.commands.stop import build_request
from gluebrake_cli.stack import Deployment
from tests.cli.command_line import PLACE, invoke, run, run_json
from tests.support.fakes.exchange import Answer, Call, Reply
from tests.support.fakes.faults import EntriesFailed, Refused
from tests.support.simulated_aws import SimulatedAws


def test_the_request_goes_to_the_stop_queue(deployment: Deployment, simulation: SimulatedAws) -> None:
    """The message has what the options say, and the output has the message's id."""
    shown = run_json(
        deployment, "stop", "etl", "a", "b", "--reason", "why", "--requested-by", "me", "--dry-run"
    )
    (message,) = simulation.stop_queue
    assert message.message_id == shown["message_id"]
    assert json.loads(message.body) == {
        "JobName": "etl",
        "JobRunIds": ["a", "b"],
        "Reason": "why",
        "RequestedBy": "me",
        "DryRun": True,
    }
    assert (shown["runs"], shown["all_stopped"]) == (None, None)


def test_a_sent_request_is_reported_with_its_place(deployment: Deployment, simulation: SimulatedAws) -> None:
    """The operator reads in which account and Region runs will stop."""
    shown = run(deployment, "stop", "etl", "a").stdout
    (message,) = simulation.stop_queue
    assert f"Sent as message {message.message_id} {PLACE}." in shown


def test_the_user_is_the_requester_if_sts_fails(
    deployment: Deployment, simulation: SimulatedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an identity of the credentials, the request has the user's name on this machine."""
    monkeypatch.setenv("LOGNAME", "night-shift")
    run(deployment, "stop", "etl", "a")
    (message,) = simulation.stop_queue
    assert json.loads(message.body)["RequestedBy"] == "night-shift"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["etl"], "name the runs, or give --all-active"),
        (["etl", "a", "--all-active"], "one of the two"),
        (["etl", "a", "--older-than", "5"], "--older-than requires --all-active"),
        (["etl", "a" * 256], "JobRunIds[0]: Expected `str` of length <= 255"),
        (["etl", "--all-active", "--older-than", "-1"], "OlderThanMinutes"),
        (["e\ntl", "a"], "JobName: must be one line of text"),
    ],
)
def test_a_wrong_request_is_refused_and_not_sent(
    deployment: Deployment, simulation: SimulatedAws, arguments: list[str], error: str
) -> None:
    """The error names the rule by which the function would refuse it. The exit code means wrong usage."""
    assert error in " ".join(run(deployment, "stop", *arguments, code=2).stderr.split())
    assert len(simulation.stop_queue) == 0


def test_a_repeated_run_id_is_sent_once() -> None:
    """The request names each run once, in the order of the command line."""
    request = build_request(
        "etl",
        ["a", "b", "a"],
        older_than_minutes=None,
        reason="",
        requested_by="",
        dry_run=False,
        now=datetime(2026, 11, 24, 3, 0, tzinfo=UTC),
    )
    assert request.job_run_ids == ("a", "b")


def test_all_active_asks_first(deployment: Deployment, simulation: SimulatedAws) -> None:
    """The answer no stops nothing. The answer yes sends a dated selection."""
    simulation.aws.glue.add_run("etl", "old", started_on=simulation.clock() - timedelta(hours=2))
    result = run(deployment, "stop", "etl", "--all-active", answer="n\n", code=1)
    assert f"Stop 1 active runs of etl {PLACE}?" in result.stderr
    assert len(simulation.stop_queue) == 0
    run(deployment, "stop", "etl", "--all-active", answer="y\n")
    (message,) = simulation.stop_queue
    assert set(json.loads(message.body)["Select"]) == {"StartedBefore"}


def test_with_yes_no_run_is_listed(deployment: Deployment, simulation: SimulatedAws) -> None:
    """With --yes and without --wait the operator needs the permission to send and no other."""
    simulation.aws.faults.add(Refused("AccessDeniedException"), operation="GetJobRuns")
    run(deployment, "stop", "etl", "--all-active", "--yes")
    assert len(simulation.stop_queue) == 1


def test_nothing_is_sent_for_a_job_without_active_runs(
    deployment: Deployment, simulation: SimulatedAws
) -> None:
    """If no run of the job is active, nothing is sent and the exit code is 0."""
    simulation.aws.glue.add_run("etl", "done", state="SUCCEEDED", started_on=simulation.clock())
    shown = run_json(deployment, "stop", "etl", "--all-active", "--wait")
    assert (shown["message_id"], shown["runs"], shown["all_stopped"]) == (None, [], True)
    shown = run(deployment, "stop", "etl", "--all-active").stdout
    assert f"No active run of etl {PLACE} matches: nothing was sent." in shown
    assert len(simulation.stop_queue) == 0


def test_an_unknown_job_is_an_error(deployment: Deployment) -> None:
    """A misspelt name is not a job without active runs."""
    assert "No job elt" in str(invoke(deployment, "stop", "elt", "--all-active").exception)


def test_a_request_that_sqs_refuses_is_an_error(deployment: Deployment, simulation: SimulatedAws) -> None:
    """A request that is not in the queue is not reported as sent."""
    simulation.aws.faults.add(
        EntriesFailed(code="InternalError", message="later"), operation="SendMessageBatch"
    )
    result = invoke(deployment, "stop", "etl", "a")
    assert (result.exit_code, "InternalError: later" in str(result.exception)) == (1, True)


@pytest.mark.parametrize(("stopping_seconds", "code"), [(0, 0), (None, 1)])
def test_waiting_ends_with_0_only_if_all_stopped(
    deployment: Deployment, simulation: SimulatedAws, stopping_seconds: float | None, code: int
) -> None:
    """The runs are followed to their end, or until the timeout."""
    for number in range(30):
        simulation.aws.glue.add_run("etl", f"jr_{number}", stopping_seconds=stopping_seconds)
    simulation.aws.faults.add(_StopsAtOnce(simulation), operation="SendMessageBatch", times=1)
    runs = [f"jr_{number}" for number in range(30)]
    arguments = ("stop", "etl", *runs, "--wait", "--timeout", "0", "--every", "0", "--json")
    result = run(deployment, *arguments, code=code)
    shown = json.loads(result.stdout)
    assert ("30 runs had not ended" in result.stderr) is (code == 1)
    assert [run["job_run_id"] for run in shown["runs"]] == runs
    assert shown["all_stopped"] is (code == 0)
    # One page has them all, so none is read by itself.
    assert simulation.aws.requests("GetJobRun") == []


class _StopsAtOnce:
    """A fault that lets Glue stop the runs of a message before the sender gets the answer."""

    def __init__(self, simulation: SimulatedAws) -> None:
        self._simulation = simulation

    def __call__(self, call: Call, answer: Answer) -> Reply:
        reply = answer(call)
        for message in self._simulation.stop_queue.take():
            for run_id in json.loads(message.body)["JobRunIds"]:
                self._simulation.aws.glue.run("etl", run_id).become("STOPPING")
        return reply
