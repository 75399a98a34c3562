"""`gluebrake env`: print shell variables that name the deployment's resources."""

from __future__ import annotations

from typing import Final

import typer

from gluebrake_cli import output, shell, tables
from gluebrake_cli.options import examples, find_deployment

NAME: Final = "env"
EXAMPLES: Final = examples('eval "$(gluebrake env)"', 'eval "$(gluebrake --region eu-west-1 env)"')


def env(context: typer.Context) -> None:
    """Print commands for your shell, which set variables for the stack's outputs and its Region.

    If the stack cannot be found, the commands unset the outputs' variables, and `eval` fails.
    """
    try:
        deployment = find_deployment(context)
    except typer.BadParameter:
        raise  # the entry point prints the commands for each wrong command line
    except BaseException:
        typer.echo(shell.failure())
        raise
    region = deployment.aws_environment.region
    variables = {
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        # The AWS CLI and the next `gluebrake` then use the same account and stack.
        **({"AWS_PROFILE": deployment.profile} if deployment.profile else {}),
        "GLUEBRAKE_STACK": deployment.stack,
    }
    typer.echo(shell.exports(variables, deployment.outputs))
    output.note(f"{deployment.stack} {tables.place(deployment.aws_environment)}")
