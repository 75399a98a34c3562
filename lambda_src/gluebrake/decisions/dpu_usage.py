"""The data processing units (DPUs) that a run had, and the DPU-hours that it used, by Glue's fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gluebrake.model import RunFacts

# https://docs.aws.amazon.com/glue/latest/webapi/API_JobRun.html, WorkerType: the DPUs of one worker.
DPUS_BY_WORKER_TYPE: Final[Mapping[str, float]] = {
    "G.025X": 0.25,
    "G.1X": 1,
    "G.2X": 2,
    "G.4X": 4,
    "G.8X": 8,
    "G.12X": 12,
    "G.16X": 16,
    "R.1X": 1,
    "R.2X": 2,
    "R.4X": 4,
    "R.8X": 8,
    "Z.2X": 2,
}


def dpus(run: RunFacts) -> float | None:
    """Return the DPUs that the run had, None if Glue does not report enough."""
    if not run.worker_type or run.worker_type == "Standard":
        return run.max_capacity
    dpus_of_worker = DPUS_BY_WORKER_TYPE.get(run.worker_type)
    return dpus_of_worker * run.number_of_workers if dpus_of_worker and run.number_of_workers else None


def dpu_hours(run: RunFacts) -> float | None:
    """Return the DPU-hours that the run used: Glue's DPUSeconds if reported, else time multiplied by DPUs."""
    if run.dpu_seconds is not None:
        return run.dpu_seconds / 3600
    allocated = dpus(run)
    return run.execution_seconds * allocated / 3600 if allocated is not None else None
