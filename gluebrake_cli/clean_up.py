"""The clean-up after `gluebrake verify`: restore the tags of the canary job, and stop its active runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

import msgspec

from gluebrake_cli import shell
from gluebrake_cli.errors import explain
from gluebrake_cli.proofs import Step
from gluebrake_cli.shell import Command
from gluebrake_cli.verification import Verification


class Action(NamedTuple):
    """An action of the clean-up. `act` returns what it did. `by_hand` is the command that does the same."""

    name: str
    act: Callable[[Verification], str]
    by_hand: Callable[[Verification], Command]


@contextmanager
def cleaned_up(verification: Verification) -> Iterator[None]:
    """Clean up at the end of the block, even after an error or Ctrl-C."""
    try:
        yield
    finally:
        # Standard output may be closed, so results are reported only after every action is done.
        for result in [_result(action, verification) for action in ACTIONS]:
            verification.report(result)


def _result(action: Action, verification: Verification) -> Step:
    try:
        return Step(name=action.name, state="cleaned up", text=action.act(verification))
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - no error may prevent the next action
        why = "interrupted" if isinstance(error, KeyboardInterrupt) else explain(error) or repr(error)
    fix = shell.command_line(action.by_hand(verification), verification.canary.deployment)
    return Step(name=action.name, state="failed", text=f"{why}. Run by hand:", fix=fix)


def restore_tags(verification: Verification) -> str:
    """Remove the protect tag, or restore the protect tag that the job had before."""
    canary, before = verification.canary, dict(verification.tags_before)
    if canary.protect_tags() != before:
        canary.set_protect_tags(before)
    shown = ", ".join(f"{key}={value}" for key, value in before.items())
    return f"{shown}, as before" if shown else "the canary job has no protect tag"


def stop_runs(verification: Verification) -> str:
    """Stop the active runs after the tag is removed: on the emulator, the tag denies stops to every caller."""
    canary = verification.canary
    run_ids = canary.active_run_ids() if verification.is_starting else verification.run_ids
    active = [run_id for run_id in run_ids if canary.read(run_id).is_active]
    if not active:
        return "no run of this verification is active"
    canary.stop(active)
    return f"as a last resort, Glue was asked with your own credentials to stop {', '.join(active)}"


def _tags_by_hand(verification: Verification) -> Command:
    canary, before = verification.canary, verification.tags_before
    if before:
        tags = ("--tags-to-add", msgspec.json.encode(before).decode())
        return ("aws", "glue", "tag-resource", "--resource-arn", canary.arn, *tags)
    tags = ("--tags-to-remove", canary.settings.protect_tag)
    return ("aws", "glue", "untag-resource", "--resource-arn", canary.arn, *tags)


def _runs_by_hand(verification: Verification) -> Command:
    canary = verification.canary
    if verification.is_starting:
        return ("gluebrake", "--stack", canary.deployment.stack, "stop", canary.job_name, "--all-active")
    runs = ("--job-name", canary.job_name, "--job-run-ids", *verification.run_ids)
    return ("aws", "glue", "batch-stop-job-run", *runs)


ACTIONS: Final = (
    Action("tag", restore_tags, _tags_by_hand),
    Action("run", stop_runs, _runs_by_hand),
)
