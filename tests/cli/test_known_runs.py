"""`gluebrake stop` looks at the job and the runs before it sends a request."""

from __future__ import annotations

import json

import pytest

from gluebrake_cli import known_runs
from gluebrake_cli.stack import Deployment
from tests.cli.command_line import PLACE, invoke, run, run_json
from tests.support.fakes.faults import Refused
from tests.support.simulated_aws import SimulatedAws


def test_an_unknown_job_is_an_error(deployment: Deployment, simulation: SimulatedAws) -> None:
    """A misspelt name is not a job without active runs."""
    for runs in (("--all-active",), ("a",), [f"jr_{number}" for number in range(6)]):
        result = invoke(deployment, "stop", "elt", *runs)
        assert str(result.exception).startswith(f"Glue knows no job elt {PLACE}: nothing was sent.")
        assert (result.exit_code, len(simulation.stop_queue)) == (1, 0)


@pytest.mark.parametrize("others", [1, 7])
def test_an_unknown_run_is_an_error(deployment: Deployment, simulation: SimulatedAws, others: int) -> None:
    """Nothing is sent, also not for the runs that exist: the operator sees the typing error first."""
    known = [f"jr_{number}" for number in range(others)]
    for run_id in known:
        simulation.aws.glue.add_run("etl", run_id)
    result = invoke(deployment, "stop", "etl", *known, "typo", "--dry-run")
    assert str(result.exception).startswith(f"Glue knows no run typo of etl {PLACE}: nothing was sent.")
    assert "send the request all the same with --blind" in str(result.exception)
    assert (result.exit_code, len(simulation.stop_queue)) == (1, 0)


def test_many_unknown_runs_are_counted(deployment: Deployment, simulation: SimulatedAws) -> None:
    """The error stays one line."""
    simulation.aws.glue.add_run("etl", "a")
    result = invoke(deployment, "stop", "etl", *(f"typo_{number}" for number in range(8)))
    assert "no run typo_0, typo_1, typo_2, typo_3, typo_4 and 3 more of etl" in str(result.exception)


def test_a_run_that_is_over_gets_no_request(deployment: Deployment, simulation: SimulatedAws) -> None:
    """The operator reads how it ended. Exit code 0: it is not running."""
    simulation.aws.glue.add_run("etl", "a", state="STOPPED")
    simulation.aws.glue.add_run("etl", "b", state="SUCCEEDED")
    shown = run(deployment, "stop", "etl", "a", "b").stdout
    assert [line.split() for line in shown.splitlines()[:3]] == [
        ["run", "state"],
        ["a", "STOPPED"],
        ["b", "SUCCEEDED"],
    ]
    assert f"2 runs are over already {PLACE}: nothing was sent." in shown
    as_json = run_json(deployment, "stop", "etl", "a", "b")
    assert (as_json["message_id"], as_json["all_stopped"], as_json["all_over"]) == (None, False, True)
    assert [run["state"] for run in as_json["runs"]] == ["STOPPED", "SUCCEEDED"]
    assert len(simulation.stop_queue) == 0


def test_runs_that_are_over_are_named_before_the_others_are_stopped(
    deployment: Deployment, simulation: SimulatedAws
) -> None:
    """The request is sent as it is: STOP ignores a run that is over. Many are counted."""
    for number in range(7):
        simulation.aws.glue.add_run("etl", f"over_{number}", state="FAILED")
    simulation.aws.glue.add_run("etl", "active")
    runs = [*(f"over_{number}" for number in range(7)), "active"]
    errors = run(deployment, "stop", "etl", *runs, "--no-wait").stderr.splitlines()
    assert errors == [
        *(f"over_{number} is over already: FAILED." for number in range(5)),
        "2 more are over already.",
    ]
    (message,) = simulation.stop_queue
    assert json.loads(message.body)["JobRunIds"] == runs


def test_named_runs_are_stopped_also_if_they_cannot_be_read(
    deployment: Deployment, simulation: SimulatedAws
) -> None:
    """A stop must not depend on a permission to read, nor on a Glue that throttles. A warning says so."""
    simulation.aws.glue.add_run("etl", "a")
    simulation.aws.faults.add(Refused("AccessDeniedException"), operation="GetJobRun")
    result = run(deployment, "stop", "etl", "a", "--no-wait")
    assert "The runs cannot be read, so the request is sent without a look at them: you lack" in result.stderr
    assert len(simulation.stop_queue) == 1


def test_a_selection_is_not_sent_if_its_runs_cannot_be_listed(
    deployment: Deployment, simulation: SimulatedAws
) -> None:
    """The operator has confirmed no number of runs. --blind sends it all the same."""
    simulation.aws.faults.add(Refused("AccessDeniedException"), operation="GetJobRuns")
    assert invoke(deployment, "stop", "etl", "--all-active", "--yes").exit_code == 1
    assert len(simulation.stop_queue) == 0


def test_an_unexpected_error_of_the_look_is_raised(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that is not AWS's is a bug, and shows its traceback."""
    monkeypatch.setattr(known_runs, "run_states", None)
    assert isinstance(invoke(deployment, "stop", "etl", "a").exception, AttributeError)
