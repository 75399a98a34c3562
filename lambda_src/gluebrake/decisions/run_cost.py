"""What a run used and about how much it cost, by Glue's own fields and the configured prices.

What Glue does not report is left out, never guessed. Glue bills at least one minute, which is not counted here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from gluebrake.decisions.dpu_usage import dpu_hours, dpus
from gluebrake.decisions.readable import about, number
from gluebrake.metrics import Measure
from gluebrake.model import RunFacts, RunResult
from gluebrake.prices import Prices

_MEMORY_OPTIMIZED: Final = "R."
_HOUR: Final = 3600
_MILLION: Final = 1_000_000

_Values = tuple[tuple[Measure, float | None], ...]


def with_cost(result: RunResult, prices: Prices, now: datetime) -> RunResult:
    """Add to a final result what its run used, as far as Glue reported the run."""
    if result.run is None or not result.outcome.is_final:
        return result
    return replace(result, measures={**result.measures, **measures(result.run, prices, now)})


def measures(run: RunFacts, prices: Prices, now: datetime) -> dict[Measure, float]:
    """Measure what a run used: as a sum if it is over, as an upper bound if it is active."""
    values = _of_ended(run, prices) if run.is_over else _of_active(run, prices, now)
    return {measure: _to_millionths(value) for measure, value in values if value is not None}


def _to_millionths(value: float) -> float:
    # `round` with a number of digits takes several times as long.
    return round(value * _MILLION) / _MILLION


def price(run: RunFacts, prices: Prices) -> float | None:
    """Return the price of a DPU-hour of the run, None without a configured one."""
    if run.worker_type.startswith(_MEMORY_OPTIMIZED):
        return prices.memory_optimized
    return prices.flex if run.execution_class == "FLEX" else prices.standard


def dpu_hours_at_most(run: RunFacts, now: datetime) -> float | None:
    """Return an upper bound of the DPU-hours that an active run has used at `now`.

    Waiting, auto scaling and the flexible execution class make it larger than what Glue bills.
    """
    allocated = dpus(run)
    if run.started_on is None or allocated is None:
        return None
    return max(0.0, (now - run.started_on).total_seconds()) * allocated / _HOUR


def cost(hours: float | None, of_run: float | None) -> float | None:
    """Return the cost of DPU-hours by the price of a run, None if either is unknown."""
    return None if hours is None or of_run is None else hours * of_run


def in_words(values: Mapping[Measure, float | None]) -> str:
    """Return a run's usage and estimated cost for people, empty where nothing is known."""
    used, at_most = values.get(Measure.DPU_HOURS_CONSUMED), values.get(Measure.DPU_HOURS_AT_MOST)
    if used is not None:
        usd = values.get(Measure.ESTIMATED_COST_USD)
        return f"{number(used)} DPU-hours" + (f", {about(usd)}" if usd is not None else "")
    if at_most is not None:
        usd = values.get(Measure.ESTIMATED_COST_USD_AT_MOST)
        return f"at most {number(at_most)} DPU-hours" + (f" and {about(usd)}" if usd is not None else "")
    return ""


def _of_ended(run: RunFacts, prices: Prices) -> _Values:
    hours, of_run = dpu_hours(run), price(run, prices)
    return (
        (Measure.DPU_HOURS_CONSUMED, hours),
        (Measure.ESTIMATED_COST_USD, cost(hours, of_run)),
        (Measure.FURTHER_COST_USD_AT_MOST, cost(_dpu_hours_left(run), of_run)),
    )


def _dpu_hours_left(run: RunFacts) -> float | None:
    """Return the DPU-hours that a stopped run could have used until its Timeout, at most."""
    if run.state != "STOPPED" or not run.timeout_minutes:
        return None
    allocated = dpus(run)
    if allocated is None:
        return None
    return max(0.0, run.timeout_minutes * 60 - run.execution_seconds) * allocated / _HOUR


def _of_active(run: RunFacts, prices: Prices, now: datetime) -> _Values:
    hours = dpu_hours_at_most(run, now)
    return (
        (Measure.DPU_HOURS_AT_MOST, hours),
        (Measure.ESTIMATED_COST_USD_AT_MOST, cost(hours, price(run, prices))),
    )
