"""`gluebrake stop`: look at the runs, send a stop request, and follow the runs to their end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import msgspec
import typer
from msgspec import UNSET, Struct

from gluebrake.contract import StopRequest
from gluebrake.model import AwsEnvironment
from gluebrake_cli import durations, known_runs, output, run_table, stop_requests, tables
from gluebrake_cli.command_help import WHICH_RUNS, Help
from gluebrake_cli.live_runs import follow_live, poll_options
from gluebrake_cli.options import AsJson, Every, Timeout, Wait, Yes, find_deployment
from gluebrake_cli.runs import FollowedRuns, PollOptions, RunStatus, run_statuses

if TYPE_CHECKING:
    from gluebrake_cli.stack import Deployment

HELP: Final = Help(
    examples={
        'gluebrake stop nightly-etl jr_0a1b jr_2c3d --reason "over budget"': "Stop two runs of a job.",
        "gluebrake stop nightly-etl --all-active --older-than 2h": "Stop each run older than two hours.",
        "gluebrake stop nightly-etl --all-active --dry-run": "Show which runs a stop of all would stop.",
        "gluebrake stop nightly-etl --all-active --argument --date=2026-11-24": "Stop the runs for one date.",
        "gluebrake stop nightly-etl --all-active --except jr_2c3d": "Stop all runs but one.",
        "gluebrake stop nightly-etl jr_0a1b --include-attempts": "Stop a run, and Glue's retries of it.",
        "gluebrake stop nightly-etl jr_0a1b --no-wait": "Send the request, and return at once.",
    },
    exit_codes={
        0: "each run is stopped, or was over already",
        1: "nothing was sent: the job or a run is unknown, or an error",
        3: "a run may still be running: timed out, not stopped, or protected",
    },
)

_REQUEST: Final = "The stop request"

JobName = Annotated[str, typer.Argument(metavar="JOB", help="The Glue job.")]
RunIds = Annotated[list[str] | None, typer.Argument(metavar="RUN_ID", help="Runs of the job.")]
AllActive = Annotated[
    bool,
    typer.Option(
        "--all-active", help="Every run that is active now, instead of run ids.", rich_help_panel=WHICH_RUNS
    ),
]
OlderThan = Annotated[
    int | None,
    typer.Option(
        metavar="AGE",
        parser=durations.minutes,
        help="Of the active runs, those that started at least so long ago: 90m, 2h, 1h30m, 1d,"
        " or a number of minutes.",
        rich_help_panel=WHICH_RUNS,
    ),
]
StartedAfter = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Of the active runs, those that started then or later: 2026-11-24T03:00:00Z.",
        rich_help_panel=WHICH_RUNS,
    ),
]
Arguments = Annotated[
    list[str] | None,
    typer.Option(
        "--argument",
        metavar="NAME=VALUE",
        help="Of the active runs, those that were started with this argument, such as --date=2026-11-24."
        " May be repeated: all must match. The job's defaults do not count.",
        rich_help_panel=WHICH_RUNS,
    ),
]
Except = Annotated[
    list[str] | None,
    typer.Option(
        "--except",
        metavar="RUN_ID",
        help="Not this run, although it is active. May be repeated.",
        rich_help_panel=WHICH_RUNS,
    ),
]
IncludeAttempts = Annotated[
    bool,
    typer.Option(
        "--include-attempts",
        help="Also the attempts with which Glue retries the named runs.",
        rich_help_panel=WHICH_RUNS,
    ),
]
Reason = Annotated[
    str,
    typer.Option(
        metavar="TEXT", help="Why the runs are stopped. Appears in the log.", rich_help_panel=_REQUEST
    ),
]
RequestedBy = Annotated[
    str,
    typer.Option(
        metavar="TEXT",
        help="Who requests it. The default is the identity of your credentials.",
        rich_help_panel=_REQUEST,
    ),
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Let the function report what it would stop.", rich_help_panel=_REQUEST),
]
Blind = Annotated[
    bool,
    typer.Option(
        "--blind", help="Send the request without a look at the job and its runs.", rich_help_panel=_REQUEST
    ),
]


class SentRequest(Struct, frozen=True):
    """A stop request, and the id of the message that carried it, None if nothing was sent."""

    request: StopRequest
    message_id: str | None


class Sending(NamedTuple):
    """The options of sending: whether to ask, whether to read no runs first, and how to follow the runs."""

    ask: bool
    blind: bool
    poll_options: PollOptions | None

    def check(self, request: StopRequest) -> None:
        """Raise BadParameter if the question would need the number of runs, but no run is read."""
        if self.blind and self.must_confirm(request):
            raise typer.BadParameter(
                "--blind with --all-active requires --yes: no run is listed to be confirmed"
            )

    def must_confirm(self, request: StopRequest) -> bool:
        """Return whether the operator must confirm the number of runs."""
        return self.ask and request.select is not UNSET and not request.dry_run


def stop(
    context: typer.Context,
    job_name: JobName,
    run_ids: RunIds = None,
    *,
    all_active: AllActive = False,
    older_than: OlderThan = None,
    started_after: StartedAfter = None,
    argument: Arguments = None,
    exclude: Except = None,
    include_attempts: IncludeAttempts = False,
    reason: Reason = "",
    requested_by: RequestedBy = "",
    dry_run: DryRun = False,
    blind: Blind = False,
    wait: Wait = None,
    timeout: Timeout = 2400,
    every: Every = 2.0,
    yes: Yes = False,
    json: AsJson = False,
) -> None:
    """Request to stop runs of a job, and follow them until none is running any more.

    Name the runs, or give --all-active with the options that narrow it down. Before it sends, the command
    reads from Glue whether the runs exist and whether they are over already. It ends when no run is running
    any more and the log has the outcomes, with the estimated cost.
    """
    now = datetime.now(UTC)
    runs = stop_requests.Runs(
        run_ids=run_ids or (),
        all_active=all_active,
        older_than=older_than,
        started_after=started_after,
        arguments=argument or (),
        exclude=exclude or (),
        include_attempts=include_attempts,
    )
    request = stop_requests.build(
        job_name, runs, reason=reason, requested_by=requested_by, dry_run=dry_run, now=now
    )
    followed_as = None if wait is False else poll_options(timeout, every)
    sending = Sending(ask=not yes, blind=blind, poll_options=followed_as)
    sending.check(request)
    deployment = find_deployment(context)
    if not dry_run:
        deployment.refuse_under_observe()
    request = msgspec.structs.replace(request, requested_by=requested_by or deployment.caller())
    sent, followed = _send_and_follow(deployment, request, now, sending)
    _print_result(sent, followed, deployment.aws_environment, json=json)
    raise typer.Exit(followed.exit_code)


def _send_and_follow(
    deployment: Deployment, request: StopRequest, now: datetime, sending: Sending
) -> tuple[SentRequest, FollowedRuns]:
    """Send the request, unless it means no active run. Return the last status of its runs."""
    known = known_runs.look(deployment, request, now) if not sending.blind else None
    if known and known.are_over:
        statuses = run_statuses(dict.fromkeys(known.runs), known.states, ())
        return SentRequest(request, None), FollowedRuns(statuses=statuses, dry_run=request.dry_run)
    if known and sending.must_confirm(request):
        runs = tables.counted(len(known.runs), "active run")
        output.confirm(f"Stop {runs} of {request.job_name} {tables.place(deployment.aws_environment)}?")
    if known:
        known_runs.note_over(known)
    sent = SentRequest(request, deployment.stop_queue.send_one(msgspec.json.encode(request).decode()))
    runs_to_follow = known.runs if known else known_runs.named(request)
    if not sending.poll_options or not runs_to_follow:
        return sent, FollowedRuns()
    return sent, follow_live(
        deployment,
        dict.fromkeys(runs_to_follow, sent.message_id),
        since=now,
        poll_options=sending.poll_options,
        dry_run=request.dry_run,
    )


def _print_result(
    sent: SentRequest, followed: FollowedRuns, environment: AwsEnvironment, *, json: bool
) -> None:
    if json:
        members = {"message_id": sent.message_id, "request": sent.request, **followed.as_json()}
        output.write_json(environment, members)
    elif sent.message_id is None:
        _print_not_sent(sent.request, followed.statuses or (), environment)
    elif followed.statuses is None:
        place = tables.place(environment)
        output.show(f"Sent as message {sent.message_id} {place}. `gluebrake status` shows the latest outcomes.")
    else:
        output.show(run_table.runs_table(followed.statuses, environment, dry_run=followed.dry_run))
    if sent.message_id and (text := followed.unfinished):
        output.note(text)


def _print_not_sent(request: StopRequest, over: Sequence[RunStatus], environment: AwsEnvironment) -> None:
    if over:
        output.show(run_table.over_table(over, environment))
        return
    output.show(f"No active run of {request.job_name} {tables.place(environment)} matches: nothing was sent.")
    if request.select and request.select.arguments:
        output.note("Only arguments count with which a run was started, not the defaults of its job.")
