"""A stop request sent, and its runs followed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol, TypeVar

from msgspec import UNSET

from gluebrake.contract import StopRequest
from gluebrake.decisions import selection
from gluebrake.model import ActiveRuns, JobRun, Message, ParsedRequest, RunFacts
from gluebrake_cli.errors import OperatorError, explained
from gluebrake_cli.following import Followed, Line, followed

T = TypeVar("T")


class Source(Protocol):
    """Where runs are looked for and at."""

    def active_runs(self, job_name: str, now: datetime) -> Sequence[RunFacts]:
        """Return the job's active runs."""

    def states(self, runs: Sequence[JobRun]) -> Mapping[JobRun, str]:
        """Read the states of runs of one job, those that can be had."""

    def outcomes(self, since: datetime) -> Sequence[Line]:
        """Return the log's outcomes, oldest first."""


class PollOptions(NamedTuple):
    """How long runs are followed, and how often they are looked at, in seconds."""

    timeout: float
    every: float


def meant(source: Source, request: StopRequest, now: datetime) -> list[JobRun]:
    """Return the runs that a request means: those it names, or those that its selection finds now."""
    run_ids = request.job_run_ids or ()
    if request.select is not UNSET:
        runs = tuple(source.active_runs(request.job_name, now))
        asked = ParsedRequest(Message("", "", now, ""), request)
        run_ids = selection.selected(asked, ActiveRuns(request.job_name, complete=True, runs=runs)).run_ids
    return [JobRun(request.job_name, run_id) for run_id in run_ids]


def follow(  # noqa: PLR0913 - how long and how often, by name
    source: Source,
    runs: Sequence[JobRun],
    message_id: str | None,
    *,
    since: datetime,
    patience: PollOptions,
    say: Callable[[str], None],
) -> Iterator[list[Followed]]:
    """Yield how far the runs have come, look by look, until all are over or the time is.

    One of the two sources is enough; `say` hears once of each trouble with the other. Raises OperatorError when
    neither can be read.
    """
    deadline = time.monotonic() + patience.timeout
    states: dict[JobRun, str] = {}
    said: set[str] = set()
    told = followed(runs, states, (), message_id)
    while True:
        waiting = [run for run, one in zip(runs, told, strict=True) if not one.is_over]
        troubles: list[str] = []
        states |= _attempt(lambda: source.states(waiting), troubles) or {}  # noqa: B023 - called at once
        log = _attempt(lambda: source.outcomes(since), troubles) or ()
        if len(troubles) > 1:
            raise OperatorError(f"the request was sent, but its runs cannot be followed: {'; '.join(troubles)}")
        for trouble in set(troubles) - said:
            say(f"Half of what tells of the runs cannot be read: {trouble}")
        said.update(troubles)
        told = followed(runs, states, log, message_id)
        yield told
        if all(one.is_over for one in told) or time.monotonic() >= deadline:
            return
        time.sleep(patience.every)


def _attempt(read: Callable[[], T], troubles: list[str]) -> T | None:
    try:
        return read()
    except Exception as error:
        text = explained(error)
        if text is None:
            raise
        troubles.append(text)
        return None
