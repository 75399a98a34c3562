"""`gluebrake stop`: send a stop request and, with --wait, follow its runs to their end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer
from msgspec import UNSET, Struct

from gluebrake.contract import StopRequest
from gluebrake.model import AwsEnvironment, JobRun
from gluebrake_cli import output, stop_requests, tables
from gluebrake_cli.errors import NOT_OK
from gluebrake_cli.live_runs import follow_live, unfinished
from gluebrake_cli.options import AsJson, Every, Timeout, Wait, Yes, examples, find_deployment
from gluebrake_cli.runs import PollOptions, RunStatus, requested_runs

if TYPE_CHECKING:
    from gluebrake_cli.stack import Deployment

EXAMPLES: Final = examples(
    'gluebrake stop nightly-etl jr_0a1b jr_2c3d --reason "over budget" --wait',
    "gluebrake stop nightly-etl jr_0a1b --include-attempts --wait",
    "gluebrake stop nightly-etl --all-active --older-than 120 --wait",
    "gluebrake stop nightly-etl --all-active --argument --date=2026-11-24 --except jr_2c3d",
    "gluebrake stop nightly-etl --all-active --started-after 2026-11-24T03:00:00Z --dry-run --wait",
)

JobName = Annotated[str, typer.Argument(metavar="JOB", help="The Glue job.")]
RunIds = Annotated[list[str] | None, typer.Argument(metavar="RUN_ID", help="Runs of the job.")]
AllActive = Annotated[
    bool, typer.Option("--all-active", help="Every run that is active now, instead of run ids.")
]
OlderThan = Annotated[
    int | None,
    typer.Option(metavar="MINUTES", help="Of the active runs, those that started at least so long ago."),
]
StartedAfter = Annotated[
    str | None,
    typer.Option(
        metavar="TIME", help="Of the active runs, those that started then or later: 2026-11-24T03:00:00Z."
    ),
]
Arguments = Annotated[
    list[str] | None,
    typer.Option(
        "--argument",
        metavar="NAME=VALUE",
        help="Of the active runs, those that were started with this argument, such as --date=2026-11-24."
        " May be repeated: all must match. The job's defaults do not count.",
    ),
]
Except = Annotated[
    list[str] | None,
    typer.Option("--except", metavar="RUN_ID", help="Not this run, although it is active. May be repeated."),
]
IncludeAttempts = Annotated[
    bool,
    typer.Option("--include-attempts", help="Also the attempts with which Glue retries the named runs."),
]
Reason = Annotated[str, typer.Option(help="Why the runs are stopped. Appears in the log.")]
RequestedBy = Annotated[
    str, typer.Option(help="Who requests it. The default is the identity of your credentials.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Let the function report what it would stop.")]


class SentRequest(Struct, frozen=True):
    """A stop request, and the id of the message that carried it: None if nothing was sent."""

    request: StopRequest
    message_id: str | None

    def is_done(self, runs: Sequence[RunStatus]) -> bool:
        """Return whether each run is STOPPED, or would be by a dry run, or has ended by itself."""
        return all(run.has_ended or run.is_stopped(dry_run=self.request.dry_run) for run in runs)

    def as_json(self, runs: Sequence[RunStatus] | None) -> dict[str, Any]:
        """Return what `--json` shows; `runs` is None if they were not followed."""
        dry_run = self.request.dry_run
        return {
            "message_id": self.message_id,
            "request": self.request,
            "runs": runs,
            "all_stopped": None if runs is None else all(run.is_stopped(dry_run=dry_run) for run in runs),
            "all_over": None if runs is None else all(run.has_ended for run in runs),
        }


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
    wait: Wait = False,
    timeout: Timeout = 2400,
    every: Every = 2.0,
    yes: Yes = False,
    json: AsJson = False,
) -> None:
    """Send a request to stop runs of a job. With --wait, follow them until none is running any more.

    Name the runs, or give --all-active with the options that narrow it down. With --wait, exit code 1 means
    that a run may still be running: it is protected or unknown, its stop failed, or --timeout has passed.
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
    deployment = find_deployment(context)
    if not dry_run:
        deployment.refuse_under_observe()
    request = msgspec.structs.replace(request, requested_by=requested_by or deployment.caller())
    options = PollOptions(timeout, every) if wait else None
    sent, statuses = _send_and_follow(deployment, request, now, options, ask=not yes)
    _print_result(sent, statuses, deployment.aws_environment, json=json)
    raise typer.Exit(0 if statuses is None or sent.is_done(statuses) else NOT_OK)


def _send_and_follow(
    deployment: Deployment, request: StopRequest, now: datetime, poll_options: PollOptions | None, *, ask: bool
) -> tuple[SentRequest, list[RunStatus] | None]:
    """Send the request, unless no run matches it. Return the last status of its runs, None if not followed."""
    must_confirm = ask and request.select is not UNSET and not request.dry_run
    runs = requested_runs(deployment, request, now) if poll_options or must_confirm else None
    if runs == []:
        return SentRequest(request, None), []
    if must_confirm and runs:
        place = tables.place(deployment.aws_environment)
        output.confirm(f"Stop {len(runs)} active runs of {request.job_name} {place}?")
    sent = _send(deployment, request)
    return sent, _follow(deployment, sent, runs, now, poll_options) if runs and poll_options else None


def _send(deployment: Deployment, request: StopRequest) -> SentRequest:
    return SentRequest(request, deployment.stop_queue.send_one(msgspec.json.encode(request).decode()))


def _follow(
    deployment: Deployment,
    sent: SentRequest,
    runs: Sequence[JobRun],
    since: datetime,
    poll_options: PollOptions,
) -> list[RunStatus]:
    messages, dry_run = dict.fromkeys(runs, sent.message_id), sent.request.dry_run
    return follow_live(deployment, messages, since=since, poll_options=poll_options, dry_run=dry_run)


def _print_result(
    sent: SentRequest, statuses: Sequence[RunStatus] | None, environment: AwsEnvironment, *, json: bool
) -> None:
    place = tables.place(environment)
    if json:
        output.write_json(environment, sent.as_json(statuses))
    elif sent.message_id is None:
        output.show(f"No active run of {sent.request.job_name} {place} matches: nothing was sent.")
        if sent.request.select and sent.request.select.arguments:
            output.note("Only arguments count with which a run was started, not the defaults of its job.")
    elif statuses is None:
        output.show(
            f"Sent as message {sent.message_id} {place}. --wait follows the runs; status shows outcomes."
        )
    else:
        output.show(tables.runs_table(statuses, environment, dry_run=sent.request.dry_run))
    if text := unfinished(statuses or (), dry_run=sent.request.dry_run):
        output.note(text)
