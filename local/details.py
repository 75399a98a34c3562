"""The demo's details: tables of requests, observations and expectations, for `--verbose` or a difference."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping

from rich.markup import escape

from local import scenario
from local.display import Display
from local.expectations import STATES, Comparison
from local.observation import Observation


def show(observed: Observation, compared: list[Comparison], display: Display) -> None:
    """Show the details of all scenes, then each expectation next to the observed counts."""
    display.table("Requests", ["by", "job", "ids", "case"], _requests())
    display.table("Runs", ["job", *STATES], _states(observed.runs))
    display.table("Found by the policy", ["job", "age", "max DPU-h", "stop"], _swept_runs(observed))
    display.table("Stopped runs", ["", ""], _measures(observed))
    display.table("BatchStopJobRun calls", ["job", "ids"], _calls(observed))
    display.table("Dead letters", ["error code", "error message", "message body"], _dead_letters(observed))
    for comparison in compared:
        display.compare(comparison)
    display.table("Time", ["", "seconds"], _times(display.steps))
    if observed.plain_log:
        display.console.print("The functions' logs:", *observed.plain_log, sep="\n", markup=False)


def _requests() -> Iterator[list[object]]:
    hours = scenario.POLICY["maxMinutes"] // 60
    yield ["schedule", *scenario.POLICY["jobs"], "", f"a policy: runs older than {hours} hours"]
    for request in scenario.REQUESTS:
        yield [request.via, request.job, len(request.runs) or "", request.case]


def _states(runs: Mapping[str, Mapping[str, str]]) -> Iterator[list[object]]:
    for job, states in runs.items():
        numbers = Counter(states.values())
        yield [job, *(numbers[state] or "" for state in STATES)]


def _swept_runs(observed: Observation) -> Iterator[list[object]]:
    for run in observed.swept_runs:
        stop = "requested" if run.get("stopRequested") else f"no: {run['notStopped']}"
        yield [run["jobName"], f"{run['minutes'] // 60:g} h", f"{run['dpuHoursAtMost']:.2f}", stop]


def _measures(observed: Observation) -> Iterator[list[object]]:
    times = sorted(line["TimeToStop"] for line in observed.stopped) or [0.0]
    spread = " / ".join(f"{seconds:.2f}" for seconds in (times[0], statistics.median(times), times[-1]))
    yield ["time to stop, in seconds: fastest / median / slowest", spread]
    yield ["DPU-hours consumed before they stopped", f"{observed.total('DpuHoursConsumed'):.2f}"]
    yield ["estimated cost of these DPU-hours, in US dollars", f"{observed.total('EstimatedCostUsd'):.2f}"]


def _calls(observed: Observation) -> Iterator[list[object]]:
    for call in observed.calls:
        yield [call["JobName"], len(call["JobRunIds"])]


def _dead_letters(observed: Observation) -> Iterator[list[object]]:
    for letter in observed.dead_letters:
        yield [letter.error_code, _shorten_run_ids(letter.error_message), _shorten_run_ids(letter.body)]


def _shorten_run_ids(text: str) -> str:
    return escape(re.sub(r"(jr_.{8})[0-9a-f]{56}", r"\1…", text))


def _times(steps: Mapping[str, float]) -> Iterator[list[object]]:
    for name, seconds in {**steps, "Total": sum(steps.values())}.items():
        yield [name, f"{seconds:.1f}"]
