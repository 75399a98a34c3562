"""`gluebrake stop`: send a stop request and, with --wait, follow its runs to their end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer
from msgspec import Struct

from gluebrake.contract import StopRequest
from gluebrake.model import AwsEnvironment, JobRun
from gluebrake.parsing import stop_request
from gluebrake.parsing.context import Context
from gluebrake.parsing.errors import ParsingError
from gluebrake_cli import output, tables
from gluebrake_cli.errors import NOT_OK
from gluebrake_cli.options import AsJson, Yes, examples, find_deployment
from gluebrake_cli.runs import PollOptions, RunStatus, follow, requested_runs

if TYPE_CHECKING:
    from gluebrake_cli.stack import Deployment

EXAMPLES: Final = examples(
    'gluebrake stop nightly-etl jr_0a1b jr_2c3d --reason "over budget" --wait',
    "gluebrake stop nightly-etl --all-active --older-than 120 --wait",
    "gluebrake stop nightly-etl --all-active --dry-run --wait --yes",
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
Reason = Annotated[str, typer.Option(help="Why the runs are stopped. Appears in the log.")]
RequestedBy = Annotated[
    str, typer.Option(help="Who requests it. The default is the identity of your credentials.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Let the function report what it would stop.")]
Wait = Annotated[
    bool, typer.Option("--wait", help="Follow the runs to their end. Exit code 0 means that all stopped.")
]
Timeout = Annotated[int, typer.Option(metavar="SECONDS", help="How long to follow the runs.")]
Every = Annotated[float, typer.Option(metavar="SECONDS", help="Time between two polls.")]


class SentRequest(Struct, frozen=True):
    """A stop request, and the id of the message that carried it: None if nothing was sent."""

    request: StopRequest
    message_id: str | None

    def all_stopped(self, runs: Sequence[RunStatus]) -> bool:
        """Return whether each run is STOPPED or, for a dry run, would be."""
        return all(run.is_stopped(dry_run=self.request.dry_run) for run in runs)

    def as_json(self, runs: Sequence[RunStatus] | None) -> dict[str, Any]:
        """Return what `--json` shows; `runs` is None if they were not followed."""
        return {
            "message_id": self.message_id,
            "request": self.request,
            "runs": runs,
            "all_stopped": None if runs is None else self.all_stopped(runs),
        }


def stop(
    context: typer.Context,
    job_name: JobName,
    run_ids: RunIds = None,
    *,
    all_active: AllActive = False,
    older_than: OlderThan = None,
    reason: Reason = "",
    requested_by: RequestedBy = "",
    dry_run: DryRun = False,
    wait: Wait = False,
    timeout: Timeout = 2400,
    every: Every = 2.0,
    yes: Yes = False,
    json: AsJson = False,
) -> None:
    """Send a request to stop runs of a job. With --wait, follow them until they have stopped."""
    _check_arguments(run_ids, older_than, all_active=all_active)
    now = datetime.now(UTC)
    request = build_request(
        job_name, run_ids or (), older_than, reason=reason, requested_by=requested_by, dry_run=dry_run, now=now
    )
    deployment = find_deployment(context)
    environment = deployment.aws_environment
    request = msgspec.structs.replace(request, requested_by=requested_by or deployment.caller())
    must_confirm = all_active and not yes and not dry_run
    runs = requested_runs(deployment, request, now) if wait or must_confirm else None
    if must_confirm and runs:
        output.confirm(f"Stop {len(runs)} active runs of {job_name} {tables.place(environment)}?")
    sent = _send(deployment, request) if runs != [] else SentRequest(request, None)
    statuses = _follow(deployment, sent, runs, now, PollOptions(timeout, every)) if wait or runs == [] else None
    _print_result(sent, statuses, environment, json=json)
    raise typer.Exit(0 if statuses is None or sent.all_stopped(statuses) else NOT_OK)


def _check_arguments(run_ids: Sequence[str] | None, older_than: int | None, *, all_active: bool) -> None:
    if bool(run_ids) == all_active:
        raise typer.BadParameter("name the runs, or give --all-active: one of the two")
    if older_than is not None and not all_active:
        raise typer.BadParameter("--older-than requires --all-active")


def build_request(
    job_name: str,
    run_ids: Sequence[str],
    older_than_minutes: int | None,
    *,
    reason: str,
    requested_by: str,
    dry_run: bool,
    now: datetime,
) -> StopRequest:
    """Build a stop request, and validate it with the STOP function's own parser.

    Without run ids it selects every active run that started before `now`. Raises BadParameter that names the
    field and the rule.
    """
    selection = {} if older_than_minutes is None else {"OlderThanMinutes": older_than_minutes}
    texts = {"Reason": reason, "RequestedBy": requested_by}
    fields = {
        "JobName": job_name,
        **({"JobRunIds": list(dict.fromkeys(run_ids))} if run_ids else {"Select": selection}),
        **{name: text for name, text in texts.items() if text},
        "DryRun": dry_run,
    }
    try:
        return stop_request.decode(msgspec.json.encode(fields), Context(AwsEnvironment("", ""), now))
    except (ParsingError, UnicodeEncodeError) as error:
        raise typer.BadParameter(str(error)) from error


def _send(deployment: Deployment, request: StopRequest) -> SentRequest:
    return SentRequest(request, deployment.stop_queue.send_one(msgspec.json.encode(request).decode()))


def _follow(
    deployment: Deployment,
    sent: SentRequest,
    runs: Sequence[JobRun] | None,
    since: datetime,
    poll_options: PollOptions,
) -> list[RunStatus]:
    """Follow the runs, and show each poll in place of the one before. Return the last."""
    if not runs:
        return []
    polls = follow(deployment, runs, sent.message_id, since=since, poll_options=poll_options, warn=output.note)
    environment, dry_run = deployment.aws_environment, sent.request.dry_run
    return output.show_live(polls, lambda poll: tables.runs_table(poll, environment, dry_run=dry_run))


def _print_result(
    sent: SentRequest, statuses: Sequence[RunStatus] | None, environment: AwsEnvironment, *, json: bool
) -> None:
    place = tables.place(environment)
    if json:
        output.write_json(environment, sent.as_json(statuses))
    elif sent.message_id is None:
        output.show(f"No active run of {sent.request.job_name} {place} matches: nothing was sent.")
    elif statuses is None:
        output.show(
            f"Sent as message {sent.message_id} {place}. --wait follows the runs; status shows outcomes."
        )
    else:
        output.show(tables.runs_table(statuses, environment, dry_run=sent.request.dry_run))
    if unfinished := [status for status in statuses or () if not status.is_over]:
        output.note(
            f"{len(unfinished)} runs had not ended after --timeout. The functions continue to stop them."
        )
