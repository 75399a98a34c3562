"""`gluebrake env`: print shell variables that name the deployment's resources."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from gluebrake_cli import emulators, output, shell, tables
from gluebrake_cli.command_help import Help
from gluebrake_cli.options import find_deployment

NAME: Final = "env"
HELP: Final = Help(
    examples={
        'eval "$(gluebrake env)"': "Set the variables of the deployed stack in this shell.",
        'eval "$(gluebrake --region eu-west-1 env)"': "Those of the stack in another Region.",
        'eval "$(gluebrake env --local)"': "Use the emulator of `make local` in this shell.",
        'aws sqs get-queue-attributes --queue-url "$STOP_QUEUE_URL"': "Use a variable, such as this queue's.",
    },
    exit_codes={
        0: "the commands set the variables",
        1: "no stack or emulator was found: the commands unset them, and fail",
    },
)

Local = Annotated[
    bool, typer.Option("--local", help="The emulator that `make local` runs on this machine. Calls no AWS.")
]


def env(context: typer.Context, *, local: Local = False) -> None:
    """Print commands for your shell, which set variables for the stack's outputs and its Region.

    Each output becomes a variable: StopQueueUrl becomes STOP_QUEUE_URL. AWS_REGION and GLUEBRAKE_STACK are set
    as well. With --local, the AWS CLI and gluebrake then use the emulator of the clone that you are in, else
    the one that started last.

    If the stack cannot be found, the commands unset the outputs' variables, and `eval` fails.
    """
    try:
        commands, place = _of_emulator() if local else _of_stack(context)
    except typer.BadParameter:
        raise  # the entry point prints the shell commands for a wrong command line
    except BaseException:
        typer.echo(shell.failure())
        raise
    typer.echo(commands)
    output.note(place)


def _of_emulator() -> tuple[str, str]:
    """Return the shell commands for the emulator, and its location in words."""
    record = emulators.find(emulators.directory(), Path.cwd())
    return emulators.exports(record), f"The emulator of {record.clone} at {record.endpoint}"


def _of_stack(context: typer.Context) -> tuple[str, str]:
    """Return the shell commands for the only deployed stack, and its location in words."""
    deployment = find_deployment(context)
    region = deployment.aws_environment.region
    variables = {
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        # With these variables, the AWS CLI and the next `gluebrake` use the same account and stack.
        **({"AWS_PROFILE": deployment.profile} if deployment.profile else {}),
        "GLUEBRAKE_STACK": deployment.stack,
    }
    place = f"{deployment.stack} {tables.place(deployment.aws_environment)}"
    return shell.exports(variables, deployment.outputs), place
