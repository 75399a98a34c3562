"""`gluebrake verify` proves with a run of the canary job that the stack works, and always cleans up."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from typer.testing import Result

from gluebrake_cli import canary as canary_job
from gluebrake_cli.clean_up import cleaned_up
from gluebrake_cli.proofs import Step
from gluebrake_cli.stack import Deployment
from gluebrake_cli.verification import Pace, Verification
from gluebrake_cli.verification_steps import EMPTY_TAG, QUESTIONS, STEPS
from tests.cli.canary_aws import ARN, JOB, TAG, CanaryAws
from tests.cli.command_line import PLACE, invoke, run, run_json
from tests.support.fakes.aws_server import ACCOUNT, REGION
from tests.support.fakes.faults import LostAnswer, Refused
from tests.support.simulated_aws import CONFIRM, STOP, SimulatedAws

VERIFY: Final = ("verify", "--every", "0.01", "--settle", "0")
EMULATOR: Final = "000000000000"
ALL_STEPS: Final = ["tag", "start", "running", "own request", "protection", "stop", "confirmation"]


@pytest.fixture
def canary(simulation: SimulatedAws) -> CanaryAws:
    """Return the account with the canary job."""
    return CanaryAws(simulation)


@pytest.fixture
def verified(canary: CanaryAws, deployment: Deployment) -> Deployment:
    """Return the deployment with the canary job."""
    return canary.connect(deployment)


def _steps(result: Result, state: str) -> dict[str, str]:
    """Return the texts of the steps in a state, by their names."""
    lines = [line[14:].partition(": ") for line in result.stdout.splitlines() if line.startswith(state)]
    return {name: text for name, _, text in lines}


def test_each_step_has_a_line(canary: CanaryAws, verified: Deployment) -> None:
    """Every step is proven. At the end the tag is gone, the run is STOPPED, and the exit code is 0."""
    result = run(verified, *VERIFY)
    proven = _steps(result, "proven")
    assert list(proven) == ALL_STEPS
    assert proven["start"] == "the run is jr_1"
    assert "denied the stop (AccessDeniedException), and the run is still RUNNING" in proven["protection"]
    assert proven["stop"].startswith("the run is STOPPED ")
    assert result.stdout.splitlines()[-1].startswith(f"Gluebrake {PLACE} protects")
    assert f"Verifying Gluebrake {PLACE} with runs of {JOB}." in result.stderr
    assert (canary.tags, canary.states) == ({}, ["STOPPED"])


def test_the_job_is_tagged_before_its_run_starts(canary: CanaryAws, verified: Deployment) -> None:
    """IAM has the start-up of the run to see the tag, and the run's own request is denied as well."""
    seen: list[dict[str, str]] = []
    canary.before["StartJobRun"] = lambda: seen.append(canary.tags)
    run(verified, *VERIFY)
    assert seen == [{TAG: "gluebrake verify"}]
    assert canary.simulation.history(JOB, "jr_1") == [*["Protected"] * 3, "StopSubmitted", "Stopped"]
    assert canary.simulation.dead_letters() == []


def test_each_step_is_documented() -> None:
    """docs/command.md has each line's name and what it proves or answers."""
    text = (Path(__file__).parents[2] / "docs" / "command.md").read_text()
    names = [EMPTY_TAG.name, *(row.name for row in STEPS), *(question.name for question in QUESTIONS)]
    assert [name for name in names if f"`{name}`" not in text] == []


def test_json_has_the_documented_members(verified: Deployment) -> None:
    """Scripts depend on these names. The lines of the steps go to standard error meanwhile."""
    shown = run_json(verified, *VERIFY)
    members = [
        "account",
        "region",
        "stack",
        "job_name",
        "job_run_ids",
        "steps",
        "seconds_to_stop",
        "wrong",
        "next",
    ]
    assert list(shown) == members
    assert (shown["account"], shown["region"], shown["stack"]) == (ACCOUNT, REGION, "Gluebrake")
    assert (shown["job_name"], shown["job_run_ids"]) == (JOB, ["jr_1"])
    assert set(shown["steps"][0]) == {"name", "state", "text", "seconds", "fix"}
    assert [step["name"] for step in shown["steps"] if step["state"] == "proven"] == ALL_STEPS
    assert shown["seconds_to_stop"] >= 0
    assert (shown["wrong"], shown["next"]) == ([], "")


def test_aws_answers_what_no_emulator_can(verified: Deployment) -> None:
    """The lines tell whether a STARTING run has a StartedOn, and how SQS names the functions' role."""
    observed = _steps(run(verified, *VERIFY), "observed")
    assert observed["StartedOn"] == "a run in STARTING has a StartedOn"
    assert observed["sender"].startswith("SQS names STOP's role by a trusted sender id")


def test_the_emulator_answers_for_itself(canary: CanaryAws, deployment: Deployment) -> None:
    """On the emulator each observation is called the emulator's."""
    observed = _steps(run(canary.connect(deployment, account=EMULATOR), *VERIFY), "observed")
    assert observed
    assert all(text.endswith(" (the emulator's answer, not AWS's)") for text in observed.values())


@pytest.mark.parametrize(
    ("outputs", "settings", "error"),
    [
        (
            {"CanaryJobName": ""},
            {},
            "no output CanaryJobName: it is of an older version. Deploy this version with your configuration",
        ),
        (
            {},
            {"protected_jobs": ["*"]},
            "STOP stops no run of the canary job .*: the job matches protectedJobs",
        ),
        ({}, {"jobs": ["etl"]}, "the job matches none of jobs"),
        ({}, {"observe": True}, "every request is a dry run"),
        (
            {},
            {"protect_tag": ""},
            "settings are of another version .*Deploy this version with your configuration",
        ),
    ],
)
def test_a_stack_that_cannot_be_verified_is_an_error(
    canary: CanaryAws, verified: Deployment, outputs: dict[str, str], settings: dict[str, Any], error: str
) -> None:
    """The error says why, and no run is started."""
    canary.settings |= settings
    changed = replace(verified, outputs={**verified.outputs, **outputs})
    result = invoke(changed, *VERIFY)
    assert result.exit_code == 1
    with pytest.raises(Exception, match=error):
        raise result.exception or AssertionError
    assert canary.states == []


def test_an_active_run_is_an_error(canary: CanaryAws, verified: Deployment) -> None:
    """The run of another verify or of the schedule is named, and is left as it is."""
    canary.simulation.aws.glue.add_run(JOB, "jr_other")
    result = invoke(verified, *VERIFY)
    assert f"{JOB} {PLACE} has the active run jr_other" in str(result.exception)
    assert (result.exit_code, canary.tags, canary.states) == (1, {}, ["RUNNING"])


@pytest.mark.parametrize(
    ("before", "end", "after"),
    [
        ({TAG: "gluebrake verify"}, "remove", {}),
        ({TAG: "mine"}, "restore", {TAG: "mine"}),
        ({TAG.upper(): "mine"}, "restore", {TAG.upper(): "mine"}),
    ],
)
def test_a_tagged_job_asks_first(
    canary: CanaryAws, verified: Deployment, before: dict[str, str], end: str, after: dict[str, str]
) -> None:
    """The tag may be that of another verify. The answer no changes nothing, and yes restores a foreign tag."""
    canary.set_tags(before)
    ((key, value),) = before.items()
    result = run(verified, *VERIFY, answer="n\n", code=1)
    assert f"already has the tag {key}={value}. Another verify may be running" in result.stderr
    assert f"and {end} it at the end?" in result.stderr
    assert (canary.tags, canary.states) == (before, [])
    run(verified, *VERIFY, answer="y\n")
    assert (canary.tags, canary.states) == (after, ["STOPPED"])


def test_help_says_what_yes_confirms(deployment: Deployment) -> None:
    """Without a tag of before, the command asks nothing."""
    shown = " ".join(run(deployment, "verify", "--help").stdout.replace("│", " ").split())
    assert "Replace a protect tag that the canary job already has." in shown
    assert "Do not ask for confirmation" not in shown


def test_yes_asks_nothing(canary: CanaryAws, verified: Deployment) -> None:
    """With --yes a tag of before is replaced without a question."""
    canary.set_tags({TAG: "mine"})
    assert "tag: gluebrake:protect=mine, as before" in run(verified, *VERIFY, "--yes").stdout


def _no_denial(canary: CanaryAws) -> None:
    canary.denies = lambda _value: False


def _stop_queue_not_consumed(canary: CanaryAws) -> None:
    canary.consumers = frozenset({CONFIRM})


def _stop_queue_not_consumed_later(canary: CanaryAws) -> None:
    canary.before["UntagResource"] = lambda: _stop_queue_not_consumed(canary)


def _confirm_queue_not_consumed(canary: CanaryAws) -> None:
    canary.consumers = frozenset({STOP})


def _run_fails(canary: CanaryAws) -> None:
    canary.after_starting = "FAILED"


def _refused(operation: str, code: str) -> Callable[[CanaryAws], None]:
    return lambda canary: canary.simulation.aws.faults.add(Refused(code), operation=operation)


def _untagged_by_another(canary: CanaryAws) -> None:
    canary.before["Invoke"] = lambda: canary.set_tags({})


def _denied_without_tag(canary: CanaryAws) -> None:
    refused = Refused("AccessDeniedException", "no policy allows it")
    canary.before["UntagResource"] = lambda: canary.simulation.aws.faults.add(
        refused, operation="BatchStopJobRun", times=1
    )


FAULTS: Final = {
    "IAM denies nothing": (_no_denial, "running", "although its job has the protect tag"),
    "STOP's mapping is disabled": (_stop_queue_not_consumed, "own request", "STOP has logged no outcome"),
    "STOP's mapping is disabled in between": (
        *(_stop_queue_not_consumed_later, "stop"),
        "the run is RUNNING, and no function logged an outcome of the stop request",
    ),
    "CONFIRM's mapping is disabled": (
        *(_confirm_queue_not_consumed, "confirmation"),
        "CONFIRM has logged no final outcome",
    ),
    "the run fails": (_run_fails, "running", "the run is FAILED: Glue gives no reason"),
    "no permission": (
        *(_refused("StartJobRun", "AccessDeniedException"), "start"),
        "you lack the permission glue:StartJobRun",
    ),
    "too many runs": (
        *(_refused("StartJobRun", "ConcurrentRunsExceededException"), "start"),
        "another run of the canary job is active",
    ),
    "another verify": (_untagged_by_another, "protection", "another verify has removed the tag"),
    "IAM denies after the tag is gone": (
        *(_denied_without_tag, "stop"),
        f"its last outcome is Failed: no policy allows it. Drop its dead letter: gluebrake drop --job {JOB}",
    ),
}
"""What is wrong: its cause, the step that fails, and a part of the step's text."""


@pytest.mark.parametrize(("cause", "step", "text"), FAULTS.values(), ids=FAULTS)
def test_a_step_that_proves_nothing_fails(
    canary: CanaryAws, verified: Deployment, cause: Callable[[CanaryAws], None], step: str, text: str
) -> None:
    """The step says what was seen, no later one follows, and neither a tag nor an active run is left."""
    cause(canary)
    result = run(verified, *VERIFY, "--timeout", "5", code=1)
    failed = _steps(result, "failed")
    assert list(failed) == [step]
    assert text in failed[step]
    assert list(_steps(result, "proven")) == ALL_STEPS[: ALL_STEPS.index(step)]
    assert result.stdout.endswith("is not proven to work. Next: gluebrake doctor\n")
    assert canary.tags == {}
    assert not {"STARTING", "RUNNING"} & set(canary.states)


def test_an_empty_tag_that_protects_keeps_its_run(canary: CanaryAws, verified: Deployment) -> None:
    """The answer is an observation, and the other steps use the same run."""
    result = run(verified, *VERIFY, "--empty-tag")
    assert _steps(result, "observed")["empty tag"] == "a protect tag without a value protects here"
    assert list(_steps(result, "proven")) == ALL_STEPS
    assert canary.states == ["STOPPED"]


def _all_queues_consumed(canary: CanaryAws) -> None:
    canary.consumers = frozenset({STOP, CONFIRM})


@pytest.mark.parametrize("first", [_all_queues_consumed, _stop_queue_not_consumed])
def test_an_empty_tag_that_does_not_protect_costs_a_run(
    canary: CanaryAws, verified: Deployment, first: Callable[[CanaryAws], None]
) -> None:
    """The run's own request stops it or, if that is late, STOP does. The other steps use a new run."""
    canary.denies = bool
    first(canary)
    canary.before["Invoke"] = lambda: _all_queues_consumed(canary)
    result = run(verified, *VERIFY, "--empty-tag")
    answer = _steps(result, "observed")["empty tag"]
    assert answer.startswith("a protect tag without a value does not protect here: give it a value")
    assert _steps(result, "proven")["start"] == "the run is jr_2"
    assert canary.states == ["STOPPED", "STOPPED"]


def test_an_empty_tag_that_is_not_decided_fails(canary: CanaryAws, verified: Deployment) -> None:
    """A run that fails says nothing about the tag."""
    canary.after_starting = "FAILED"
    failed = _steps(run(verified, *VERIFY, "--empty-tag", code=1), "failed")
    assert failed == {"empty tag": "the run is FAILED: Glue gives no reason"}


def _interrupt() -> None:
    raise KeyboardInterrupt


def _terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize(
    ("operation", "act"),
    [
        ("GetJobRun", _interrupt),
        ("Invoke", _interrupt),
        ("FilterLogEvents", _terminate),
        ("UntagResource", _terminate),
    ],
)
def test_an_interrupt_cleans_up(
    canary: CanaryAws, verified: Deployment, operation: str, act: Callable[[], None]
) -> None:
    """After Ctrl-C or a termination, neither a tag nor an active run is left, and the exit code is 130."""
    canary.before[operation] = act
    result = run(verified, *VERIFY, code=130)
    assert set(_steps(result, "cleaned up")) == {"tag", "run"}
    assert "as a last resort, Glue was asked with your own credentials to stop jr_1" in result.stdout
    assert (canary.tags, canary.states) == ({}, ["STOPPING"])


def test_a_closed_output_prevents_no_clean_up(canary: CanaryAws, verified: Deployment) -> None:
    """Where no result can be written, the tag is removed and the run is stopped all the same."""

    def fail(_result: Step) -> None:
        raise BrokenPipeError

    found = canary_job.find(verified)
    pace = Pace(timeout_seconds=5, interval_seconds=0.01, settle_seconds=0)
    since = datetime.now(UTC)
    verification = Verification(found, {}, pace, since, report=fail, progress=lambda _line: None)
    verification.tag("true")
    with pytest.raises(BrokenPipeError), cleaned_up(verification):
        verification.start_run()
    assert (canary.tags, canary.states) == ({}, ["STOPPING"])


def test_a_run_whose_id_was_not_received_is_stopped(canary: CanaryAws, verified: Deployment) -> None:
    """Where the answer of StartJobRun is lost, the job's active runs are listed and stopped."""
    canary.simulation.aws.faults.add(LostAnswer(), operation="StartJobRun")
    result = run(verified, *VERIFY, code=1)
    assert "to stop jr_1" in _steps(result, "cleaned up")["run"]
    assert canary.states == ["STOPPING"]


@pytest.mark.parametrize(
    ("before", "command"),
    [
        ({}, f"untag-resource --resource-arn {ARN} --tags-to-remove {TAG}"),
        ({TAG: "mine"}, f"""tag-resource --resource-arn {ARN} --tags-to-add '{{"{TAG}":"mine"}}'"""),
    ],
)
def test_a_tag_that_stays_has_its_command(
    canary: CanaryAws, verified: Deployment, before: dict[str, str], command: str
) -> None:
    """If the tag cannot be removed, the command for it is shown, and the run is stopped all the same."""

    def interrupt_and_refuse() -> None:
        _refused("GetTags", "AccessDeniedException")(canary)
        _no_denial(canary)  # the operator's own credentials may stop the run of a tagged job
        raise KeyboardInterrupt

    canary.set_tags(before)
    canary.before["Invoke"] = interrupt_and_refuse
    lines = run(verified, *VERIFY, "--yes", code=130).stdout.splitlines()
    position = lines.index(
        "failed        tag: you lack the permission glue:GetTags on the resource of the call: "
        "docs/command.md has the policy for an operator. Run by hand:"
    )
    assert lines[position + 1] == f"    aws glue {command} --region {REGION}"
    assert canary.states == ["STOPPING"]


@pytest.mark.parametrize("step", ["error", "interrupt"])
def test_a_run_that_stays_has_its_command(canary: CanaryAws, verified: Deployment, step: str) -> None:
    """If the run cannot be stopped, the command for it is shown, and the tag is removed all the same."""
    canary.before["Invoke"] = _interrupt
    canary.before["BatchStopJobRun"] = (
        _interrupt
        if step == "interrupt"
        else lambda: canary.simulation.aws.glue.run(JOB, "jr_1").become("LOST")
    )
    result = run(replace(verified, profile="prod"), *VERIFY, code=130)
    command = f"aws glue batch-stop-job-run --job-name {JOB} --job-run-ids jr_1"
    assert f"    {command} --region {REGION} --profile prod" in result.stdout.splitlines()
    assert canary.tags == {}


def test_runs_of_unknown_ids_have_their_command(canary: CanaryAws, verified: Deployment) -> None:
    """If the runs cannot even be listed, the command stops every active run of the canary job."""
    canary.simulation.aws.faults.add(LostAnswer(), operation="StartJobRun")
    canary.before["StartJobRun"] = lambda: _refused("GetJobRuns", "AccessDeniedException")(canary)
    result = run(verified, *VERIFY, code=1)
    command = f"gluebrake --stack Gluebrake stop {JOB} --all-active"
    assert f"    AWS_REGION={REGION} {command}" in result.stdout.splitlines()
