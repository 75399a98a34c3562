"""The state of `gluebrake verify` while it runs: the runs that it started, the observations, and the waits."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from gluebrake.model import JobRun
from gluebrake_cli.errors import OperatorError
from gluebrake_cli.proofs import NOT_YET_RUNNING, RunReading, Step
from gluebrake_cli.runs import LogLine, PollOptions, RunStatus, follow

if TYPE_CHECKING:
    from gluebrake_cli.canary import Canary

T = TypeVar("T")


class Pace(NamedTuple):
    """The seconds for all steps, the seconds between polls, and the seconds until IAM sees a tag's removal."""

    timeout_seconds: float
    interval_seconds: float
    settle_seconds: float

    @property
    def log_interval_seconds(self) -> float:
        """The seconds between two reads of the logs. Their quota is smaller than Glue's: see PollOptions."""
        return 5 * self.interval_seconds


class NotProvenError(OperatorError):
    """A step does not prove its claim. The text says what was seen instead."""


@dataclass
class Verification:
    """A verification in progress: the runs that were started, and the observations so far."""

    canary: Canary
    tags_before: Mapping[str, str]
    """The protect tags that the clean-up restores."""
    pace: Pace
    since: datetime
    """A time before the first step, from which the functions' logs are read."""
    report: Callable[[Step], None]
    progress: Callable[[str], None]
    """Gets one line before each longer wait."""
    run_id: str = ""
    """The run that the steps are about."""
    run_ids: list[str] = field(default_factory=list)
    """Every run that was started."""
    is_starting: bool = False
    """Whether a run may have started although its id is not known."""
    seen_before_running: dict[str, set[bool]] = field(default_factory=dict)
    """Whether the run had a StartedOn, by state."""
    message_id: str = ""
    sent_at: float = 0.0
    seconds_to_stop: float | None = None
    deadline: float = field(init=False)

    def __post_init__(self) -> None:
        self.deadline = time.monotonic() + self.pace.timeout_seconds

    def tag(self, value: str) -> None:
        """Give the canary job the protect tag with a value."""
        self.canary.set_protect_tags({self.canary.settings.protect_tag: value})

    def start_run(self) -> None:
        """Start a run of the canary job."""
        self.is_starting = True
        run_id = self.canary.start()
        if run_id:
            self.run_id = run_id
            self.run_ids.append(run_id)
        self.is_starting = False
        if not run_id:
            raise NotProvenError("Glue started no run: another run of the canary job is active")

    def wait_until_started(self) -> RunReading:
        """Wait until the run has left the states before RUNNING."""
        if reading := self._started():
            return reading
        self.progress(f"Waiting until {self.run_id} is RUNNING.")
        return self.wait_for(self._started, f"the run {self.run_id} is not RUNNING")

    def _started(self) -> RunReading | None:
        reading = self.read_run()
        if reading.state not in NOT_YET_RUNNING:
            return reading
        if reading.state:
            self.seen_before_running.setdefault(reading.state, set()).add(reading.has_started_on)
        return None

    def wait_until_over(self) -> None:
        """Wait until the run has ended."""
        self.progress(f"Waiting until {self.run_id} has ended.")
        self.wait_for(lambda: self.read_run().is_over, f"the run {self.run_id} has not ended")

    def read_run(self) -> RunReading:
        """Read the run."""
        return self.canary.read(self.run_id)

    def settle(self) -> None:
        """Wait until IAM sees that the tag was removed."""
        if self.pace.settle_seconds:
            self.progress(f"Waiting {self.pace.settle_seconds:g} s until IAM no longer sees the tag.")
        time.sleep(min(self.pace.settle_seconds, self.seconds_left()))

    def send(self, reason: str) -> None:
        """Send a request to stop the run to the stop queue."""
        self.sent_at = time.monotonic()
        self.message_id = self.canary.send(self.canary.request(self.run_id, reason))

    def follow(self, reason: str) -> RunStatus:
        """Follow the run until its end, by its state and the outcomes of requests with this reason."""
        polls = follow(
            _OutcomesOfReason(self, reason),
            {JobRun(self.canary.job_name, self.run_id): self.message_id},
            since=self.since,
            poll_options=PollOptions(
                self.seconds_left(), self.pace.interval_seconds, self.pace.log_interval_seconds
            ),
            warn=self.progress,
        )
        *_, (status,) = polls
        return status

    def log(self) -> list[LogLine]:
        """Return the outcomes of the run in the functions' logs, oldest first."""
        lines = self.canary.deployment.outcomes(self.since)
        return [line for line in lines if line.get("job_run_id") == self.run_id]

    def seconds_left(self) -> float:
        """Return the time until the deadline of all steps."""
        return max(self.deadline - time.monotonic(), 0.0)

    def wait_for_line(
        self,
        find: Callable[[Sequence[LogLine]], LogLine | None],
        otherwise: str,
        *,
        seconds: float = float("inf"),
    ) -> LogLine:
        """Read the run's outcomes until a line is found. Raise NotProvenError as `wait_for` does."""
        return self.wait_for(
            lambda: find(self.log()), otherwise, seconds=seconds, interval=self.pace.log_interval_seconds
        )

    def wait_for(
        self,
        read: Callable[[], T | None],
        otherwise: str,
        *,
        seconds: float = float("inf"),
        interval: float | None = None,
    ) -> T:
        """Read until the result is true. Raise NotProvenError after the seconds, or at the deadline."""
        interval = self.pace.interval_seconds if interval is None else interval
        began = time.monotonic()
        until = min(self.deadline, began + seconds)
        while not (result := read()):
            if (now := time.monotonic()) >= until:
                raise NotProvenError(f"{otherwise} after {now - began:.0f} s")
            time.sleep(min(interval, until - now))
        return result


@dataclass(frozen=True)
class _OutcomesOfReason:
    """The states of runs, and the outcomes of requests with one reason.

    Earlier requests for the same run, which IAM denied, also have final outcomes.
    """

    verification: Verification
    reason: str

    def states(self, runs: Sequence[JobRun]) -> Mapping[JobRun, str]:
        return self.verification.canary.deployment.states(runs)

    def outcomes(self, since: datetime) -> Sequence[LogLine]:
        lines = self.verification.canary.deployment.outcomes(since)
        return [line for line in lines if line.get("reason") == self.reason]
