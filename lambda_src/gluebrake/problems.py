"""The problems that alarms count: each problem of the functions, in three classes by the action to take."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum, unique
from typing import Final

from gluebrake.metrics import Count
from gluebrake.outcomes import Outcome

ALL_FUNCTIONS: Final = "gluebrake"
"""The `service` of these metrics. One metric for all functions costs less than a metric for each function."""


@unique
class Problem(StrEnum):
    """A class of problems. The value is the name of its metric, and of its alarm."""

    RUNS_NOT_STOPPED = "RunsNotStopped"
    """Runs that are still running, although a stop request or a guardrail policy should stop them."""
    REQUESTS_REFUSED = "RequestsRefused"
    """Requests that their senders must correct."""
    MALFUNCTIONS = "Malfunctions"
    """Gluebrake's own tasks that failed, completely or in part."""


KINDS: Final[Mapping[Problem, tuple[Outcome | Count, ...]]] = {
    Problem.RUNS_NOT_STOPPED: (
        Outcome.FAILED,
        Outcome.STOP_TIMED_OUT,
        Outcome.UNCONFIRMED,
        Count.POLICY_OVER_CAP,
    ),
    Problem.REQUESTS_REFUSED: (
        Outcome.INVALID_REQUEST,
        Outcome.TOO_MANY_RUNS,
        Outcome.NOT_ALLOWED,
        Outcome.NOT_FOUND,
    ),
    Problem.MALFUNCTIONS: (
        Count.UNEXPECTED_ERRORS,
        Count.OUTCOME_EVENTS_LOST,
        Count.NOTICES_LOST,
        Count.SWEEP_INCOMPLETE,
        Outcome.SWEEP_LATE,
    ),
}
"""The outcomes and counts in each class. Each has a log line of level WARNING or ERROR."""

PROBLEM_OF: Final[Mapping[str, Problem]] = {kind: problem for problem, kinds in KINDS.items() for kind in kinds}
"""The class of each kind of problem."""
