"""The options that several commands share, and the deployment that the global options select."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gluebrake_cli import durations
from gluebrake_cli.command_help import FOLLOW
from gluebrake_cli.dead_letters import Filter
from gluebrake_cli.environments import OPTION, Selection
from gluebrake_cli.errors import EMPTY

if TYPE_CHECKING:
    from gluebrake_cli.stack import Deployment

_STACK: Final = "Which stack"
_ENVIRONMENTS: Final = "Which environments"

Stack = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        envvar="GLUEBRAKE_STACK",
        help="The CloudFormation stack of Gluebrake.",
        rich_help_panel=_STACK,
    ),
]
Profile = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="An AWS profile. The default is AWS_PROFILE, or the credentials of the environment variables.",
        rich_help_panel=_STACK,
    ),
]
Region = Annotated[
    str | None,
    typer.Option(
        metavar="REGION",
        help="An AWS Region. The default is AWS_REGION, AWS_DEFAULT_REGION, or that of the profile.",
        rich_help_panel=_STACK,
    ),
]
Environments = Annotated[
    list[str] | None,
    typer.Option(
        OPTION,
        metavar="NAME",
        envvar="GLUEBRAKE_ENVIRONMENT",
        help="An environment of the configuration: its account and Region. status, sweep, history and doctor"
        " also take several, and all means every one. May be repeated.",
        rich_help_panel=_ENVIRONMENTS,
    ),
]
ConfigFile = Annotated[
    Path,
    typer.Option(
        metavar="FILE",
        envvar="GLUEBRAKE_CONFIG",
        help="The file with the environments: cdk.json, or a configuration file.",
        rich_help_panel=_ENVIRONMENTS,
    ),
]
ProfileFor = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=PROFILE",
        help="The AWS profile for an environment. May be repeated. The default is the environment's name."
        " NAME= means the credentials of the environment variables.",
        rich_help_panel=_ENVIRONMENTS,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON to standard output, for machines.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and change nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
Wait = Annotated[
    bool | None,
    typer.Option(
        "--wait/--no-wait",
        show_default=False,
        help="Follow the runs to their end, which is the default, or return when the request is sent.",
        rich_help_panel=FOLLOW,
    ),
]
Timeout = Annotated[
    float,
    typer.Option(
        metavar="DURATION",
        parser=durations.seconds,
        show_default="40m",
        help="How long to follow the runs: 90s, 40m, 2h, or a number of seconds.",
        rich_help_panel=FOLLOW,
    ),
]
Every = Annotated[
    float,
    typer.Option(
        metavar="DURATION",
        parser=durations.seconds,
        show_default="2s",
        help="Time between two polls.",
        rich_help_panel=FOLLOW,
    ),
]
Reasons = Annotated[
    list[str] | None,
    typer.Option("--reason", metavar="CODE", help="Only this reason; * matches any text. May be repeated."),
]
Jobs = Annotated[
    list[str] | None,
    typer.Option("--job", metavar="NAME", help="Only this job; * matches any text. May be repeated."),
]
MessageIds = Annotated[
    list[str] | None,
    typer.Option(
        "--message-id",
        metavar="ID",
        help="Only this message; the first characters of its id are enough. May be repeated.",
    ),
]


def build_filter(reasons: Reasons, jobs: Jobs, message_ids: MessageIds) -> Filter:
    """Build the filter that the options describe. Raise BadParameter for an empty message id."""
    if "" in (message_ids or ()):
        # The id of each message begins with the empty text, so the command would apply to all of them.
        raise typer.BadParameter(f"--message-id {EMPTY}")
    return Filter(tuple(reasons or ()), tuple(jobs or ()), tuple(message_ids or ()))


def not_empty(value: str | None, name: str) -> str:
    """Return an option's value, empty if it is not given. Raise BadParameter if the given value is empty."""
    if value == "":
        # Without this filter, the command would apply to everything.
        raise typer.BadParameter(f"{name} {EMPTY}")
    return value or ""


def selection(context: typer.Context) -> Selection:
    """Return the selection of the global options, for a command that can act on several environments."""
    selected: Selection = context.obj
    return selected


def find_deployment(context: typer.Context) -> Deployment:
    """Find the only selected stack. This makes the first AWS call of a command."""
    return selection(context).deployment(context.command_path)
