"""The command line: global options, subcommands, and exit codes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gluebrake import __version__
from gluebrake_cli import output, shell
from gluebrake_cli.commands import (
    dead_letters,
    doctor,
    drop,
    env,
    history,
    policies,
    redrive,
    status,
    stop,
    sweep,
    verify,
)
from gluebrake_cli.environments import DEFAULT_FILE, Selection
from gluebrake_cli.errors import NOT_OK, explain
from gluebrake_cli.options import ConfigFile, Environments, Profile, ProfileFor, Region, Stack

if TYPE_CHECKING:
    from gluebrake_cli.stack import Deployment

NAME: Final = "gluebrake"
_WRONG_USAGE: Final = 2

app: Final = typer.Typer(
    name=NAME,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    epilog="Exit codes: 0 success; 1 a problem was found, or not everything was done; 2 wrong usage; "
    "3 a run may still be running. "
    "docs/command.md has more.",
)


def _print_version(requested: bool) -> None:  # noqa: FBT001 - typer calls it with the option's value alone
    if requested:
        typer.echo(f"{NAME} {__version__}")
        raise typer.Exit


@app.callback()
def main(  # noqa: PLR0913 - the global options are its parameters
    context: typer.Context,
    *,
    stack: Stack = "Gluebrake",
    profile: Profile = None,
    region: Region = None,
    environment: Environments = None,
    config: ConfigFile = DEFAULT_FILE,
    profile_for: ProfileFor = None,
    version: Annotated[  # noqa: ARG001 - its callback prints it
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version.")
    ] = False,
) -> None:
    """Stop AWS Glue job runs, show the requests that failed and why, and redrive them.

    Uses your AWS credentials and Region. For the emulator of `make local`, first run:
    eval "$(.venv/bin/python -m local env)".
    """
    context.obj = Selection(
        connect=context.obj or _connect,
        stack=stack,
        profile=profile,
        region=region,
        names=tuple(dict.fromkeys(environment or ())),
        file=config,
        profiles=profile_for or (),
    )


def _connect(*, stack: str, profile: str | None, region: str | None, account: str | None) -> Deployment:
    from gluebrake_cli.stack import connect  # noqa: PLC0415 - loads boto3, which help does not need

    return connect(stack=stack, profile=profile, region=region, account=account)


app.command(epilog=stop.EXAMPLES)(stop.stop)
app.command(epilog=sweep.EXAMPLES)(sweep.sweep)
app.command(epilog=policies.EXAMPLES)(policies.policies)
app.add_typer(dead_letters.app, name="dead-letters")
app.command(epilog=redrive.EXAMPLES)(redrive.redrive)
app.command(epilog=drop.EXAMPLES)(drop.drop)
app.command(epilog=history.EXAMPLES)(history.history)
app.command(epilog=status.EXAMPLES)(status.status)
app.command(epilog=doctor.EXAMPLES)(doctor.doctor)
app.command(epilog=verify.EXAMPLES)(verify.verify)
app.command(epilog=env.EXAMPLES)(env.env)


def run() -> None:
    """Run the command line. Report an error of AWS or of the operator in one line, with exit code 1."""
    try:
        app(prog_name=NAME)
    except Exception as error:
        if (text := explain(error)) is None:
            raise
        output.note(f"{NAME}: {text}")
        sys.exit(NOT_OK)
    except SystemExit as exit_:
        # A wrong command line ends before `env` runs.
        if exit_.code == _WRONG_USAGE and env.NAME in sys.argv:
            typer.echo(shell.failure())
        raise
