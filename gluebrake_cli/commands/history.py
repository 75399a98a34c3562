"""`gluebrake history`: show which runs were stopped, when, by whom and why, and what they had used."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

import typer
from rich.console import Group as Lines

from gluebrake_cli import durations, history_query, history_report, history_tables, tables
from gluebrake_cli.command_help import WHICH_RUNS, Help
from gluebrake_cli.fleet_report import View, report
from gluebrake_cli.history_query import Search
from gluebrake_cli.options import AsJson, not_empty

HELP: Final = Help(
    examples={
        "gluebrake history": "The runs that were stopped in the last seven days.",
        "gluebrake history --run jr_0a1b": "Who stopped this run, and why? Every step.",
        "gluebrake history --job 'nightly-*' --since 30d": "All runs of some jobs in the last month.",
        "gluebrake history --policy runaway --since 24h": "What a guardrail policy stopped since yesterday.",
        "gluebrake history --requested-by '*alice*' --json": "All requests that name a person, as JSON.",
        "gluebrake --environment all history --run jr_0a1b": "Find the run in all environments.",
    },
    exit_codes={
        0: "the log was searched, also if it has nothing",
        1: "the query did not end in time, found too many lines, or an error",
    },
)

Run = Annotated[
    str | None,
    typer.Option(
        "--run",
        metavar="RUN_ID",
        help="Everything about this run, and about Glue's retries of it.",
        rich_help_panel=WHICH_RUNS,
    ),
]
Job = Annotated[
    str | None,
    typer.Option(
        "--job", metavar="NAME", help="Only this job; * matches any text.", rich_help_panel=WHICH_RUNS
    ),
]
Since = Annotated[
    str,
    typer.Option(
        metavar="TIME",
        help="How far back: 90m, 2h, 7d, or a time such as 2026-11-24T03:00:00Z.",
        rich_help_panel=WHICH_RUNS,
    ),
]
RequestedBy = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        help="Only requests with this RequestedBy, a claim; * matches any text.",
        rich_help_panel=WHICH_RUNS,
    ),
]
Policy = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Only requests of this guardrail policy, or that claim to be.",
        rich_help_panel=WHICH_RUNS,
    ),
]
Limit = Annotated[int, typer.Option(metavar="COUNT", min=1, help="How many runs to show. The sum counts all.")]
Timeout = Annotated[
    float,
    typer.Option(
        metavar="DURATION",
        parser=durations.seconds,
        show_default="60s",
        help="When to stop the query and give up: 90s, 5m, or a number of seconds.",
    ),
]


def history(
    context: typer.Context,
    *,
    run: Run = None,
    job: Job = None,
    since: Since = "7d",
    requested_by: RequestedBy = None,
    policy: Policy = None,
    limit: Limit = 20,
    timeout: Timeout = 60.0,
    json: AsJson = False,
) -> None:
    """Show which runs were stopped, when, by whom and why, how each ended, and about how much it cost.

    All options that are given must hold. With --run, every step is shown.

    Who requested a stop is a fact or a claim: SQS reports the sender, which is a fact. RequestedBy and the
    text of an event or a notification are claims. A policy is a fact if the role of SWEEP sent the request.

    One query of CloudWatch Logs Insights reads the logs of STOP and CONFIRM. AWS bills it by the data that it
    scans, which is shown. With --environment all, one query runs in each environment.
    """
    now = datetime.now(UTC)
    search = Search(
        since=history_query.since(since, now),
        run=not_empty(run, "--run"),
        job=not_empty(job, "--job"),
        requested_by=not_empty(requested_by, "--requested-by"),
        policy=not_empty(policy, "--policy"),
    )
    view = View(
        members=lambda deployment, found: {"stack": deployment.stack, **found.as_json(limit)},
        screen=lambda deployment, found: Lines(
            *tables.heading(deployment.stack, deployment.aws_environment, observes=deployment.observes),
            history_tables.screen(found, limit),
        ),
        problems=lambda found: found.problems,
        line=history_tables.line,
        details=lambda _, found: [history_tables.screen(found, limit)] if found.found else [],
        sums=history_tables.sums,
        busy="Searching the log",
    )
    report(
        context,
        lambda deployment: history_report.read(deployment, search, now, timeout),
        view,
        json=json,
    )
