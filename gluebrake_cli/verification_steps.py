"""The steps of `gluebrake verify`, one row each."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from gluebrake.outcomes import Outcome
from gluebrake_cli import proofs
from gluebrake_cli.clean_up import cleaned_up
from gluebrake_cli.errors import explain
from gluebrake_cli.proofs import TAG_VALUE, Answer, Step
from gluebrake_cli.runs import LogLine
from gluebrake_cli.verification import NotProvenError, Verification

REASON_OF_TAG: Final = "gluebrake verify: test of the protect tag"
REASON_OF_STOP: Final = "gluebrake verify: test of the stop"

_TAG_SECONDS: Final = 30.0
_OWN_REQUEST_SECONDS: Final = 60.0


class Row(NamedTuple):
    """A step. `act` returns what was seen, or raises OperatorError if this does not prove the step's claim."""

    name: str
    act: Callable[[Verification], str]


class Question(NamedTuple):
    """A question about AWS that no emulator can answer. `answer` is empty if no step has answered it."""

    name: str
    answer: Callable[[Verification], str]
    otherwise: str


def tag_the_job(verification: Verification) -> str:
    """Protect the job before its run starts, so that IAM sees the tag when the run is RUNNING.

    IAM may see a changed tag late, and the run requests its own stop as soon as it runs:
    https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_general.html#troubleshoot_general_eventual-consistency
    """
    verification.tag(TAG_VALUE)
    return f"the canary job has the tag {verification.canary.settings.protect_tag}={TAG_VALUE}"


def start_a_run(verification: Verification) -> str:
    """Start a run, unless the run of the step `empty tag` is still active."""
    if not verification.run_id:
        verification.start_run()
    return f"the run is {verification.run_id}"


def wait_until_running(verification: Verification) -> str:
    """Wait for RUNNING. A run in STARTING proves no protection, because Glue may not stop such a run."""
    began = time.monotonic()
    _raise(proofs.running_problem(verification.wait_until_started()))
    return f"the run is RUNNING after {time.monotonic() - began:.1f} s"


def see_own_request(verification: Verification) -> str:
    """Wait for the outcome of the stop request that the run sends for itself.

    Without the tag, that request would stop the run, or become a dead letter while IAM still sees the tag.
    """
    verification.progress("Waiting for the outcome of the run's own stop request.")
    line = verification.wait_for_line(
        _outcome_of_own_request,
        "STOP has logged no outcome of the run's own stop request",
        seconds=_OWN_REQUEST_SECONDS,
    )
    if line["outcome"] != Outcome.PROTECTED:
        raise NotProvenError(f"the outcome of the run's own stop request is {line['outcome']}, not Protected")
    return "STOP read the run's own request from the stop queue, and its outcome is Protected"


def _outcome_of_own_request(log: Sequence[LogLine]) -> LogLine | None:
    return proofs.final_outcome([line for line in log if line.get("reason") != REASON_OF_TAG], "stop")


def prove_protection(verification: Verification) -> str:
    """Let STOP try to stop the run. A dry run before it shows that STOP sees the tag."""
    verification.wait_for(
        lambda: _ask(verification, dry_run=True).code == Outcome.PROTECTED,
        "STOP's answer to a dry run is not Protected, or another verify has removed the tag,",
        seconds=_TAG_SECONDS,
    )
    answer = _ask(verification)
    _raise(proofs.protection_problem(answer, verification.read_run()))
    return f"STOP was denied the stop ({answer.code}), and the run is still RUNNING"


def prove_stop(verification: Verification) -> str:
    """Remove the tag, send a stop request to the stop queue, and follow the run until it is STOPPED.

    IAM may still deny a request just after the tag is removed, and the request would become a dead letter. So
    the step waits before it sends the request.
    """
    verification.canary.set_protect_tags({})
    verification.settle()
    verification.send(REASON_OF_STOP)
    _raise(proofs.stop_problem(verification.follow(REASON_OF_STOP)))
    verification.seconds_to_stop = round(time.monotonic() - verification.sent_at, 1)
    return f"the run is STOPPED {verification.seconds_to_stop} s after the stop request was sent"


def see_confirmation(verification: Verification) -> str:
    """Wait until CONFIRM has logged the outcome Stopped."""
    verification.progress("Waiting for the outcome of CONFIRM.")
    line = verification.wait_for_line(
        lambda log: proofs.final_outcome(log, "confirm"), "CONFIRM has logged no final outcome"
    )
    if line["outcome"] != Outcome.STOPPED:
        raise NotProvenError(f"the outcome of CONFIRM is {line['outcome']}, not Stopped")
    return f"CONFIRM logged Stopped within {time.monotonic() - verification.sent_at:.1f} s of the stop request"


def try_empty_tag(verification: Verification) -> str:
    """Find out whether a protect tag without a value protects. If it does, the next steps use the same run."""
    verification.tag("")
    verification.start_run()
    is_running = verification.wait_until_started().state == "RUNNING"
    answer = _ask(verification) if is_running else None
    reading = verification.read_run()
    protects = proofs.empty_tag_protects(answer, reading)
    if protects is None:
        raise NotProvenError(answer.text if answer else proofs.running_problem(reading))
    if protects:
        return "a protect tag without a value protects here"
    verification.wait_until_over()
    verification.run_id = ""
    return "a protect tag without a value does not protect here: give it a value"


def _ask(verification: Verification, *, dry_run: bool = False) -> Answer:
    canary = verification.canary
    return canary.ask(canary.request(verification.run_id, REASON_OF_TAG, dry_run=dry_run))


def _raise(problem: str) -> None:
    if problem:
        raise NotProvenError(problem)


def _started_on(verification: Verification) -> str:
    return proofs.started_on(verification.seen_before_running)


def _sender(verification: Verification) -> str:
    log = [line for line in verification.log() if line.get("reason") == REASON_OF_STOP]
    return proofs.sender(log, verification.canary.settings.trusted_sender_ids)


EMPTY_TAG: Final = Row("empty tag", try_empty_tag)
"""The step of `--empty-tag`, before the other steps. It only observes, because both answers are right."""

STEPS: Final = (
    Row("tag", tag_the_job),
    Row("start", start_a_run),
    Row("running", wait_until_running),
    Row("own request", see_own_request),
    Row("protection", prove_protection),
    Row("stop", prove_stop),
    Row("confirmation", see_confirmation),
)
"""The steps in their order. To add a step, add a row here and its function."""

QUESTIONS: Final = (
    Question("StartedOn", _started_on, "the run was RUNNING when it was first read"),
    Question("sender", _sender, "the logs do not have the lines of STOP and CONFIRM about the stop request"),
)


def execute(verification: Verification, *, empty_tag: bool) -> None:
    """Execute the steps until one fails, answer the questions, and clean up. Report each result."""
    with cleaned_up(verification):
        for row in (EMPTY_TAG, *STEPS) if empty_tag else STEPS:
            result = _result(verification, row)
            verification.report(result)
            if result.state == "failed":
                break
        for question in QUESTIONS:
            verification.report(_answer(verification, question))
        if not empty_tag:
            verification.report(
                Step(name=EMPTY_TAG.name, state="not observed", text="give --empty-tag to see it")
            )


def _result(verification: Verification, row: Row) -> Step:
    began = time.monotonic()
    try:
        text = row.act(verification)
    except Exception as error:
        if (why := explain(error)) is None:
            raise
        return Step(name=row.name, state="failed", text=why, seconds=_since(began))
    if row is EMPTY_TAG:
        return _observed(verification, row.name, text)
    return Step(name=row.name, state="proven", text=text, seconds=_since(began))


def _answer(verification: Verification, question: Question) -> Step:
    try:
        text = question.answer(verification)
    except Exception as error:
        if (why := explain(error)) is None:
            raise
        return Step(name=question.name, state="not observed", text=why)
    if not text:
        return Step(name=question.name, state="not observed", text=question.otherwise)
    return _observed(verification, question.name, text)


def _observed(verification: Verification, name: str, text: str) -> Step:
    suffix = " (the emulator's answer, not AWS's)" if verification.canary.on_emulator else ""
    return Step(name=name, state="observed", text=text + suffix)


def _since(began: float) -> float:
    return round(time.monotonic() - began, 1)
