"""The usage of a run and its estimated cost, by Glue's fields and the configured prices.

Values that Glue does not report are left out, never guessed. Glue's minimum charge of one minute is ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from gluebrake.decisions import readable
from gluebrake.decisions.dpu_usage import dpu_hours, dpus
from gluebrake.metrics import Measure
from gluebrake.model import RunFacts, RunResult
from gluebrake.prices import Prices

_MEMORY_OPTIMIZED: Final = "R."
_HOUR: Final = 3600
_MILLION: Final = 1_000_000

_Values = tuple[tuple[Measure, float | None], ...]


def with_cost(result: RunResult, prices: Prices, now: datetime) -> RunResult:
    """Add the usage of the run to a final result, as far as Glue reported the run."""
    if result.run is None or not result.outcome.is_final:
        return result
    return replace(result, measures={**result.measures, **measures(result.run, prices, now)})


def measures(run: RunFacts, prices: Prices, now: datetime) -> dict[Measure, float]:
    """Return the usage of a run: the total if the run is over, an upper bound if the run is active."""
    values = _of_ended(run, prices) if run.is_over else _of_active(run, prices, now)
    return {measure: _to_millionths(value) for measure, value in values if value is not None}


def _to_millionths(value: float) -> float:
    # `round` with a number of digits takes several times as long.
    return round(value * _MILLION) / _MILLION


def price(run: RunFacts, prices: Prices) -> float | None:
    """Return the price of a DPU-hour of the run, None if no price is configured."""
    if run.worker_type.startswith(_MEMORY_OPTIMIZED):
        return prices.memory_optimized
    return prices.flex if run.execution_class == "FLEX" else prices.standard


def dpu_hours_at_most(run: RunFacts, now: datetime) -> float | None:
    """Return an upper bound of the DPU-hours that an active run has used at `now`.

    Waiting, auto scaling and the flexible execution class make it larger than the usage that Glue bills.
    """
    allocated = dpus(run)
    if run.started_on is None or allocated is None:
        return None
    return max(0.0, (now - run.started_on).total_seconds()) * allocated / _HOUR


def cost(hours: float | None, of_run: float | None) -> float | None:
    """Return the cost of DPU-hours at the price of the run, None if hours or price are unknown."""
    return None if hours is None or of_run is None else hours * of_run


def in_words(values: Mapping[Measure, float | None]) -> str:
    """Return a run's usage and estimated cost in words, empty if nothing is known."""
    used, at_most = values.get(Measure.DPU_HOURS_CONSUMED), values.get(Measure.DPU_HOURS_AT_MOST)
    if used is not None:
        usd = values.get(Measure.ESTIMATED_COST_USD)
        return f"{readable.number(used)} DPU-hours" + (f", {readable.about(usd)}" if usd is not None else "")
    if at_most is not None:
        usd = values.get(Measure.ESTIMATED_COST_USD_AT_MOST)
        cost_at_most = f" and {readable.about(usd)}" if usd is not None else ""
        return f"{readable.at_most(at_most)} DPU-hours{cost_at_most}"
    return ""


def _of_ended(run: RunFacts, prices: Prices) -> _Values:
    hours, of_run = dpu_hours(run), price(run, prices)
    return (
        (Measure.DPU_HOURS_CONSUMED, hours),
        (Measure.ESTIMATED_COST_USD, cost(hours, of_run)),
        (Measure.FURTHER_COST_USD_AT_MOST, cost(_dpu_hours_left(run), of_run)),
    )


def _dpu_hours_left(run: RunFacts) -> float | None:
    """Return the most DPU-hours that a stopped run could still have used until its Timeout."""
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
