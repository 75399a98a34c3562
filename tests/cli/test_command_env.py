"""`gluebrake env` sets variables in a shell or, if it fails, leaves none of another stack there."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from gluebrake_cli import app as command
from gluebrake_cli.errors import OperatorError
from gluebrake_cli.shell import OUTPUTS, exports, failure, variable_name
from gluebrake_cli.stack import Deployment
from tests.cli.command_line import PLACE, run
from tests.support.fakes.aws_server import REGION

STALE = "STOP_QUEUE_URL=stale EVENT_BUS_ARN=stale"


def _evaluated(output: str, expression: str) -> str:
    """Evaluate what the command printed in a shell with stale variables, and return an expression's value."""
    script = f'export {STALE}; eval "$1"; echo "$? {expression}"'
    shell = subprocess.run(["sh", "-uc", script, "sh", output], capture_output=True, text=True, check=True)
    return shell.stdout.strip()


def test_the_outputs_and_the_region_are_set(deployment: Deployment) -> None:
    """The AWS CLI then uses the stack's Region, and the next command the same stack."""
    expression = "$STOP_QUEUE_URL $AWS_REGION $AWS_DEFAULT_REGION $GLUEBRAKE_STACK ${AWS_PROFILE-none}"
    result = run(deployment, "env")
    url = deployment.outputs["StopQueueUrl"]
    assert _evaluated(f"unset AWS_PROFILE\n{result.stdout}", expression) == (
        f"0 {url} {REGION} {REGION} Gluebrake none"
    )
    assert result.stderr.strip() == f"Gluebrake {PLACE}"


def test_a_given_profile_is_set(deployment: Deployment) -> None:
    """Otherwise the AWS CLI would use the outputs with the credentials of another account."""
    shown = run(replace(deployment, profile="my prod"), "env").stdout
    assert _evaluated(shown, "$AWS_PROFILE") == "0 my prod"


def test_a_value_is_quoted() -> None:
    """A shell takes no part of a value for a command."""
    value = 'it\'s; $(exit 3) `exit 3` \\ \n"*"'
    assert _evaluated(exports({}, {"StopQueueUrl": value}), "$STOP_QUEUE_URL") == f"0 {value}"


def test_an_output_that_the_stack_does_not_have_is_unset() -> None:
    """A stack of an older version leaves no name of another stack."""
    assert _evaluated(exports({}, {"StopQueueUrl": "url"}), "${EVENT_BUS_ARN-none}") == "0 none"


@pytest.mark.parametrize("error", [OperatorError("no stack"), KeyboardInterrupt(), ZeroDivisionError()])
def test_a_failure_leaves_no_stale_name(error: BaseException) -> None:
    """`eval` fails, and no command in the shell acts on another stack."""

    def fail(**_options: object) -> Deployment:
        raise error

    result = CliRunner().invoke(command.app, ["env"], obj=fail)
    assert result.exit_code != 0
    assert _evaluated(result.stdout, "${STOP_QUEUE_URL-none} ${EVENT_BUS_ARN-none}") == "1 none none"


def test_a_wrong_command_line_leaves_no_stale_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command does not run then, and the output has its failure all the same."""
    monkeypatch.setattr("sys.argv", ["gluebrake", "--stak", "x", "env"])
    with pytest.raises(SystemExit, match="2"):
        command.run()
    assert _evaluated(capsys.readouterr().out, "${STOP_QUEUE_URL-none}") == "1 none"


def test_several_environments_leave_no_stale_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The shell is for one stack. The failure is printed once."""
    monkeypatch.setattr("sys.argv", ["gluebrake", "--environment", "all", "env"])
    with pytest.raises(SystemExit, match="2"):
        command.run()
    assert capsys.readouterr().out == f"{failure()}\n"


def test_a_failure_unsets_every_name() -> None:
    """Each output has a name in upper case."""
    assert [variable_name(name) for name in ("StopQueueUrl", "EventBusArn")] == [
        "STOP_QUEUE_URL",
        "EVENT_BUS_ARN",
    ]
    assert failure().splitlines()[0].split() == ["unset", *map(variable_name, OUTPUTS)]
