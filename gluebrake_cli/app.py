"""The command line: global options, subcommands, and exit codes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from gluebrake import __version__
from gluebrake_cli import output, shell
from gluebrake_cli.command_help import Command, Group, Help
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

HELP: Final = Help(
    examples={
        "gluebrake stop nightly-etl --all-active": "Stop the runs of a job, and follow them to their end.",
        "gluebrake sweep --jobs 'dev-*' --older-than 2h": "Show the runs of many jobs that are too old.",
        "gluebrake status": "Is anything wrong with the deployment?",
        "gluebrake history --run jr_0a1b": "Who stopped this run, and why?",
        "gluebrake dead-letters --by-reason": "Which stop requests failed, and what to do about them?",
        'eval "$(gluebrake env --local)"': "Use the emulator of `make local` from here on.",
    },
    exit_codes={
        0: "done, and nothing is wrong",
        1: "something is wrong, or not everything was done",
        3: "a run may still be running",
    },
)

_PANELS: Final[Mapping[str, Mapping[str, tuple[Callable[..., None], Help]]]] = {
    "Stop runs": {
        "stop": (stop.stop, stop.HELP),
        "sweep": (sweep.sweep, sweep.HELP),
    },
    "See what happened": {
        "status": (status.status, status.HELP),
        "history": (history.history, history.HELP),
        "policies": (policies.policies, policies.HELP),
    },
    "Dead letters": {
        "dead-letters": (dead_letters.list_, dead_letters.HELP),
        "redrive": (redrive.redrive, redrive.HELP),
        "drop": (drop.drop, drop.HELP),
    },
    "Set up and check": {
        "env": (env.env, env.HELP),
        "verify": (verify.verify, verify.HELP),
        "doctor": (doctor.doctor, doctor.HELP),
    },
}
"""The commands in the order of the help, by panel. The name of a panel says what the reader wants to do."""


class _Gluebrake(Group):
    """The command `gluebrake`."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the commands in the order of the help. Typer would list the groups last."""
        order = [name for commands in _PANELS.values() for name in commands]
        return sorted(super().list_commands(ctx), key=order.index)


app: Final = typer.Typer(name=NAME, cls=_Gluebrake, no_args_is_help=True, pretty_exceptions_enable=False)


def _print_version(requested: bool) -> None:  # noqa: FBT001 - typer passes only the option's value
    if requested:
        typer.echo(f"{NAME} {__version__}")
        raise typer.Exit


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

    Uses your AWS credentials and Region. `gluebrake COMMAND --help` explains each command and its options.
    docs/command.md has more.
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


def _add(panel: str, name: str, function: Callable[..., None], help_: Help) -> None:
    settings = {"name": name, "rich_help_panel": panel, **help_.of(function.__doc__)}
    if function is dead_letters.list_:
        app.add_typer(dead_letters.app, cls=Group, **settings)
    else:
        app.command(cls=Command, **settings)(function)


app.callback(**HELP.of(main.__doc__))(main)
for _panel, _commands in _PANELS.items():
    for _name, (_function, _help) in _commands.items():
        _add(_panel, _name, _function, _help)


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
