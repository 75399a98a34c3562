"""The command line: `gluebrake stop | dead-letters | redrive | drop | status`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer

from gluebrake.contract import StopRequest
from gluebrake.parsing.errors import ReadingError
from gluebrake_cli import asking, health, letters, redriving, rendering, stopping, terminal
from gluebrake_cli.errors import OperatorError, explained
from gluebrake_cli.following import Followed
from gluebrake_cli.letters import DeadLetter, Filter
from gluebrake_cli.redriving import BatchResult, Lease, Reading, Summary
from gluebrake_cli.stopping import PollOptions
from gluebrake_cli.terminal import Sent

if TYPE_CHECKING:
    from gluebrake_cli.aws import Deployment

WRONG: Final = 1
"""The exit code when not all is as it should be. A wrong command line ends with 2."""


def _examples(*lines: str) -> str:
    return "\n\n".join(["Examples:", *(f"  {line}" for line in lines)])


app: Final = typer.Typer(
    name="gluebrake",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    epilog="Exit codes: 0 all is well; 1 something is wrong, or not done; 2 the command line is wrong. "
    "docs/ops.md has more.",
)
dead_letters_app: Final = typer.Typer(invoke_without_command=True)
app.add_typer(dead_letters_app, name="dead-letters")

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON to standard output, for machines.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Reasons = Annotated[
    list[str] | None, typer.Option("--reason", metavar="CODE", help="Only these reasons; * is any text.")
]
Jobs = Annotated[
    list[str] | None, typer.Option("--job", metavar="NAME", help="Only these jobs; * is any text.")
]
MessageIds = Annotated[
    list[str] | None, typer.Option("--message-id", metavar="ID", help="Only these; an id's beginning will do.")
]


@app.callback()
def main(
    context: typer.Context,
    stack: Annotated[
        str, typer.Option(envvar="GLUEBRAKE_STACK", help="The stack that Gluebrake is deployed as.")
    ] = "Gluebrake",
    profile: Annotated[str | None, typer.Option(help="An AWS profile.")] = None,
    region: Annotated[str | None, typer.Option(help="An AWS Region.")] = None,
) -> None:
    """Stop AWS Glue job runs, see what could not be stopped, and bring it back.

    Works where your AWS credentials lead or, by AWS_ENDPOINT_URL, on the emulator:
    eval "$(python -m local env)".
    """
    context.obj = context.obj or partial(_connect, stack=stack, profile=profile, region=region)


def _connect(*, stack: str, profile: str | None, region: str | None) -> Deployment:
    from gluebrake_cli.aws import connect  # noqa: PLC0415 - boto3 is loaded for what needs it: not for help

    return connect(stack=stack, profile=profile, region=region)


@app.command(
    epilog=_examples(
        'gluebrake stop nightly-etl jr_0a1b jr_2c3d --reason "over budget" --wait',
        "gluebrake stop nightly-etl --all-active --older-than 120 --wait",
        "gluebrake stop nightly-etl --all-active --dry-run --wait --yes",
    )
)
def stop(
    context: typer.Context,
    job_name: Annotated[str, typer.Argument(metavar="JOB", help="The Glue job.")],
    run_ids: Annotated[list[str] | None, typer.Argument(metavar="RUN_ID", help="Its runs.")] = None,
    *,
    all_active: Annotated[
        bool, typer.Option("--all-active", help="Every run that is active now, instead of run ids.")
    ] = False,
    older_than: Annotated[
        int | None, typer.Option(metavar="MINUTES", help="Of the active runs, those that started before that.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why; stands in the log.")] = "",
    requested_by: Annotated[
        str, typer.Option(help="Who asks; without it, the identity of your credentials.")
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Have the function say what it would stop.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Follow the runs to their end; 0 if all stopped.")
    ] = False,
    timeout: Annotated[int, typer.Option(metavar="SECONDS", help="How long to follow them.")] = 2400,
    every: Annotated[float, typer.Option(metavar="SECONDS", help="How often to look.")] = 2.0,
    yes: Yes = False,
    json: AsJson = False,
) -> None:
    """Ask for runs of a job to be stopped, and with --wait follow them until they have."""
    if bool(run_ids) == all_active:
        raise typer.BadParameter("name the runs, or give --all-active: one of the two")
    if older_than is not None and not all_active:
        raise typer.BadParameter("--older-than goes with --all-active")
    now = datetime.now(UTC)
    request = _request(
        job_name,
        run_ids or (),
        older_than_minutes=older_than,
        reason=reason,
        requested_by=requested_by,
        dry_run=dry_run,
        now=now,
    )
    deployment = _deployment(context)
    request = msgspec.structs.replace(request, requested_by=requested_by or deployment.caller())
    asks = all_active and not yes and not dry_run
    runs = stopping.meant(deployment, request, now) if wait or asks else None
    if asks and runs:
        terminal.confirm(f"Stop {len(runs)} active runs of {job_name}?")
    sent = Sent(request, None if runs == [] else deployment.stop_queue.send_one(_encoded(request)))
    told: list[Followed] | None = [] if runs == [] else None
    if wait and runs:
        patience = PollOptions(timeout, every)
        looks = stopping.follow(
            deployment, runs, sent.message_id, since=now, patience=patience, say=terminal.say
        )
        told = terminal.watch(sent, looks)
    terminal.tell_sent(sent, told, json=json)
    raise typer.Exit(0 if told is None or sent.all_stopped(told) else WRONG)


def _encoded(request: StopRequest) -> str:
    return msgspec.json.encode(request).decode()


def _request(*what: Any, **how: Any) -> StopRequest:
    try:
        return asking.request(*what, **how)
    except (ReadingError, UnicodeEncodeError) as error:
        raise typer.BadParameter(str(error)) from error


@dead_letters_app.callback(
    epilog=_examples(
        "gluebrake dead-letters",
        "gluebrake dead-letters --by-reason",
        "gluebrake dead-letters --reason NotAllowed --job 'nightly-*' --json",
        "gluebrake dead-letters show 5f2d9a31",
    )
)
def dead_letters(
    context: typer.Context,
    *,
    by_reason: Annotated[bool, typer.Option("--by-reason", help="Count them by reason and job.")] = False,
    reason: Reasons = None,
    job: Jobs = None,
    message_id: MessageIds = None,
    json: AsJson = False,
) -> None:
    """List what could not be stopped, and why. Nothing is consumed: each letter is put back as it was."""
    if context.invoked_subcommand:
        return
    now, wanted = datetime.now(UTC), _wanted(reason, job, message_id)
    reading = _listed(_deployment(context))
    shown = [letter for letter in reading.letters if wanted.takes(letter)]
    terminal.letters_or_groups(reading, shown, now, grouped=by_reason, json=json)


@dead_letters_app.command(epilog=_examples("gluebrake dead-letters show 5f2d9a31"))
def show(
    context: typer.Context,
    message_id: Annotated[str, typer.Argument(metavar="MESSAGE_ID", help="Its id, or the beginning of it.")],
    *,
    json: AsJson = False,
) -> None:
    """Show one dead letter whole: its reason, its attributes, its body."""
    now, reading = datetime.now(UTC), _listed(_deployment(context))
    found = [letter for letter in reading.letters if letter.message_id.startswith(message_id)]
    if len(found) != 1:
        terminal.warn_of_missing(reading)
        raise OperatorError(f"{len(found)} dead letters have an id that begins with {message_id!r}, not one")
    (letter,) = found
    if json:
        terminal.write({**letters.shape(letter, now), "attributes": letter.attributes, "body": letter.body})
    else:
        terminal.show(rendering.letter_table(letter, now))


@app.command(
    epilog=_examples(
        "gluebrake redrive --reason StopTimedOut",
        "gluebrake redrive --job 'nightly-*' --dry-run",
        "gluebrake redrive",
    )
)
def redrive(
    context: typer.Context,
    *,
    reason: Reasons = None,
    job: Jobs = None,
    message_id: MessageIds = None,
    dry_run: DryRun = False,
    json: AsJson = False,
) -> None:
    """Bring dead letters back to the stop queue, once their cause is mended.

    A letter leaves the dead-letter queue only when it stands on the stop queue; killed half way, repeat it.
    """
    deployment, wanted = _deployment(context), _wanted(reason, job, message_id)
    take = partial(redriving.redrive, stop_queue=deployment.stop_queue)
    done = _take(deployment, wanted.takes, redriving.nothing if dry_run else take)
    terminal.tell_done(done, "redriven", dry_run=dry_run, json=json)
    raise typer.Exit(0 if done.is_as_asked else WRONG)


@app.command(
    epilog=_examples(
        "gluebrake drop --reason InvalidRequest",
        "gluebrake drop --message-id 5f2d9a31 --yes",
    )
)
def drop(
    context: typer.Context,
    *,
    reason: Reasons = None,
    job: Jobs = None,
    message_id: MessageIds = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: AsJson = False,
) -> None:
    """Delete dead letters that nobody needs any more. It shows which and asks first."""
    deployment, wanted = _deployment(context), _wanted(reason, job, message_id)
    takes = wanted.takes if yes or dry_run else _agreed(deployment, wanted)
    done = _take(deployment, takes, redriving.nothing if dry_run else redriving.drop)
    terminal.tell_done(done, "dropped", dry_run=dry_run, json=json)
    raise typer.Exit(0 if done.is_as_asked else WRONG)


def _agreed(deployment: Deployment, wanted: Filter) -> Takes:
    """Show which letters are meant, and ask; return that these, and none that came since, are taken."""
    reading = _listed(deployment)
    shown = [letter for letter in reading.letters if wanted.takes(letter)]
    terminal.stderr.print(rendering.letters_table(shown, datetime.now(UTC)))
    if shown:
        terminal.confirm(f"Delete these {len(shown)} dead letters for good?")
    message_ids = {letter.message_id for letter in shown}
    return lambda letter: letter.message_id in message_ids


@app.command(epilog=_examples("gluebrake status", "gluebrake status --outcomes 50 --json"))
def status(
    context: typer.Context,
    *,
    outcomes: Annotated[int, typer.Option(metavar="COUNT", help="How many of the last outcomes.")] = 10,
    json: AsJson = False,
) -> None:
    """Show queues, alarms, mappings, config and the last outcomes; ends with 1 if something is wrong.

    Dead letters, a ringing alarm, a disabled mapping and what cannot be read count as wrong.
    """
    now = datetime.now(UTC)
    found = health.read(_deployment(context), now, outcomes)
    if json:
        terminal.write({**msgspec.structs.asdict(found), "wrong": found.wrong})
    else:
        terminal.show(rendering.health(found, now))
    raise typer.Exit(WRONG if found.wrong else 0)


Takes = Callable[[DeadLetter], bool]
Take = Callable[[Lease, Sequence[DeadLetter]], Iterator[BatchResult]]


def _take(deployment: Deployment, takes: Takes, take: Take) -> Summary:
    """Read all dead letters, let those go that are not meant, and take the others."""
    with Lease(deployment.dead_letter_queue, deployment.aws_environment()) as hold, terminal.progress() as bar:
        reading = hold.read(terminal.counting(bar, "Reading dead letters"))
        done = Summary(reading, [letter for letter in reading.letters if takes(letter)])
        hold.release({letter.message_id for letter in reading.letters if not takes(letter)})
        tell = terminal.counting(bar, "Working on those that are meant")
        try:
            for taken in take(hold, done.meant):
                done.add(taken)
                tell(len(done.taken), len(done.meant))
        except (Exception, KeyboardInterrupt):
            terminal.say(f"{len(done.taken)} of {len(done.meant)} dead letters were done with before this:")
            raise
    return done


def _listed(deployment: Deployment) -> Reading:
    """Read all dead letters, and put them back."""
    with Lease(deployment.dead_letter_queue, deployment.aws_environment()) as hold, terminal.progress() as bar:
        return hold.read(terminal.counting(bar, "Reading dead letters"))


def _deployment(context: typer.Context) -> Deployment:
    deployment: Deployment = context.obj()
    return deployment


def _wanted(reasons: Sequence[str] | None, jobs: Sequence[str] | None, ids: Sequence[str] | None) -> Filter:
    return Filter(tuple(reasons or ()), tuple(jobs or ()), tuple(ids or ()))


def run() -> None:
    """Run the command line; an error of AWS's or the operator's is one line."""
    try:
        app()
    except Exception as error:
        if (text := explained(error)) is None:
            raise
        terminal.say(f"gluebrake: {text}")
        sys.exit(WRONG)


if __name__ == "__main__":
    run()
