"""What the functions count and measure. The values of these enumerations are the metrics' names."""

from __future__ import annotations

from enum import StrEnum, unique
from typing import Final


@unique
class Count(StrEnum):
    """What an invocation counts besides outcomes; the value is the metric's name.

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
"""The counts that an alarm watches by themselves. It fires if they are missing."""


@unique
class Measure(StrEnum):
    """What is measured of a run; the value is the field's name in the log, and the metric's name.

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
    """What a stopped run could have cost besides, until its Timeout. Not to be summed: it may be retried."""
    DPU_HOURS_AT_MOST = "DpuHoursAtMost"
    """An upper bound of the DPU-hours that an active run has used."""
    ESTIMATED_COST_USD_AT_MOST = "EstimatedCostUsdAtMost"
    """The cost of DPU_HOURS_AT_MOST."""

    # That of Enum is written in Python, and each run that stops has a dictionary of measures.
    __hash__ = str.__hash__


METRICS_OF_STOPPED_RUNS: Final = (
    Measure.TIME_TO_STOP,
    Measure.DPUS_RELEASED,
    Measure.DPU_HOURS_CONSUMED,
    Measure.ESTIMATED_COST_USD,
)
"""The measures that are metrics as well, of runs that were stopped."""
