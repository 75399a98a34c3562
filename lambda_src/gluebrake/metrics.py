"""The counts and measures of the functions. The values of these enumerations are the metrics' names."""

from __future__ import annotations

from enum import StrEnum, unique
from typing import Final


@unique
class Count(StrEnum):
    """A count of an invocation that is not an outcome. The value is the metric's name.

    The value of a problem is also the message of its log line.
    """

    RUNS_REQUESTED = "RunsRequested"
    DUPLICATE_RUNS = "DuplicateRuns"
    STOP_CALLS = "StopCalls"
    STATE_READS = "StateReads"
    UNEXPECTED_ERRORS = "UnexpectedErrors"
    OUTCOME_EVENTS_LOST = "OutcomeEventsLost"
    NOTICES_LOST = "NoticesLost"
    SWEEPS_COMPLETED = "SweepsCompleted"
    SWEEP_INCOMPLETE = "SweepIncomplete"
    POLICY_OVER_CAP = "PolicyOverCap"
    RUNS_MATCHED = "RunsMatched"
    STOPS_REQUESTED = "StopsRequested"


WATCHED: Final = frozenset({Count.SWEEPS_COMPLETED})
"""The counts with an alarm of their own, which fires if the count is missing."""


@unique
class Measure(StrEnum):
    """A measure of a run. The value is the name of the log field and of the metric.

    Dollars are US dollars, and estimates by the configured prices.
    """

    TIME_TO_STOP = "TimeToStop"
    """Seconds from submission to Glue's CompletedOn."""
    DPUS_RELEASED = "DpusReleased"
    """Data processing units that the run had allocated."""
    DPU_HOURS_CONSUMED = "DpuHoursConsumed"
    """DPU-hours that a run used until it ended."""
    ESTIMATED_COST_USD = "EstimatedCostUsd"
    """The cost of these DPU-hours."""
    FURTHER_COST_USD_AT_MOST = "FurtherCostUsdAtMost"
    """The most that a stopped run could still have cost until its Timeout. Sums would count retries twice."""
    DPU_HOURS_AT_MOST = "DpuHoursAtMost"
    """An upper bound of the DPU-hours that an active run has used."""
    ESTIMATED_COST_USD_AT_MOST = "EstimatedCostUsdAtMost"
    """The cost of DPU_HOURS_AT_MOST."""

    # Enum.__hash__ is written in Python, and each run that stops has a dictionary of measures.
    __hash__ = str.__hash__


METRICS_OF_STOPPED_RUNS: Final = (
    Measure.TIME_TO_STOP,
    Measure.DPUS_RELEASED,
    Measure.DPU_HOURS_CONSUMED,
    Measure.ESTIMATED_COST_USD,
)
"""The measures of stopped runs that are also metrics."""
