"""`gluebrake stop` looks at the runs, sends one request, and follows its runs to their end."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from gluebrake_cli.stack import Deployment
from tests.cli.command_line import PLACE, invoke, run, run_json
from tests.cli.queues import StopsAtOnce
from tests.support.fakes.faults import EntriesFailed, Refused
from tests.support.simulated_aws import SimulatedAws

ONLY_SEND: Final = ("--blind", "--no-wait")
"""Options with which the command neither looks at the runs nor follows them."""


def test_the_request_goes_to_the_stop_queue(deployment: Deployment, simulation: SimulatedAws) -> None:
    """The message has what the options say, and the output has the message's id."""
    shown = run_json(
        deployment, "stop", "etl", "a", "b", *ONLY_SEND, "--reason", "why", "--requested-by", "me", "--dry-run"
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
    shown = run(deployment, "stop", "etl", "a", *ONLY_SEND).stdout
    (message,) = simulation.stop_queue
    assert f"Sent as message {message.message_id} {PLACE}." in shown


def test_the_user_is_the_requester_if_sts_fails(
    deployment: Deployment, simulation: SimulatedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an identity of the credentials, the request has the user's name on this machine."""
    monkeypatch.setenv("LOGNAME", "night-shift")
    run(deployment, "stop", "etl", "a", *ONLY_SEND)
    (message,) = simulation.stop_queue
    assert json.loads(message.body)["RequestedBy"] == "night-shift"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["etl"], "name the runs, or give --all-active"),
        (["etl", "a", "--all-active"], "one of the two"),
        (["etl", "a", "--older-than", "0"], "--older-than requires --all-active"),
        (["etl", "a", "--argument", "--date=1"], "--argument requires --all-active"),
        (["etl", "a", "--except", "b"], "--except requires --all-active"),
        (["etl", "a", "--started-after", "2026-11-24T03:00:00Z"], "--started-after requires --all-active"),
        (["etl", "--all-active", "--include-attempts"], "--include-attempts requires run ids"),
        (["etl", ""], "RUN_ID is empty: is a variable of the shell not set?"),
        (["etl", "a", ""], "RUN_ID is empty"),
        (["", "a"], "JOB is empty"),
        (["etl", "--all-active", "--except", ""], "--except is empty"),
        (["etl", "a" * 256], "JobRunIds[0]: Expected `str` of length <= 255"),
        (["etl", "--all-active", "--older-than", "-1"], "-1: must be a number of minutes, or such as 90m, 2h"),
        (["etl", "--all-active", "--older-than", "90s"], "90s: must be a number of minutes"),
        (["etl", "a", "--timeout", "soon"], "soon: must be a number of seconds, or such as 90s, 40m"),
        (["etl", "--all-active", "--blind"], "--blind with --all-active requires --yes"),
        (
            ["etl", "--all-active", "--started-after", "2026-11-24"],
            "Select.StartedAfter: Invalid RFC3339 encoded datetime; allowed: a time with its offset from UTC",
        ),
        (["etl", "--all-active", "--except", "b\nc"], "Select.Except[0]: must be one line of text"),
        (["etl", "--all-active", "--argument", "--date"], "--argument --date: must be NAME=VALUE"),
        (["etl", "--all-active", "--argument", "=1"], "--argument =1: must be NAME=VALUE"),
        (
            ["etl", "--all-active", "--argument", "--date=1", "--argument", "--date=2"],
            "--argument --date: is given twice",
        ),
        (["etl", "--all-active", "--argument", "--a=" + "b" * 1025], "Expected `str` of length <= 1024"),
        (["e\ntl", "a"], "JobName: must be one line of text"),
    ],
)
def test_a_wrong_request_is_refused_and_not_sent(
    deployment: Deployment, simulation: SimulatedAws, arguments: list[str], error: str
) -> None:
    """The error names the rule by which the function would refuse it. The exit code means wrong usage."""
    shown = run(deployment, "stop", *arguments, code=2).stderr.replace("│", " ")
    assert error in " ".join(shown.split())
    assert len(simulation.stop_queue) == 0


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["a", "b", "a"], {"JobRunIds": ["a", "b"]}),
        (["a", "--include-attempts"], {"JobRunIds": ["a"], "IncludeAttempts": True}),
        (["--all-active"], {"Select": {}}),
        (
            [
                *("--all-active", "--argument", "--date=2026-11-24", "--argument=--filter=a=b"),
                *("--except", "c", "--except", "b", "--except", "c"),
                *("--started-after", "2026-11-24T02:00:00+01:00"),
            ],
            {
                "Select": {
                    "StartedAfter": "2026-11-24T02:00:00+01:00",
                    "Arguments": {"--date": "2026-11-24", "--filter": "a=b"},
                    "Except": ["c", "b"],
                }
            },
        ),
    ],
)
def test_the_options_are_fields_of_the_request(
    deployment: Deployment, simulation: SimulatedAws, arguments: list[str], expected: dict[str, Any]
) -> None:
    """The message has what the options say, each run once, and the time before which runs are meant."""
    run(deployment, "stop", "etl", *arguments, *ONLY_SEND, "--requested-by", "me", "--yes")
    (message,) = simulation.stop_queue
    request = json.loads(message.body)
    before = request.pop("AttemptsStartedBefore", None) or request.get("Select", {}).pop("StartedBefore", None)
    assert request == {"JobName": "etl", "RequestedBy": "me", **expected}
    assert (before is None) is (request.keys() == {"JobName", "RequestedBy", "JobRunIds"})


@pytest.mark.parametrize("age", ["90", "90m", "1h30m", "5400s"])
def test_an_age_is_a_duration(deployment: Deployment, simulation: SimulatedAws, age: str) -> None:
    """A plain number counts in minutes. The request has the time before which its runs started."""
    run(deployment, "stop", "etl", "--all-active", "--older-than", age, *ONLY_SEND, "--yes")
    (message,) = simulation.stop_queue
    before = datetime.fromisoformat(json.loads(message.body)["Select"]["StartedBefore"])
    assert timedelta(minutes=90) <= datetime.now(UTC) - before < timedelta(minutes=92)


def test_all_active_asks_first(deployment: Deployment, simulation: SimulatedAws) -> None:
    """The answer no stops nothing. The answer yes sends a dated selection."""
    simulation.aws.glue.add_run("etl", "old", started_on=simulation.clock() - timedelta(hours=2))
    result = run(deployment, "stop", "etl", "--all-active", answer="n\n", code=1)
    assert f"Stop 1 active run of etl {PLACE}?" in result.stderr
    assert len(simulation.stop_queue) == 0
    run(deployment, "stop", "etl", "--all-active", "--no-wait", answer="y\n")
    (message,) = simulation.stop_queue
    assert set(json.loads(message.body)["Select"]) == {"StartedBefore"}


@pytest.mark.parametrize("runs", [("--all-active", "--yes"), ("a",), ("a", "--include-attempts")])
def test_a_blind_request_needs_one_permission(
    deployment: Deployment, simulation: SimulatedAws, runs: tuple[str, ...]
) -> None:
    """With --blind and --no-wait, the operator needs the permission to send and no other."""
    simulation.aws.faults.add(Refused("AccessDeniedException"), operation="GetJobRuns")
    simulation.aws.faults.add(Refused("AccessDeniedException"), operation="GetJobRun")
    run(deployment, "stop", "etl", *runs, *ONLY_SEND)
    assert len(simulation.stop_queue) == 1
    assert simulation.aws.requests("GetJobRun") == simulation.aws.requests("GetJobRuns") == []


def test_a_blind_selection_cannot_be_followed(deployment: Deployment, simulation: SimulatedAws) -> None:
    """Its runs are not known, so the command returns when the request is sent."""
    shown = run_json(deployment, "stop", "etl", "--all-active", "--yes", "--blind")
    assert (shown["message_id"], shown["runs"]) == (simulation.stop_queue.take()[0].message_id, None)


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


def test_an_argument_that_no_run_was_started_with_has_a_hint(
    deployment: Deployment, simulation: SimulatedAws
) -> None:
    """A run shows the arguments with which it was started. The defaults of its job are not among them."""
    simulation.aws.glue.add_run("etl", "a", Arguments={"--date": "2026-11-24"})
    arguments = ("stop", "etl", "--all-active", "--argument", "--mode=full")
    assert "not the defaults of its job" in run(deployment, *arguments).stderr


def test_a_request_that_sqs_refuses_is_an_error(deployment: Deployment, simulation: SimulatedAws) -> None:
    """A request that is not in the queue is not reported as sent."""
    simulation.aws.faults.add(
        EntriesFailed(code="InternalError", message="later"), operation="SendMessageBatch"
    )
    result = invoke(deployment, "stop", "etl", "a", *ONLY_SEND)
    assert (result.exit_code, "InternalError: later" in str(result.exception)) == (1, True)


@pytest.mark.parametrize(
    ("stopping_seconds", "stops_as", "code"), [(0, "STOPPED", 0), (0, "SUCCEEDED", 0), (None, "STOPPED", 3)]
)
@pytest.mark.parametrize("wait", [(), ("--wait",)])
def test_waiting_ends_with_0_if_no_run_is_running_any_more(  # noqa: PLR0913, PLR0917 - the parameters
    deployment: Deployment,
    simulation: SimulatedAws,
    wait: tuple[str, ...],
    stopping_seconds: float | None,
    stops_as: str,
    code: int,
) -> None:
    """Runs are followed by default, to their end or until the timeout. A run that ends by itself is over."""
    for number in range(30):
        simulation.aws.glue.add_run("etl", f"jr_{number}", stopping_seconds=stopping_seconds, stops_as=stops_as)
    simulation.aws.faults.add(StopsAtOnce(simulation), operation="SendMessageBatch", times=1)
    runs = [f"jr_{number}" for number in range(30)]
    arguments = ("stop", "etl", *runs, *wait, "--timeout", "0s", "--every", "0", "--json")
    result = run(deployment, *arguments, code=code)
    shown = json.loads(result.stdout)
    assert ("30 runs had not ended" in result.stderr) is (code == 3)
    assert [run["job_run_id"] for run in shown["runs"]] == runs
    assert shown["all_over"] is (code == 0)
    assert shown["all_stopped"] is (code == 0 and stops_as == "STOPPED")
    # One page has them all, so none is read by itself.
    assert simulation.aws.requests("GetJobRun") == []


def test_the_summary_counts_runs_that_ended_by_themselves(
    deployment: Deployment, simulation: SimulatedAws
) -> None:
    """A failed run has the hint that Glue may start another attempt. The exit code is 0: no run is running."""
    simulation.aws.glue.add_run("etl", "a", stopping_seconds=0)
    simulation.aws.glue.add_run("etl", "b", stopping_seconds=0, stops_as="FAILED")
    simulation.aws.faults.add(StopsAtOnce(simulation), operation="SendMessageBatch", times=1)
    shown = run(deployment, "stop", "etl", "a", "b", "--wait", "--every", "0").stdout
    assert f"1 of 2 stopped, 1 ended by itself {PLACE}" in shown
    assert "Glue may start another attempt" in shown


def test_the_attempts_of_a_run_are_followed(deployment: Deployment, simulation: SimulatedAws) -> None:
    """With --include-attempts, the wait is for the active attempt of the named run, which has failed."""
    glue = simulation.aws.glue
    glue.add_run("etl", "a", state="FAILED", started_on=simulation.clock() - timedelta(hours=2))
    started_on = simulation.clock() - timedelta(hours=1)
    glue.add_run("etl", "b", started_on=started_on, stopping_seconds=None, PreviousRunId="a")
    arguments = ("stop", "etl", "a", "--include-attempts", "--wait", "--timeout", "0")
    shown = run_json(deployment, *arguments, code=3)
    assert {run["job_run_id"]: run["state"] for run in shown["runs"]} == {"a": "FAILED", "b": "RUNNING"}
    assert (shown["all_over"], shown["all_stopped"]) == (False, False)


def test_a_dry_run_after_the_timeout_promises_no_stop(deployment: Deployment, simulation: SimulatedAws) -> None:
    """A dry run without an outcome is not continued by a stop."""
    simulation.aws.glue.add_run("etl", "a")
    result = run(deployment, "stop", "etl", "a", "--dry-run", "--wait", "--timeout", "0", code=3)
    assert "1 run has no outcome after --timeout." in result.stderr
    assert "continue to stop" not in result.stderr


@pytest.mark.parametrize("arguments", [("stop", "etl", "a"), ("stop", "etl", "--all-active"), ("redrive",)])
@pytest.mark.usefixtures("dead_letters")
def test_a_stack_that_observes_gets_no_request(
    deployment: Deployment, simulation: SimulatedAws, arguments: tuple[str, ...]
) -> None:
    """The stack would consume the request and stop nothing. The error says what to do. A dry run is sent."""
    simulation.aws.glue.add_run("etl", "a", started_on=simulation.clock() - timedelta(hours=1))
    observing = dataclasses.replace(deployment, outputs={**deployment.outputs, "Observe": "true"})
    error = str(invoke(observing, *arguments).exception)
    assert error.startswith(
        "the stack 'Gluebrake' observes: it reads a stop request, reports what it would stop"
    )
    assert "Deploy with `observe: false` first, or give --dry-run" in error
    assert (len(simulation.stop_queue), len(simulation.dead_letter_queue)) == (0, 3)
    more = () if arguments == ("redrive",) else ("--no-wait",)
    run(observing, *arguments, *more, "--dry-run")
    assert len(simulation.dead_letter_queue) == 3
