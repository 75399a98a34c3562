"""The conclusions of `gluebrake verify` from the answers of AWS and of STOP. Does not call AWS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final, Literal

from msgspec import Struct

from gluebrake.error_codes import DENIED, NO_ANSWER
from gluebrake.model import TERMINAL_STATES
from gluebrake.outcomes import Outcome
from gluebrake_cli.runs import LogLine, RunStatus

TAG_VALUE: Final = "gluebrake verify"
"""The value that `verify` gives to the protect tag, by which a later `verify` recognises the tag."""

NOT_YET_RUNNING: Final = frozenset({"", "STARTING", "WAITING"})
"""The states before RUNNING. The state is empty while Glue does not show the run."""

_FINAL: Final = frozenset(outcome for outcome in Outcome if outcome.is_final)
_FAILURES: Final = frozenset(outcome for outcome in Outcome if outcome.is_failure)
_EMULATOR_ACCOUNT: Final = "000000000000"
"""The account id of emulators. No AWS account has this id."""

_STARTED_ON: Final[Mapping[frozenset[bool], str]] = {
    frozenset({True}): "has a StartedOn",
    frozenset({False}): "has no StartedOn",
    frozenset({True, False}): "has no StartedOn at first, and has one later",
}


class Step(Struct, frozen=True, kw_only=True):
    """The result of a step of `verify`: whether it proves its claim, and what was seen."""

    name: str
    state: Literal["proven", "failed", "observed", "not observed", "cleaned up"]
    text: str
    seconds: float | None = None
    fix: str = ""
    """The shell command with which the operator can do the failed action."""


class Answer(Struct, frozen=True):
    """STOP's answer about one run: an error's code and message. Both are empty if Glue accepted the stop."""

    code: str = ""
    message: str = ""

    @property
    def is_denied(self) -> bool:
        """Whether IAM denied STOP the call."""
        return self.code in DENIED

    @property
    def is_accepted(self) -> bool:
        """Whether Glue accepted the stop."""
        return not self.code

    @property
    def text(self) -> str:
        """The answer in one line."""
        return f"{self.code}: {self.message}".removesuffix(": ") if self.code else "Glue accepted the stop"


class RunReading(Struct, frozen=True):
    """The result of GetJobRun. The state is empty while Glue does not show the run."""

    state: str = ""
    has_started_on: bool = False
    error_message: str = ""

    @property
    def is_over(self) -> bool:
        """Whether the run has ended."""
        return self.state in TERMINAL_STATES

    @property
    def is_active(self) -> bool:
        """Whether the run can be stopped. A run that Glue does not show yet counts as active."""
        return not self.is_over and self.state != "STOPPING"


def is_emulator(account: str) -> bool:
    """Return whether the account is that of an emulator, whose answers prove nothing about AWS."""
    return account == _EMULATOR_ACCOUNT


def parse_answer(response: Any) -> Answer:
    """Parse STOP's response to a direct invocation about one run."""
    match response:
        case {"Errors": [{"ErrorDetail": {"ErrorCode": str(code), "ErrorMessage": str(message)}}, *_]}:
            return Answer(code, message)
        case {"SuccessfulSubmissions": [_, *_]}:
            return Answer()
        case _:
            return Answer(NO_ANSWER, f"STOP's response names no run: {response!r:.200}")


def running_problem(reading: RunReading) -> str:
    """Return why a run that has left the states before RUNNING is not RUNNING, empty if it is."""
    if reading.state == "RUNNING":
        return ""
    if reading.state in ("STOPPING", "STOPPED"):
        return f"the run is {reading.state} although its job has the protect tag"
    return f"the run is {reading.state}: {reading.error_message or 'Glue gives no reason'}"


def empty_tag_protects(answer: Answer | None, reading: RunReading) -> bool | None:
    """Return whether an empty protect tag protects the run, None if this cannot be decided.

    `answer` is STOP's answer, None if STOP was not invoked. `reading` is the run after the answer. The run may
    have been stopped earlier by its own stop request.
    """
    if reading.state in ("STOPPING", "STOPPED") or (answer and answer.is_accepted):
        return False
    return True if answer and answer.is_denied and reading.state == "RUNNING" else None


def protection_problem(answer: Answer, reading: RunReading) -> str:
    """Return why answer and state do not prove that the tag protects the run, empty if they prove it."""
    if not answer.is_denied:
        return f"STOP was not denied the stop of a run whose job has the protect tag: {answer.text}"
    return running_problem(reading)


def stop_problem(status: RunStatus) -> str:
    """Return why a followed run is not STOPPED, empty if it is."""
    if status.is_stopped(dry_run=False):
        return ""
    state = f"the run is {status.state or 'unknown'}"
    if not status.outcome:
        return f"{state}, and no function logged an outcome of the stop request"
    drop = f". Drop its dead letter: gluebrake drop --job {status.job_name}"
    reason = f": {status.error_message}" if status.error_message else ""
    end = drop if status.outcome in _FAILURES else ""
    return f"{state}, and its last outcome is {status.outcome}{reason}{end}"


def final_outcome(log: Sequence[LogLine], service: str) -> LogLine | None:
    """Return a function's last line with a final outcome, whose message SQS does not redeliver."""
    lines = [line for line in log if line.get("service") == service and not line.get("will_redeliver")]
    return next((line for line in reversed(lines) if line["outcome"] in _FINAL), None)


def started_on(seen: Mapping[str, AbstractSet[bool]]) -> str:
    """Return for each state before RUNNING whether runs have a StartedOn, empty if no such run was seen."""
    return "; ".join(f"a run in {state} {_STARTED_ON[frozenset(values)]}" for state, values in seen.items())


def sender(log: Sequence[LogLine], trusted_sender_ids: Sequence[str]) -> str:
    """Return how SQS names the sender of STOP's messages, empty if the log does not show the sender.

    CONFIRM logs the original sender if it trusts STOP's message, else the sender of STOP's message.
    """
    senders = {line.get("service"): line.get("sender", "") for line in log}
    if not {"stop", "confirm"} <= senders.keys():
        return ""
    if senders["stop"] == senders["confirm"]:
        return f"SQS names STOP's role by a trusted sender id: CONFIRM logs the first sender, {senders['stop']}"
    trusted = ", ".join(trusted_sender_ids)
    return f"CONFIRM does not trust STOP's messages: SQS names their sender {senders['confirm']}, not {trusted}"
