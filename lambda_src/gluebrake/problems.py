"""What alarms count: all that the functions know to be wrong, in three numbers by what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum, unique
from typing import Final

from gluebrake.metrics import Count
from gluebrake.outcomes import Outcome

ALL_FUNCTIONS: Final = "gluebrake"
"""The `service` of these numbers. One metric for all functions costs less than a metric for each."""


@unique
class Problem(StrEnum):
    """A class of problems; the value is the name of its metric, and of its alarm."""

    RUNS_NOT_STOPPED = "RunsNotStopped"
    """Runs that are still running, though a stop request or a guardrail policy means them."""
    REQUESTS_REFUSED = "RequestsRefused"
    """Requests that their senders must correct."""
    MALFUNCTIONS = "Malfunctions"
    """Work of Gluebrake's own that was not done, or not completely."""


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
"""The outcomes and counts that make up each number. Each has a log line of level WARNING or ERROR."""

PROBLEM_OF: Final[Mapping[str, Problem]] = {kind: problem for problem, kinds in KINDS.items() for kind in kinds}
"""The class of each kind of problem."""
