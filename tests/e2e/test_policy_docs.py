"""The command lines of docs/policies.md work on a deployment with the policies of that page."""

from __future__ import annotations

import subprocess
from typing import Final

import pytest

from local import jobs
from local.emulator import ROOT
from tests.e2e.cli import environ, gluebrake
from tests.e2e.conftest import Deployment
from tests.e2e.sweep_policies import PAGE, of_the_page
from tests.support.eventually import eventually

(CONSOLE,) = PAGE.fences("By hand, and the red button")
LINES: Final = CONSOLE.splitlines()
START, BY_HAND, BY_FUNCTION = PAGE.fences("Try it on the emulator")
JOB: Final = "dev-load"


@pytest.fixture(scope="module")
def run_id(sweeping_deployment: Deployment) -> str:
    """Start a run that the policy `runaway` matches, of a job that each command line considers."""
    jobs.create(sweeping_deployment.aws, [JOB])
    (run_id,) = jobs.start(sweeping_deployment.aws, JOB, 1, {jobs.STARTED_MINUTES_AGO: "800"})
    return run_id


@pytest.mark.parametrize("line", LINES)
def test_each_command_line_works(sweeping_deployment: Deployment, run_id: str, line: str) -> None:
    """Each line is run as it is. The answer to `--stop` is the number of runs that the report shows."""
    number = gluebrake(sweeping_deployment, "sweep", "--jobs", "*", "--all-types")["report"]["policies"][0]
    done = subprocess.run(
        ["sh", "-ec", line],
        cwd=ROOT,
        env=environ(sweeping_deployment),
        input=f"{number['stoppable']}\n",
        capture_output=True,
        text=True,
        check=False,
    )
    # `policies` fails after a sweep that exceeded a cap, which another test may have led to.
    assert done.returncode in ({0, 1} if line == "gluebrake policies" else {0}), done.stderr
    if "--stop" in line:
        eventually(lambda: sweeping_deployment.state(JOB, run_id) == "STOPPED")
    elif "sweep" in line:
        assert run_id in done.stdout
        assert sweeping_deployment.state(JOB, run_id) == "RUNNING"
    else:
        assert all(policy["name"] in done.stdout for policy in of_the_page())


def test_only_the_last_line_stops_runs() -> None:
    """The lines before it can be tried without a risk."""
    assert ["--stop" in line for line in LINES] == [False] * (len(LINES) - 1) + [True]


def test_the_lines_for_the_emulator_stop_what_is_not_protected(sweeping_deployment: Deployment) -> None:
    """By hand the sweep shows both runs and stops none. SWEEP then stops the run that nothing protects."""
    done = subprocess.run(
        ["sh", "-ec", f"{BY_HAND}\n{BY_FUNCTION}"],
        cwd=ROOT,
        env=environ(sweeping_deployment),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert {"ad-hoc", "hourly-report", "Protected"} <= set(done.stdout.split())
    eventually(lambda: sweeping_deployment.states("ad-hoc") == {"STOPPED"})
    assert sweeping_deployment.states("hourly-report") == {"RUNNING"}


def test_the_emulator_starts_as_this_deployment_does() -> None:
    """The page starts the emulator by the target whose command is that with which the tests deploy."""
    assert START.split() == ["make", "local", "CONFIG=policies.json"]
