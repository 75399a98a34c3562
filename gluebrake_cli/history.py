"""The history of stops: the outcome of each run, who requested the stop, and the usage of stopped runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, Final

import msgspec
from msgspec import Struct

from gluebrake.grouping import grouped
from gluebrake.metrics import Measure
from gluebrake.model import JobRun
from gluebrake.outcomes import Outcome
from gluebrake_cli.history_lines import Line, Requester

_SUMMED: Final = (Measure.DPU_HOURS_CONSUMED, Measure.ESTIMATED_COST_USD)
"""The measures with a meaningful sum. The avoided further cost of a run and of its retry could be the same."""

_RESENT: Final = frozenset({Outcome.RETRYING, Outcome.DEFERRED})


class Step(Struct, frozen=True):
    """The log lines of a run with the same outcome and the same origin, oldest first."""

    lines: Sequence[Line]

    @property
    def last(self) -> Line:
        """The newest line."""
        return self.lines[-1]


class Repeats(Struct, frozen=True, kw_only=True):
    """The reasons why a run has several log lines.

    The log does not distinguish a redrive of a dead letter from a new request with the same text: both count as
    `requests_after_failure`.
    """

    redeliveries: int
    retries: int
    polls: int
    requests_after_failure: int

    @classmethod
    def count(cls, lines: Sequence[Line]) -> Repeats:
        """Count the repeats in the log lines of a run, which are oldest first."""
        failures = [at for at, line in enumerate(lines) if line.ends and line.outcome.is_failure]
        return cls(
            redeliveries=sum(line.will_redeliver for line in lines),
            retries=sum(line.outcome in _RESENT for line in lines),
            polls=sum(line.outcome is Outcome.NOT_YET_CONFIRMED for line in lines),
            requests_after_failure=sum(at < len(lines) - 1 for at in failures),
        )


class RunHistory(Struct, frozen=True, kw_only=True):
    """The history of a run or, without a run id, of the requests for a job that matched no run."""

    run: JobRun
    decisive: Line
    """The line that says how the run ended or, if it has not ended, the newest line."""
    steps: Sequence[Step]
    """The steps in the order of their first lines."""
    repeats: Repeats

    @property
    def is_stopped(self) -> bool:
        """Whether a stop request stopped the run."""
        return self.decisive.outcome is Outcome.STOPPED


class StoppedTotal(Struct, frozen=True, kw_only=True):
    """The total usage of stopped runs. `unknown` counts the runs for which AWS Glue does not report enough."""

    runs: int
    measures: Mapping[Measure, float]
    unknown: Mapping[Measure, int]


def runs(lines: Iterable[Line]) -> list[RunHistory]:
    """Return the history of each run, in the order of the decisive lines, newest first."""
    oldest_first = sorted(lines, key=attrgetter("timestamp"))
    of_runs = grouped(oldest_first, lambda line: JobRun(line.job_name, line.job_run_id))
    found = [_history(run, of_run) for run, of_run in of_runs.items()]
    return sorted(found, key=lambda history: history.decisive.timestamp, reverse=True)


def _history(run: JobRun, lines: Sequence[Line]) -> RunHistory:
    steps = grouped(lines, lambda line: (line.outcome, line.dry_run, line.requester.origin))
    return RunHistory(
        run=run,
        decisive=_decisive(lines),
        steps=[Step(of_step) for of_step in steps.values()],
        repeats=Repeats.count(lines),
    )


def _decisive(lines: Sequence[Line]) -> Line:
    """Return the line that says how a run ended: the line with the outcome Stopped, else the last line."""
    if stopped := [line for line in lines if line.ends and line.outcome is Outcome.STOPPED]:
        # Each request for the run ends with Stopped. The first submitted request has stopped the run.
        submitted = [line.requester.origin for line in lines if line.outcome is Outcome.STOP_SUBMITTED]
        by_request = {line.requester.origin: line for line in reversed(stopped)}
        return next((by_request[origin] for origin in submitted if origin in by_request), stopped[0])
    ended = [line for line in lines if line.ends]
    real = [line for line in lines if not line.dry_run]
    return (ended or real or lines)[-1]


def total(histories: Iterable[RunHistory]) -> StoppedTotal:
    """Return the total usage of the stopped runs. Each run counts once."""
    used = [history.decisive.measures for history in histories if history.is_stopped]
    return StoppedTotal(
        runs=len(used),
        measures={
            measure: sum(each[measure] for each in used if measure in each)
            for measure in _SUMMED
            if any(measure in each for each in used)
        },
        unknown={
            measure: unknown for measure in _SUMMED if (unknown := sum(measure not in each for each in used))
        },
    )


def as_json(history: RunHistory, sweep_sender_ids: frozenset[str]) -> dict[str, Any]:
    """Return the members of a run in the JSON output."""
    line = history.decisive
    return {
        "job_name": history.run.job_name,
        "job_run_id": history.run.run_id,
        **_line_as_json(line),
        **_request_as_json(line.requester, sweep_sender_ids),
        "measures": line.measures,
        "steps": [_step_as_json(step, sweep_sender_ids) for step in history.steps],
        "repeats": msgspec.structs.asdict(history.repeats),
    }


def _step_as_json(step: Step, sweep_sender_ids: frozenset[str]) -> dict[str, Any]:
    first: datetime = step.lines[0].timestamp
    return {
        "first": first,
        **_line_as_json(step.last),
        "lines": len(step.lines),
        "redelivered": sum(line.will_redeliver for line in step.lines),
        **_request_as_json(step.last.requester, sweep_sender_ids),
    }


def _line_as_json(line: Line) -> dict[str, Any]:
    names = ("timestamp", "outcome", "dry_run", "state", "error_code", "error_message", "attempt")
    return {name: getattr(line, name) for name in names}


def _request_as_json(requester: Requester, sweep_sender_ids: frozenset[str]) -> dict[str, Any]:
    """Return who requested the stop: the facts, and the claims of the request."""
    policy = requester.policy(sweep_sender_ids)
    texts = {"via": requester.via, "requested_by": requester.requested_by}
    given = {name: text for name, text in texts.items() if text}
    return {
        "facts": {"sender": requester.sender, **({"policy": policy, **given} if policy else {})},
        "claims": {} if policy else given,
        "reason": requester.reason,
    }
