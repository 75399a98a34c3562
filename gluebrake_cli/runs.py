"""Follows runs to their end, by their states in Glue and their outcomes in the functions' logs."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from gluebrake.contract import StopRequest
from gluebrake.decisions import selection
from gluebrake.decisions.readable import count
from gluebrake.decisions.stop_outcomes import GLUE_MAY_RETRY
from gluebrake.metrics import Measure
from gluebrake.model import TERMINAL_STATES, ActiveRuns, JobRun, Message, ParsedRequest, RunFacts
from gluebrake.outcomes import Outcome
from gluebrake_cli import interrupts
from gluebrake_cli.errors import STILL_RUNNING, OperatorError, explain

T = TypeVar("T")

_FINAL: Final = frozenset(str(outcome) for outcome in Outcome if outcome.is_final)
_ENDED: Final = frozenset({Outcome.STOPPED, Outcome.FINISHED_BEFORE_STOP, Outcome.ALREADY_FINISHED})

LogLine = Mapping[str, Any]
"""A line of a function's log that has an outcome."""

Messages = Mapping[JobRun, str | None]
"""The runs to follow, each with the id of the message that requested its stop."""


class RunStatus(Struct, frozen=True, kw_only=True):
    """The last known state and outcome of a run, empty while they are unknown."""

    job_name: str
    job_run_id: str
    state: str = ""
    outcome: str = ""
    error_message: str = ""
    measures: Mapping[Measure, float] = {}
    """The usage of the run and its estimated cost, if the log has them."""

    @property
    def is_over(self) -> bool:
        """Whether the command has nothing more to wait for."""
        return self.has_ended or self.is_final

    @property
    def has_ended(self) -> bool:
        """Whether the run is no longer running."""
        return self.state in TERMINAL_STATES or self.outcome in _ENDED

    @property
    def is_final(self) -> bool:
        """Whether the log has the final outcome."""
        return self.outcome in _FINAL

    @property
    def concluded(self) -> RunStatus:
        """The status with the outcome that CONFIRM will log, if that follows from the state."""
        if self.is_final or not self.outcome or self.state not in TERMINAL_STATES:
            return self
        stopped = self.state == "STOPPED"
        return replace(self, outcome=Outcome.STOPPED if stopped else Outcome.FINISHED_BEFORE_STOP)

    def is_stopped(self, *, dry_run: bool) -> bool:
        """Return whether the run is STOPPED or, for a dry run, would be."""
        return self.outcome == Outcome.WOULD_STOP if dry_run else self.state == "STOPPED"


class FollowedRuns(Struct, frozen=True, kw_only=True):
    """The last status of the runs of a command. `statuses` is None if they were not followed.

    `hint` says why STOP has not read the request, if nothing shows that it has.
    """

    statuses: Sequence[RunStatus] | None = None
    dry_run: bool = False
    hint: str = ""

    @property
    def exit_code(self) -> int:
        """Return 0 if each run is STOPPED, or would be by a dry run, or has ended by itself."""
        runs = self.statuses or ()
        is_done = all(run.has_ended or run.is_stopped(dry_run=self.dry_run) for run in runs)
        return 0 if is_done else STILL_RUNNING

    @property
    def unfinished(self) -> str:
        """The text about runs that were not over when --timeout had passed, empty if all were over."""
        waiting = [run for run in self.statuses or () if not run.is_over]
        if not waiting:
            return ""
        verb = "has" if len(waiting) == 1 else "have"
        rest = f"{verb} no outcome" if self.dry_run else "had not ended"
        texts = [f"{count(len(waiting), 'run')} {rest} after --timeout.", self._continues(waiting), self.hint]
        return " ".join(filter(None, texts))

    def _continues(self, waiting: Sequence[RunStatus]) -> str:
        """Return which runs the functions continue to stop: those of which the log has an outcome."""
        read = sum(bool(run.outcome) for run in waiting)
        if self.dry_run or not read:
            return ""
        them = "it" if len(waiting) == 1 else "them" if read == len(waiting) else f"{read} of them"
        return f"The functions continue to stop {them}."

    def as_json(self) -> dict[str, Any]:
        """Return the members of the runs in the JSON output."""
        runs, dry_run = self.statuses, self.dry_run
        return {
            "runs": runs,
            "all_stopped": None if runs is None else all(run.is_stopped(dry_run=dry_run) for run in runs),
            "all_over": None if runs is None else all(run.has_ended for run in runs),
        }


class PollOptions(NamedTuple):
    """The timeout of following runs, the time between polls, and the least time between reads of the log.

    After the end of all runs, the command waits for CONFIRM's outcomes, at most `outcome_seconds`.
    The quota of FilterLogEvents is five calls a second for all callers of an account in most Regions:
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html
    """

    timeout_seconds: float
    interval_seconds: float
    log_interval_seconds: float = 5.0
    outcome_seconds: float = 0.0


class RunList(Protocol):
    """The source of the runs of jobs."""

    def active_runs(
        self, job_name: str, now: datetime, ended_since: datetime | None = None
    ) -> Sequence[RunFacts]:
        """Return the job's active runs, and those that ended since a time, if it is given."""


class Source(Protocol):
    """The source of run states and outcomes."""

    def states(self, runs: Sequence[JobRun]) -> Mapping[JobRun, str]:
        """Read states with a few calls, which may not return the states of all runs."""

    def outcomes(self, since: datetime) -> Sequence[LogLine]:
        """Return the outcomes in the logs since a time, oldest first."""


def requested_runs(source: RunList, request: StopRequest, now: datetime) -> list[JobRun]:
    """Return the runs that the request means now: first the named runs, then the listed runs."""
    parsed = ParsedRequest(Message("", "", now, ""), request, request.job_run_ids or ())
    if parsed.needs_listing:
        listed = source.active_runs(request.job_name, now, selection.listed_since(parsed))
        parsed = selection.select(parsed, ActiveRuns(request.job_name, complete=True, runs=tuple(listed)))
    return [JobRun(request.job_name, run_id) for run_id in parsed.run_ids]


def follow(
    source: Source,
    messages: Messages,
    *,
    since: datetime,
    poll_options: PollOptions,
    warn: Callable[[str], None],
) -> Iterator[list[RunStatus]]:
    """Yield the status of the runs at each poll, until all are over or the timeout has passed.

    If only states or only outcomes can be read, the function continues, and `warn` gets each error once. Raise
    OperatorError if neither can be read.
    """
    end = _End(time.monotonic() + poll_options.timeout_seconds, poll_options.outcome_seconds)
    log_reader = _LogReader(source, since, poll_options.log_interval_seconds)
    states: dict[JobRun, str] = {}
    warned: set[str] = set()
    statuses = run_statuses(messages, states, ())
    while True:
        waiting = [run for run, status in zip(messages, statuses, strict=True) if not status.is_over]
        is_last = time.monotonic() >= end.deadline
        errors: list[str] = []
        # The states are read last, so that a final outcome in the log is not newer than the run's state.
        log = _try(lambda: log_reader.read(at_once=is_last), errors)  # noqa: B023 - is called at once
        states |= _try(lambda: source.states(waiting), errors) or {}  # noqa: B023 - is called at once
        if len(errors) > 1:
            raise OperatorError(f"the request was sent, but its runs cannot be followed: {'; '.join(errors)}")
        for error in set(errors) - warned:
            warn(f"Run states or outcomes cannot be read; the command continues with the other: {error}")
        warned.update(errors)
        statuses = run_statuses(messages, states, log or ())
        if is_last or end.is_reached(statuses, has_log=log is not None):
            yield [status.concluded for status in statuses]
            return
        yield statuses
        interrupts.sleep(poll_options.interval_seconds)


@dataclass
class _End:
    """The end of polling: at the deadline, or when all runs are over and their outcomes are logged or late."""

    deadline: float
    outcome_seconds: float
    _outcome_deadline: float = math.inf

    def is_reached(self, statuses: Sequence[RunStatus], *, has_log: bool) -> bool:
        if not all(status.is_over for status in statuses):
            return False
        now = time.monotonic()
        self._outcome_deadline = min(self._outcome_deadline, now + self.outcome_seconds)
        # If the log cannot be read, waiting for outcomes is useless.
        return not has_log or now >= self._outcome_deadline or all(status.is_final for status in statuses)


@dataclass
class _LogReader:
    """Reads the outcomes at most once in each interval. In between, it returns the last outcomes."""

    source: Source
    since: datetime
    interval_seconds: float
    _next: float = 0.0
    _last: Sequence[LogLine] = ()

    def read(self, *, at_once: bool) -> Sequence[LogLine]:
        if at_once or time.monotonic() >= self._next:
            self._next = time.monotonic() + self.interval_seconds
            self._last = self.source.outcomes(self.since)
        return self._last


def _try(read: Callable[[], T], errors: list[str]) -> T | None:
    try:
        return read()
    except Exception as error:
        text = explain(error)
        if text is None:
            raise
        errors.append(text)
        return None


def parse_log_line(message: str) -> LogLine | None:
    """Parse the message of a log event. Return None if it has no outcome: emulators ignore filter patterns."""
    try:
        line = json.loads(message)
    except ValueError:
        return None
    return line if isinstance(line, dict) and "outcome" in line else None


def run_statuses(messages: Messages, states: Mapping[JobRun, str], log: Iterable[LogLine]) -> list[RunStatus]:
    """Combine each run's last state with its last outcome in the log. Log lines are oldest first."""
    run_lines: dict[JobRun, LogLine] = {}
    message_lines: dict[str | None, LogLine] = {}
    for line in log:
        if line.get("will_redeliver"):
            continue  # SQS redelivers the message, so another line follows
        if "job_run_id" in line:
            run_lines[JobRun(line["job_name"], line["job_run_id"])] = line
        else:
            # The outcome of a whole message is the outcome of each of its runs.
            message_lines |= dict.fromkeys(line["message_ids"], line)
    return [
        _run_status(run, states.get(run, ""), run_lines.get(run, message_lines.get(message_id, {})))
        for run, message_id in messages.items()
    ]


def _run_status(run: JobRun, state: str, line: LogLine) -> RunStatus:
    logged = line.get("state", "")
    # A poll may read only some of the states. A terminal state in the log is valid, because it cannot change.
    state = logged if logged in TERMINAL_STATES else state or logged
    return RunStatus(
        job_name=run.job_name,
        job_run_id=run.run_id,
        state=state,
        outcome=line.get("outcome", ""),
        # A run that fails without a stop may be over before a function logs its outcome.
        error_message=line.get("error_message") or (GLUE_MAY_RETRY if state == "FAILED" else ""),
        measures=measures(line),
    )


def measures(line: LogLine) -> dict[Measure, float]:
    """Return the usage and the cost of a run from a log line, without values that Glue did not report."""
    values = {measure: line.get(measure) for measure in Measure}
    return {measure: value for measure, value in values.items() if isinstance(value, int | float)}
