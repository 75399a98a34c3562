"""The command line as a whole: help, version, shell completion."""

from __future__ import annotations

import json

import pytest

import gluebrake
from gluebrake_cli import app as command
from gluebrake_cli.errors import OperatorError
from gluebrake_cli.stack import Deployment
from tests.cli.command_line import invoke, run
from tests.cli.policies_aws import PoliciesAws
from tests.support.fakes.aws_server import ACCOUNT, REGION
from tests.support.simulated_aws import SimulatedAws

COMMANDS = (
    *("stop", "sweep", "policies", "dead-letters", "redrive", "drop", "status", "doctor", "verify"),
    *("history", "env"),
)


def test_the_version_is_that_of_the_package(deployment: Deployment) -> None:
    """`--version` needs no command and no AWS."""
    assert run(deployment, "--version").stdout == f"gluebrake {gluebrake.__version__}\n"


def _run_as_script(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | str | None:
    monkeypatch.setattr("sys.argv", ["/opt/somewhere/brake", *arguments])
    with pytest.raises(SystemExit) as exit_:
        command.run()
    return exit_.value.code


def test_usage_names_the_command_whatever_started_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`python -m gluebrake_cli` and the script show the same name."""
    assert _run_as_script(monkeypatch, "stop", "--help") == 0
    assert "Usage: gluebrake stop" in capsys.readouterr().out


def test_shells_complete_the_commands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The script that `--install-completion` installs calls `gluebrake` with these variables."""
    environ = {"_GLUEBRAKE_COMPLETE": "complete_bash", "COMP_WORDS": "gluebrake ", "COMP_CWORD": "1"}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert _run_as_script(monkeypatch) == 0
    assert set(capsys.readouterr().out.split()) == set(COMMANDS)


def test_an_error_is_one_line_with_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The entry point reports what the operator can fix without a traceback."""

    def fail(**_options: object) -> None:
        raise OperatorError("no stack")

    monkeypatch.setattr(command, "_connect", fail)
    assert _run_as_script(monkeypatch, "status") == 1
    assert capsys.readouterr().err == "gluebrake: no stack\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("stop", "etl", "a", "--blind", "--no-wait"),
        ("stop", "etl", "--all-active"),
        ("dead-letters",),
        ("dead-letters", "--by-reason"),
        ("redrive",),
        ("drop", "--yes"),
        ("status",),
        ("doctor",),
        ("sweep", "--jobs", "etl"),
        ("policies",),
    ],
)
def test_each_json_result_has_the_account_and_the_region(
    deployment: Deployment, simulation: SimulatedAws, arguments: tuple[str, ...]
) -> None:
    """A script that runs in many accounts reads from which one a result is."""
    simulation.aws.glue.add_job("etl")
    deployment = PoliciesAws().connect(deployment)
    result = json.loads(invoke(deployment, *arguments, "--json").stdout)
    assert (result["account"], result["region"]) == (ACCOUNT, REGION)
