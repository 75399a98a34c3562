"""The options that several commands share, and the deployment that the global options select."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gluebrake_cli import durations
from gluebrake_cli.dead_letters import Filter

if TYPE_CHECKING:
    from gluebrake_cli.stack import Deployment

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON to standard output, for machines.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and change nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
Wait = Annotated[
    bool | None,
    typer.Option(
        "--wait/--no-wait",
        show_default=False,
        help="Follow the runs to their end, which is the default, or return when the request is sent.",
    ),
]
Timeout = Annotated[
    float,
    typer.Option(
        metavar="DURATION",
        parser=durations.seconds,
        show_default="40m",
        help="How long to follow the runs: 90s, 40m, 2h, or a number of seconds.",
    ),
]
Every = Annotated[
    float,
    typer.Option(
        metavar="DURATION", parser=durations.seconds, show_default="2s", help="Time between two polls."
    ),
]
Reasons = Annotated[
    list[str] | None,
    typer.Option("--reason", metavar="CODE", help="Only these reasons; * matches any text."),
]
Jobs = Annotated[
    list[str] | None, typer.Option("--job", metavar="NAME", help="Only these jobs; * matches any text.")
]
MessageIds = Annotated[
    list[str] | None,
    typer.Option("--message-id", metavar="ID", help="Only these messages; the first characters are enough."),
]


def examples(*lines: str) -> str:
    """Format command lines for the end of a command's help."""
    return "\n\n".join(["Examples:", *(f"  {line}" for line in lines)])


def build_filter(reasons: Reasons, jobs: Jobs, message_ids: MessageIds) -> Filter:
    """Build the filter that the options describe."""
    return Filter(tuple(reasons or ()), tuple(jobs or ()), tuple(message_ids or ()))


def find_deployment(context: typer.Context) -> Deployment:
    """Find the deployed stack. Makes the first AWS call of a command."""
    deployment: Deployment = context.obj()
    return deployment
