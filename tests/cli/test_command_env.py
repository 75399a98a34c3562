"""`gluebrake env` sets variables in a shell or, if it fails, leaves none of another stack there."""

from __future__ import annotations

import os
import socket
import subprocess
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from gluebrake_cli import app as command
from gluebrake_cli import emulators
from gluebrake_cli.emulators import EmulatorRecord
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


def test_topics_of_policies_are_set() -> None:
    """Their names vary with the policies. An output that is no name of a resource sets none."""
    shown = exports({}, {"SweepTopicDevBudgetArn": "arn", "Version": "0.2"})
    assert _evaluated(shown, "$SWEEP_TOPIC_DEV_BUDGET_ARN ${VERSION-none}") == "0 arn none"


def test_topic_of_another_stacks_policy_is_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name is known from the environment."""
    monkeypatch.setenv("SWEEP_TOPIC_BELL_ARN", "stale")
    for shown, status in ((exports({}, {"StopQueueUrl": "url"}), 0), (failure(), 1)):
        assert _evaluated(shown, "${SWEEP_TOPIC_BELL_ARN-none}") == f"{status} none"


def test_local_sets_the_variables_of_the_emulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command calls no AWS, and says on standard error where the emulator is."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
        record = EmulatorRecord(
            endpoint=endpoint,
            region="eu-central-2",
            key="test",
            outputs={"StopQueueUrl": "url"},
            clone="/clone",
            pid=os.getpid(),
        )
        (tmp_path / "1.json").write_bytes(msgspec.json.encode(record))
        monkeypatch.setenv(emulators.VARIABLE, str(tmp_path))
        result = CliRunner().invoke(command.app, ["env", "--local"])
    assert result.exit_code == 0
    assert _evaluated(result.stdout, "$STOP_QUEUE_URL $AWS_ENDPOINT_URL") == f"0 url {endpoint}"
    assert result.stderr.strip() == f"The emulator of /clone at {endpoint}"


def test_without_an_emulator_no_stale_name_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`eval` fails, and the error says how to start an emulator."""
    monkeypatch.setenv(emulators.VARIABLE, str(tmp_path / "none"))
    result = CliRunner().invoke(command.app, ["env", "--local"])
    assert isinstance(result.exception, OperatorError)
    assert str(result.exception).endswith("make local")
    assert _evaluated(result.stdout, "${STOP_QUEUE_URL-none}") == "1 none"


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
