"""An observation in which everything is as the demo's scenario expects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from local import scenario
from local.expectations import DEAD_LETTERS, OUTCOMES, SWEEP
from local.observation import DeadLetter, Observation

IDS: Final[scenario.Ids] = {
    ("nightly-etl", scenario.UNKNOWN): scenario.UNKNOWN_ID,
    **{(job, n): f"{job} {n}" for job, count in scenario.RUNS.items() for n in range(count)},
    **{(job, label): f"{job} {label}" for job, label in scenario.SPECIAL_RUNS},
}
RUNAWAY: Final = IDS["nightly-backfill", scenario.RUNAWAY]
PROTECTED: Final = IDS["nightly-audit", scenario.RUNAWAY]
STATES_OF_LABELS: Final = {scenario.NEVER_STOPS: "STOPPING", scenario.FINISHED: "SUCCEEDED"}


def observation() -> Observation:
    """Return the observation."""
    return Observation(
        _runs(), list(_log()), list(_calls()), [DeadLetter(code, "", "") for code in DEAD_LETTERS]
    )


def _stopped() -> list[tuple[str, str]]:
    requested = {
        (request.job, run_id)
        for request in scenario.REQUESTS
        if not request.not_stopped
        for run_id in request.run_ids(IDS)
    }
    return [*sorted(requested), ("nightly-backfill", RUNAWAY)]


def _runs() -> dict[str, dict[str, str]]:
    stopped = _stopped()
    runs: dict[str, dict[str, str]] = {job: {} for job in scenario.RUNS}
    for (job, label), run_id in IDS.items():
        if label != scenario.UNKNOWN:
            state = STATES_OF_LABELS.get(str(label), "RUNNING")
            runs[job][run_id] = "STOPPED" if (job, run_id) in stopped else state
    return runs


def _log() -> Iterator[Mapping[str, Any]]:
    for job, run_id in _stopped():
        measures = {
            "DpusReleased": scenario.WORKERS[job],
            "TimeToStop": 0.5,
            "DpuHoursConsumed": 1.0,
            "EstimatedCostUsd": 0.44,
        }
        yield _line("Stopped", job, "STOPPED") | {"job_run_id": run_id} | measures
    for request in scenario.REQUESTS:
        if request.not_stopped:
            yield _line(request.not_stopped, request.job, STATES_OF_LABELS.get(str([*request.runs, ""][0]), ""))
    yield from [_line("StopSubmitted", "nightly-etl", "")] * OUTCOMES["StopSubmitted"]
    yield _line("Retrying", "nightly-etl", "")
    yield _line("Swept", "", "")
    yield {"message": "SweepReport", **SWEEP}
    yield {"message": "SweepRuns", "runs": _swept_runs()}
    yield {"_aws": {}, **{name: [1] * count for name, count in OUTCOMES.items()}}


def _line(outcome: str, job: str, state: str) -> dict[str, Any]:
    message = "the body: is not JSON (invalid character (byte 0))" if outcome == "InvalidRequest" else ""
    return {"outcome": outcome, "job_name": job, "state": state, "error_message": message}


def _swept_runs() -> list[Mapping[str, Any]]:
    hours = {("nightly-audit", PROTECTED): 20, ("nightly-backfill", RUNAWAY): 13}
    return [
        {
            "jobName": job,
            "jobRunId": run_id,
            "minutes": 60 * age + 0.01,
            "dpuHoursAtMost": 10 * age,
            "estimatedCostUsdAtMost": 4.4 * age,
            **({"notStopped": "Protected"} if run_id == PROTECTED else {"stopRequested": True}),
        }
        for (job, run_id), age in hours.items()
    ]


def _calls() -> Iterator[Mapping[str, Any]]:
    """Return the calls: the runs of a job in calls of 25, the sweep's call, and a retry that stops nothing."""
    for job in ("nightly-etl", "hourly-report", "ad-hoc", "nightly-backfill"):
        run_ids = [run_id for name, run_id in _stopped() if name == job]
        for start in range(0, len(run_ids), 25):
            yield {"JobName": job, "JobRunIds": run_ids[start : start + 25]}
    yield {"JobName": "nightly-etl", "JobRunIds": [scenario.UNKNOWN_ID]}
