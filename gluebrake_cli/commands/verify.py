"""`gluebrake verify`: start a run of the canary job, and prove that the stack protects it and stops it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import typer

from gluebrake_cli import canary as canary_job
from gluebrake_cli import durations, output, tables
from gluebrake_cli.canary import Canary
from gluebrake_cli.command_help import Help
from gluebrake_cli.errors import NOT_OK, OperatorError
from gluebrake_cli.options import AsJson, find_deployment
from gluebrake_cli.proofs import TAG_VALUE, Step
from gluebrake_cli.verification import Pace, Verification
from gluebrake_cli.verification_steps import execute

HELP: Final = Help(
    examples={
        "gluebrake verify": "Prove that runs are stopped, and that the protect tag protects.",
        "gluebrake verify --empty-tag --timeout 10m": "Try a protect tag without a value as well.",
        "gluebrake --profile prod --region eu-west-1 verify --json": "In another account, for a script.",
    },
    exit_codes={0: "each step is proven", 1: "a step is not proven, or an error"},
)

EmptyTag = Annotated[
    bool,
    typer.Option(
        "--empty-tag", help="Also try whether a protect tag without a value protects. Takes twice as long."
    ),
]
Timeout = Annotated[
    float,
    typer.Option(
        metavar="DURATION",
        parser=durations.seconds,
        show_default="5m",
        help="When to give up: 90s, 10m, or a number of seconds. The clean-up takes a few seconds more.",
    ),
]
Every = Annotated[
    float,
    typer.Option(
        metavar="DURATION", parser=durations.seconds, show_default="1s", help="Time between two polls."
    ),
]
Settle = Annotated[
    float | None,
    typer.Option(
        metavar="DURATION",
        parser=durations.seconds,
        help="Time until IAM no longer sees a removed tag. The default is 15s, and 0 on the emulator.",
    ),
]

Yes = Annotated[
    bool,
    typer.Option(
        "--yes",
        "-y",
        help="Replace a protect tag that the canary job already has. Without the option, the command asks.",
    ),
]

_NEXT: Final = "gluebrake doctor"
_SETTLE_SECONDS: Final = 15.0
# Windows has no SIGHUP.
_TERMINATIONS: Final = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
_CLOCK_SKEW: Final = timedelta(minutes=5)


def verify(
    context: typer.Context,
    *,
    empty_tag: EmptyTag = False,
    timeout: Timeout = 300,
    every: Every = 1.0,
    settle: Settle = None,
    yes: Yes = False,
    json: AsJson = False,
) -> None:
    """Prove with a run of the stack's canary job that the deployed stack protects runs and stops them.

    Starts a run of the canary job, which costs less than a cent. While the job has the protect tag, STOP must
    be denied to stop the run. Without the tag, a stop request on the stop queue must stop it.

    Touches no other job. At its end, also after Ctrl-C, the tag is removed and the run is stopped. Prints one
    line for each step, and what it saw of AWS that no emulator can show.
    """
    deployment = find_deployment(context)
    canary = canary_job.find(deployment)
    results: list[Step] = []
    verification = Verification(
        canary,
        tags_before=_tags_before(canary, yes=yes),
        pace=Pace(timeout, every, _settle_seconds(settle, canary)),
        since=datetime.now(UTC) - _CLOCK_SKEW,
        report=_reporter(results, output.note if json else output.show_line),
        progress=output.note,
    )
    place = tables.place(deployment.aws_environment)
    output.note(f"Verifying {deployment.stack} {place} with runs of {canary.job_name}.")
    with _signals_as_interrupts():
        execute(verification, empty_tag=empty_tag)
    _print_result(verification, results, json=json)
    raise typer.Exit(NOT_OK if _wrong(results) else 0)


def _tags_before(canary: Canary, *, yes: bool) -> dict[str, str]:
    """Return the protect tags to restore at the end. Ask before one is replaced.

    Raise OperatorError if a run of the canary job is active, because another `verify` may have started it.
    """
    place = tables.place(canary.deployment.aws_environment)
    if active := canary.active_run_ids():
        raise OperatorError(
            f"the canary job {canary.job_name} {place} has the active run {active[0]}: its schedule or another "
            "verify has started it. Repeat the command when it has ended, within 15 minutes"
        )
    tags = canary.protect_tags()
    to_restore = {key: value for key, value in tags.items() if value != TAG_VALUE}
    end = "restore" if to_restore else "remove"
    if tags and not yes:
        shown = ", ".join(f"{key}={value}" for key, value in tags.items())
        output.confirm(
            f"The canary job {canary.job_name} {place} already has the tag {shown}. "
            f"Another verify may be running, or was killed. Replace the tag, and {end} it at the end?"
        )
    return to_restore


def _settle_seconds(settle: float | None, canary: Canary) -> float:
    if settle is not None:
        return settle
    return 0.0 if canary.on_emulator else _SETTLE_SECONDS


def _reporter(results: list[Step], write: Callable[[str], None]) -> Callable[[Step], None]:
    """Return a function that stores each result, and writes the result at once."""

    def report(step: Step) -> None:
        results.append(step)
        write(f"{step.state:<12}  {step.name}: {step.text}")
        if step.fix:
            write(f"    {step.fix}")

    return report


@contextmanager
def _signals_as_interrupts() -> Iterator[None]:
    """Handle termination signals as Ctrl-C, so that the clean-up runs."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in _TERMINATIONS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wrong(results: Sequence[Step]) -> list[str]:
    return [f"{step.name}: {step.text}" for step in results if step.state == "failed"]


def _print_result(verification: Verification, results: Sequence[Step], *, json: bool) -> None:
    deployment = verification.canary.deployment
    wrong = _wrong(results)
    if json:
        shown: dict[str, Any] = {
            "stack": deployment.stack,
            "job_name": verification.canary.job_name,
            "job_run_ids": verification.run_ids,
            "steps": results,
            "seconds_to_stop": verification.seconds_to_stop,
            "wrong": wrong,
            "next": _NEXT if wrong else "",
        }
        output.write_json(deployment.aws_environment, shown)
        return
    place = tables.place(deployment.aws_environment)
    if wrong:
        output.show_line(f"{deployment.stack} {place} is not proven to work. Next: {_NEXT}")
    else:
        output.show_line(f"{deployment.stack} {place} protects the runs of a tagged job, and stops runs.")
