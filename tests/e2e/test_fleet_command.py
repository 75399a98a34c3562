"""`gluebrake --environment` over two accounts and two Regions, of which one place is broken."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from local import jobs
from local.emulator import ROOT
from tests.e2e import test_environments
from tests.e2e.test_environments import BROKEN, JOB, PLACES, Fleet

ALL: Final = ("--environment", "all")
SOUND: Final = [name for name in PLACES if name != BROKEN]
COMMAND_LINES: Final = re.findall(
    r"^gluebrake --environment .+$", (ROOT / "docs" / "command.md").read_text(), re.MULTILINE
)

fleet = test_environments.fleet


@pytest.fixture(scope="module")
def deployed(fleet: Fleet) -> Fleet:
    """Deploy all environments. The broken one fails, and so has no stack that could be used."""
    assert fleet.deploy("all").returncode == 1
    for name in SOUND:
        jobs.create(fleet.places[name], [JOB], bucket=f"scripts-{name}")
    return fleet


def _run(fleet: Fleet, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).parent / "gluebrake"), *arguments],
        cwd=ROOT,
        env={**fleet.environ, "GLUEBRAKE_CONFIG": str(fleet.directory / "config.json"), "COLUMNS": "300"},
        input="",
        capture_output=True,
        text=True,
        check=False,
    )


def _json(fleet: Fleet, *arguments: str, code: int) -> dict[str, dict[str, Any]]:
    """Run a command that must end with an exit code. Return its objects by the names of the environments."""
    done = _run(fleet, *arguments, "--json")
    assert done.returncode == code, done.stdout + done.stderr
    return {each["environment"]: each for each in json.loads(done.stdout)["environments"]}


def _start(fleet: Fleet) -> dict[str, str]:
    """Start a run in each sound environment, and return their ids."""
    return {name: jobs.start(fleet.places[name], JOB, 1)[0] for name in SOUND}


def _state(fleet: Fleet, name: str, run_id: str) -> str:
    return fleet.places[name].glue.get_job_run(JobName=JOB, RunId=run_id)["JobRun"]["JobRunState"]


def test_red_button_and_history(deployed: Fleet) -> None:
    """Exactly the shown runs of all environments are stopped, and each one's history has its own."""
    runs = _start(deployed)
    sweep = (*ALL, "sweep", "--jobs", JOB, "--stop", "--every", "0.2")
    refused = _json(deployed, *sweep, "--yes", "2", code=1)
    assert all(refused[name]["requests"] is None for name in SOUND)
    assert {_state(deployed, name, run_id) for name, run_id in runs.items()} == {"RUNNING"}
    shown = _json(deployed, *sweep, "--yes", "3", code=1)
    assert shown[BROKEN]["error"]
    assert {name: [run["job_run_id"] for run in shown[name]["runs"]] for name in SOUND} == {
        name: [run_id] for name, run_id in runs.items()
    }
    assert {_state(deployed, name, run_id) for name, run_id in runs.items()} == {"STOPPED"}
    history = _json(deployed, *ALL, "history", "--run", runs["prod-us"], code=1)
    assert {name: [run["outcome"] for run in history[name]["runs"]] for name in SOUND} == {
        "prod-eu": [],
        "prod-us": ["Stopped"],
        "dev-eu": [],
    }


def test_status_has_a_line_for_each_environment(deployed: Fleet) -> None:
    """The broken environment is reported, and the others are read. The exit code is that of the worst."""
    done = _run(deployed, *ALL, "status")
    assert done.returncode == 1
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith(tuple(PLACES))]
    assert [(row[0], row[1], row[2]) for row in rows] == [(name, *place) for name, place in PLACES.items()]
    assert next(line for line in done.stdout.splitlines() if line.startswith("! ")).startswith(f"! {BROKEN}: ")
    assert "4 environments: 3 without problems, 1 not read." in done.stdout


def test_credentials_of_another_account_stop_nothing(deployed: Fleet) -> None:
    """The profile of dev leads to a stack with the same name and Region, which is not that of prod."""
    runs = _start(deployed)
    options = ("--profile-for", "prod-eu=dev-eu", "--environment", "prod-eu", "--environment", "prod-us")
    shown = _json(deployed, *options, "sweep", "--jobs", JOB, "--stop", "--yes", "1", "--every", "0.2", code=1)
    assert "has credentials of account 222222222222" in shown["prod-eu"]["error"]
    states = {name: _state(deployed, name, run_id) for name, run_id in runs.items()}
    assert states == {"prod-eu": "RUNNING", "prod-us": "STOPPED", "dev-eu": "RUNNING"}


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_command_line_of_the_docs_works(deployed: Fleet, line: str) -> None:
    """Each line is run as it is. The broken environment is named by those that mean it.

    The emulator gives the roles of one account the same names in both Regions. So `doctor` is right only about
    the environment of an account that was deployed last.
    """
    program, *arguments = shlex.split(line)
    assert program == "gluebrake"
    done = _run(deployed, *arguments)
    assert done.returncode == (1 if "all" in arguments else 0), done.stdout + done.stderr
    assert (BROKEN in done.stdout) is ("all" in arguments)
