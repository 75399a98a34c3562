"""Count the calls of a sweep, and compare them with the fewest possible and with other ways to find runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from math import inf
from multiprocessing import get_context
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Final
from unittest.mock import patch

from benchmarks.__main__ import main
from benchmarks.accounts import NOW, AccountGlue, ScheduledJob, generate
from benchmarks.memory import peak_bytes
from benchmarks.report import Report
from benchmarks.stopwatch import OTHER, Stopwatch
from benchmarks.sweep_calls import fewest_pages
from benchmarks.sweep_report import LARGEST, SIZES, TIMEOUT_SECONDS, Measured, report
from gluebrake import policies
from gluebrake.aws.call_budget import CallBudget
from gluebrake.aws.job_reader import JobReader, Pace
from gluebrake.handlers import sweep as handler
from gluebrake.handlers.sweep import SweepDependencies
from gluebrake.policies import POLICIES_FILE, DuePolicy, Policy, Trigger
from gluebrake.settings import environment
from gluebrake.sweeping import Sweep, sweep
from tests.support.builders import AWS_ENVIRONMENT, SETTINGS

SEED: Final = 20_261_126

_POLICIES: Final = (
    Policy(name="runaway", jobs=("*",), max_minutes=720, max_runs=10, reason="ran longer than 12 hours"),
    Policy(name="unusual", jobs=("*",), max_times_usual=5, max_runs=10, reason="ran five times longer"),
)
_QUEUES: Final = {f"{name}_queue_url": f"https://sqs.example/{name}" for name in ("stop", "dead_letter")}
_ENVIRON: Final[Mapping[str, str]] = {
    **environment({**SETTINGS, **_QUEUES, "signal_topics": {}}),
    "AWS_REGION": AWS_ENVIRONMENT.region,
    "AWS_DEFAULT_REGION": AWS_ENVIRONMENT.region,
    "AWS_ACCESS_KEY_ID": "benchmark",
    "AWS_SECRET_ACCESS_KEY": "benchmark",
}


@dataclass
class SimulatedClock:
    """A clock that only `sleep` advances, so that every call takes no time."""

    seconds: float = 0.0

    def sleep(self, seconds: float) -> None:
        """Advance the clock."""
        self.seconds += seconds

    def time(self) -> float:
        """Return the seconds since the start."""
        return self.seconds


def measure(jobs: Sequence[ScheduledJob], seconds: float = inf) -> Measured:
    """Sweep the jobs with the deployed pace, as an invocation that has so many seconds left."""
    glue, clock, stopwatch = AccountGlue(jobs), SimulatedClock(), Stopwatch()
    for name in ("list_jobs", "get_job_runs", "batch_get_jobs", "get_tags"):
        setattr(glue, name, stopwatch.timed("client", getattr(glue, name)))
    dependencies = _dependencies()
    reader = _reader(dependencies, glue, clock, seconds)
    stopwatch.lap()
    stopwatch.seconds.clear()
    swept = _sweep(dependencies, reader)
    stopwatch.lap()
    return Measured(
        calls=glue.calls,
        matched_jobs=frozenset(run.job_name for run in swept.conclusion.runs),
        not_read=frozenset(swept.jobs_not_read),
        cut_off=frozenset(job.name for job in jobs if glue.pages[job.name] < fewest_pages(job)),
        is_complete=swept.is_complete,
        simulated_seconds=clock.seconds,
        cpu_seconds=stopwatch.seconds[OTHER],
        peak_bytes=peak_bytes(),
    )


def _dependencies() -> SweepDependencies:
    """Build SWEEP's dependencies as its function does, so that its packages and clients take their memory."""
    with TemporaryDirectory() as package, patch.dict(os.environ, _ENVIRON):
        (Path(package) / POLICIES_FILE).write_bytes(policies.encode(_POLICIES))
        return handler.build_dependencies({**_ENVIRON, "LAMBDA_TASK_ROOT": package})


def _reader(
    dependencies: SweepDependencies, glue: AccountGlue, clock: SimulatedClock, seconds: float
) -> JobReader:
    """Replace the deployed reader's client and clock. The time that it keeps for the conclusion remains."""
    deployed = dependencies.make_reader(CallBudget(lambda: seconds - clock.seconds))
    client: Any = glue

    def simulated(pace: Pace) -> Pace:
        return replace(pace, sleep=clock.sleep, clock=clock.time)

    return replace(
        deployed,
        client=client,
        pace=simulated(deployed.pace),
        closing_pace=simulated(deployed.closing_pace),
    )


def _sweep(dependencies: SweepDependencies, reader: JobReader) -> Sweep:
    return sweep(
        [DuePolicy(policy, NOW, Trigger.SCHEDULE) for policy in dependencies.policies],
        reader,
        limits=dependencies.limits,
        ids_in_a_request=dependencies.ids_in_a_message,
        prices=dependencies.prices,
        # The seed of the account would put exactly the jobs with a stuck run last.
        shuffle=Random(SEED + 1).shuffle,  # noqa: S311 - not used for security
    )


def measure_account(jobs: int, seconds: float = inf) -> Measured:
    """Generate an account and sweep it."""
    return measure(generate(jobs, SEED), seconds)


def run(progress: Callable[[str], None]) -> Report:
    """Sweep accounts of all sizes, each in a new process."""
    sweeps: dict[int, Measured] = {}
    spawn = get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as pool:
        for size in SIZES:
            progress(f"{size:,} jobs")
            sweeps[size] = pool.submit(measure_account, size).result()
        progress(f"{LARGEST:,} jobs in {TIMEOUT_SECONDS:.0f} s")
        limited = pool.submit(measure_account, LARGEST, TIMEOUT_SECONDS).result()
    return report({size: generate(size, SEED) for size in SIZES}, sweeps, limited)


if __name__ == "__main__":
    sys.exit(main(["sweep"]))
