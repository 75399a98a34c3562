"""The demo: play the scenario of `local.scenario` in three scenes, and check every expectation."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from rich.text import Text

from local import details, expectations, jobs, scenario, scenes
from local.aws import Aws
from local.demo_stack import DemoStack
from local.deployment import deploy, synthesise
from local.display import Display, Update
from local.emulator import Emulator, running
from local.expectations import Comparison
from local.observation import Observation

TIMEOUT_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.2


def demo(svg: Path | None = None, *, verbose: bool = False) -> int:
    """Play the scenario. Return 0 and write the picture if everything is as expected, else return 1."""
    display = Display()
    with contextlib.ExitStack() as stack:
        with display.step("Start the emulator"):
            # Otherwise SWEEP would wait 20 seconds for the schedules of other policies.
            emulator = stack.enter_context(running(GLUEBRAKE_LOCAL_WINDOW_SECONDS="1"))
        demo_stack = _set_up(emulator, display)
        observed = _play(demo_stack, display)
        compared = expectations.comparisons(observed, demo_stack.ids)
        exit_code = conclude(observed, compared, display, verbose=verbose)
    if svg and not exit_code:
        display.draw(svg)
    return exit_code


def _set_up(emulator: Emulator, display: Display) -> DemoStack:
    config = emulator.directory / "demo.json"
    config.write_text(json.dumps(scenario.CONFIG))
    synthesis = synthesise(emulator, config)
    with display.step("Start the runs"):
        ids = _start_runs(emulator.aws)
    step = display.step("Synthesise the stack, the first time")
    with contextlib.nullcontext() if synthesis.is_done else step:
        assembly = synthesis.wait()
    with display.step("Deploy the stack"):
        outputs = deploy(emulator.aws, assembly)
    return DemoStack(emulator, outputs, ids)


def _start_runs(aws: Aws) -> scenario.Ids:
    for name, workers in scenario.WORKERS.items():
        jobs.create_spark(aws, name, workers=workers, tags=scenario.TAGS.get(name, jobs.NO_TAGS))
    ids: dict[tuple[str, scenario.RunLabel], str] = {("nightly-etl", scenario.UNKNOWN): scenario.UNKNOWN_ID}
    for name, count in scenario.RUNS.items():
        ids |= {(name, number): run_id for number, run_id in enumerate(jobs.start(aws, name, count))}
    for (name, label), arguments in scenario.SPECIAL_RUNS.items():
        (ids[name, label],) = jobs.start(aws, name, 1, arguments)
    return ids


def _play(stack: DemoStack, display: Display) -> Observation:
    """Play the three scenes, and return what was observed at the end."""
    display.show(scenes.introduction())
    _storm(stack, display)
    _runaway(stack, display)
    return _not_stopped(stack, display)


def _storm(stack: DemoStack, display: Display) -> None:
    display.show(scenes.heading(1, scenes.STORM), scenes.messages())
    with display.step("Send the requests", scenes.INDENT):
        for request in scenario.REQUESTS:
            stack.send(request)
        # The next scene's schedule is due now, so that SWEEP's cold start happens during this scene.
        stack.send_as_scheduled()
    with display.step("Glue stops the runs", scenes.INDENT) as update:
        _wait(lambda: _storm_is_over(stack, update))
    observed = stack.observe()
    display.show(scenes.fleet(observed.runs), scenes.storm(observed, stack.ids))


def _storm_is_over(stack: DemoStack, update: Update) -> bool:
    runs = stack.runs()
    update(scenes.fleet(runs))
    states = [state for job in scenes.STORM_JOBS for state in runs[job].values()]
    return states.count("STOPPED") >= expectations.STOPPED_BY_REQUESTS


def _runaway(stack: DemoStack, display: Display) -> None:
    display.show(scenes.heading(2, scenes.RUNAWAY), scenes.policy())
    job, run_id = "nightly-backfill", stack.ids["nightly-backfill", scenario.RUNAWAY]
    with display.step("SWEEP applies the policy", scenes.INDENT):
        _wait(lambda: stack.runs()[job][run_id] == "STOPPED")
    display.show(scenes.swept(stack.observe()))


def _not_stopped(stack: DemoStack, display: Display) -> Observation:
    display.show(scenes.heading(3, scenes.NOT_STOPPED))
    with display.step("CONFIRM waits for each run to stop, or gives up", scenes.INDENT):
        _wait(lambda: _is_complete(stack))
    observed = stack.observe(stack.dead_letters())
    display.show(scenes.not_stopped(observed), scenes.dead_letters(observed))
    return observed


def _is_complete(stack: DemoStack) -> bool:
    """Return whether everything that is expected has occurred. The log is read last: it takes many calls."""
    return (
        stack.count_dead_letters() == sum(expectations.DEAD_LETTERS.values())
        and (observed := stack.observe()).states == expectations.STATES
        and observed.outcomes == expectations.OUTCOMES
    )


def _wait(is_over: Callable[[], bool]) -> None:
    """Poll until a condition holds, for at most TIMEOUT_SECONDS. The expectations show what is missing."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not is_over() and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def conclude(observed: Observation, compared: list[Comparison], display: Display, *, verbose: bool) -> int:
    """Show the figures or, if results differ from the expected ones, all details. Return the exit code."""
    differences = expectations.differences(compared)
    if verbose or differences:
        details.show(observed, compared, display)
    if differences:
        display.show(Text(f"Not as expected: {'; '.join(differences)}", style="bold red"))
        return 1
    display.show(scenes.headline(observed), scenes.checks(compared), scenes.next_steps())
    return 0
