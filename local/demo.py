"""The demo: play the scenario of `local.scenario`, show it as it happens, and check every expectation."""

from __future__ import annotations

import contextlib
import json
import re
import statistics
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

from rich.live import Live
from rich.markup import escape
from rich.table import Table

from local import jobs, scenario
from local.aws import Aws
from local.deployment import deploy, log_group, synthesise
from local.display import Display, table
from local.emulator import Emulator, running

TIMEOUT_SECONDS: Final = 30.0
SOURCE: Final = "demo.guardrail"
STOP_REQUESTED: Final = "Glue Job Run Stop Requested"
SCHEDULED_TIME: Final = "<aws.scheduler.scheduled-time>"


@dataclass(frozen=True, slots=True)
class DemoDeployment:
    """The demo's deployment, and the ids of its runs."""

    emulator: Emulator
    outputs: Mapping[str, str]
    ids: scenario.Ids

    @property
    def aws(self) -> Aws:
        """The emulator's clients."""
        return self.emulator.aws

    def states(self) -> dict[str, Counter[str]]:
        """Count each job's runs by state."""
        answers = {name: self.aws.glue.get_job_runs(JobName=name) for name in scenario.RUNS}
        return {name: Counter(run["JobRunState"] for run in runs["JobRuns"]) for name, runs in answers.items()}

    def log(self) -> list[dict[str, Any]]:
        """Return the structured lines of the functions' logs."""
        return [json.loads(line) for line in self._lines() if line.startswith("{")]

    def plain_log(self) -> list[str]:
        """Return all other lines of the functions' logs, such as tracebacks."""
        return [line for line in self._lines() if not line.startswith("{")]

    def _lines(self) -> list[str]:
        functions = [name for output, name in self.outputs.items() if output.endswith("FunctionName")]
        filtered = self.aws.logs.get_paginator("filter_log_events")
        pages = [
            page for name in functions for page in filtered.paginate(logGroupName=log_group(self.aws, name))
        ]
        return [event["message"] for page in pages for event in page["events"]]

    def dead_letters(self) -> int:
        """Count the messages in the dead-letter queue."""
        answer = self.aws.sqs.get_queue_attributes(
            QueueUrl=self.outputs["DeadLetterQueueUrl"], AttributeNames=["ApproximateNumberOfMessages"]
        )
        return int(answer["Attributes"]["ApproximateNumberOfMessages"])


def demo(svg: Path | None = None) -> int:
    """Play the scenario, and write a picture of it to a file. Return 0 if everything is as expected, else 1."""
    began, display = time.monotonic(), Display()
    with contextlib.ExitStack() as stack:
        with display.step("Start the emulator"):
            # Otherwise SWEEP would wait 20 seconds for the schedules of other policies.
            emulator = stack.enter_context(running(GLUEBRAKE_LOCAL_WINDOW_SECONDS="1"))
        deployment = _set_up(emulator, display)
        with display.step("Send the requests"):
            display.table("Requests", ["by", "job", "ids", "case"], _send(deployment))
        with display.step("Wait for the runs to stop"):
            _watch(deployment, display)
        _show(deployment, display)
        if display.differences:
            display.console.print("The functions' logs:", *deployment.plain_log(), sep="\n", markup=False)
        ending = time.monotonic()
    display.steps["Clean up"] = time.monotonic() - ending
    exit_code = _conclude(display, time.monotonic() - began)
    if svg:
        display.draw(svg)
    return exit_code


def _set_up(emulator: Emulator, display: Display) -> DemoDeployment:
    config = emulator.directory / "demo.json"
    config.write_text(json.dumps(scenario.CONFIG))
    synthesis = synthesise(emulator, config)
    with display.step("Start the runs"):
        ids = _start_runs(emulator.aws)
    with display.step("Synthesise the stack"):
        assembly = synthesis.wait()
    with display.step("Deploy the stack"):
        outputs = deploy(emulator.aws, assembly)
    return DemoDeployment(emulator, outputs, ids)


def _start_runs(aws: Aws) -> scenario.Ids:
    for name in scenario.RUNS:
        jobs.create(aws, [name], tags=scenario.TAGS.get(name, jobs.NO_TAGS))
    ids: dict[tuple[str, scenario.RunLabel], str] = {("nightly-etl", scenario.UNKNOWN): scenario.UNKNOWN_ID}
    for name, count in scenario.RUNS.items():
        ids |= {(name, number): run_id for number, run_id in enumerate(jobs.start(aws, name, count))}
    for (name, label), arguments in scenario.SPECIAL_RUNS.items():
        (ids[name, label],) = jobs.start(aws, name, 1, arguments)
    return ids


def _send(deployment: DemoDeployment) -> Iterator[list[object]]:
    _send_as_scheduled(deployment)
    hours = scenario.POLICY["maxMinutes"] // 60
    yield ["schedule", *scenario.POLICY["jobs"], "", f"a policy: runs older than {hours} hours"]
    for request in scenario.REQUESTS:
        body = request.body(deployment.ids)
        if request.via == "queue":
            deployment.aws.sqs.send_message(QueueUrl=deployment.outputs["StopQueueUrl"], MessageBody=body)
        else:
            _put(deployment, body)
        yield [request.via, request.job, len(request.runs) or "", request.case]


def _send_as_scheduled(deployment: DemoDeployment) -> None:
    """Send what EventBridge Scheduler sends when the policy's schedule is due, without waiting for an hour."""
    (listed,) = deployment.aws.scheduler.list_schedules()["Schedules"]
    schedule = deployment.aws.scheduler.get_schedule(Name=listed["Name"], GroupName=listed["GroupName"])
    body = schedule["Target"]["Input"].replace(SCHEDULED_TIME, datetime.now(UTC).isoformat())
    deployment.aws.sqs.send_message(QueueUrl=deployment.outputs["SweepQueueUrl"], MessageBody=body)


def _put(deployment: DemoDeployment, detail: str) -> None:
    bus = deployment.outputs["EventBusName"]
    deployment.aws.events.put_events(
        Entries=[{"EventBusName": bus, "Source": SOURCE, "DetailType": STOP_REQUESTED, "Detail": detail}]
    )


def _watch(deployment: DemoDeployment, display: Display) -> None:
    """Show the states until everything is as expected, or for TIMEOUT_SECONDS."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    with Live(console=display.console, auto_refresh=False, transient=True) as live:
        while time.monotonic() < deadline:
            states = deployment.states()
            live.update(_states(states), refresh=True)
            if _is_complete(states, deployment):
                break
            time.sleep(0.2)
    display.show(_states(deployment.states()))


def _is_complete(states: Mapping[str, Counter[str]], deployment: DemoDeployment) -> bool:
    """Return whether everything is as expected. The log is read last, because it takes many calls."""
    return (
        _total(states) == scenario.STATES
        and deployment.dead_letters() == sum(scenario.DEAD_LETTERS.values())
        and _outcomes(deployment.log()) == scenario.OUTCOMES
    )


def _states(states: Mapping[str, Counter[str]]) -> Table:
    rows = [[name, *(counts[state] or "" for state in scenario.STATES)] for name, counts in states.items()]
    return table("Runs", ["job", *scenario.STATES], rows)


def _show(deployment: DemoDeployment, display: Display) -> None:
    log, calls, dead_letters = (
        deployment.log(),
        deployment.emulator.glue_calls("BatchStopJobRun"),
        _dead_letters(deployment),
    )
    display.compare("States of the runs", scenario.STATES, found=_total(deployment.states()))
    display.table("Found by the policy", ["job", "age", "max DPU-h", "stop"], _swept_runs(log))
    display.compare("Report of the policy", scenario.SWEEP, logged=_swept(log))
    display.compare("Outcomes", scenario.OUTCOMES, logged=_outcomes(log), metrics=_metrics(log))
    display.table("Stopped runs", ["", ""], _stop_metrics(log))
    display.table(
        "BatchStopJobRun calls", ["job", "ids"], [[call["JobName"], len(call["JobRunIds"])] for call in calls]
    )
    fewest = {"BatchStopJobRun": scenario.fewest_calls(deployment.ids)}
    display.compare("Number of calls, against the least possible", fewest, made={"BatchStopJobRun": len(calls)})
    display.table("Dead letters", ["error code", "error message", "message body"], dead_letters)
    display.compare(
        "Error codes of the dead letters",
        scenario.DEAD_LETTERS,
        found=Counter(code for code, _, _ in dead_letters),
    )


def _dead_letters(deployment: DemoDeployment) -> list[tuple[str, str, str]]:
    answer = deployment.aws.sqs.receive_message(
        QueueUrl=deployment.outputs["DeadLetterQueueUrl"], MaxNumberOfMessages=10, MessageAttributeNames=["All"]
    )
    return [
        (
            message["MessageAttributes"]["ERROR_CODE"]["StringValue"],
            _shorten_run_ids(message["MessageAttributes"]["ERROR_MESSAGE"]["StringValue"]),
            _shorten_run_ids(message["Body"]),
        )
        for message in answer.get("Messages", [])
    ]


def _shorten_run_ids(text: str) -> str:
    return escape(re.sub(r"(jr_.{8})[0-9a-f]{56}", r"\1…", text))


def _total(states: Mapping[str, Counter[str]]) -> Counter[str]:
    return sum(states.values(), Counter())


def _outcomes(log: list[dict[str, Any]]) -> Counter[str]:
    return Counter(
        line["outcome"] for line in log if line.get("outcome", scenario.UNCOUNTED) != scenario.UNCOUNTED
    )


def _metrics(log: list[dict[str, Any]]) -> Counter[str]:
    """Count the outcomes in the logs' embedded metrics, as CloudWatch does."""
    names = {*scenario.OUTCOMES, *_outcomes(log)}
    counts: Counter[str] = Counter()
    for line in log:
        if "_aws" in line:
            counts.update({name: int(sum(line[name])) for name in names & line.keys()})
    return counts


def _swept(log: list[dict[str, Any]]) -> dict[str, int]:
    """Return the counts of the policy's report, or nothing if it did not sweep."""
    reports = [line for line in log if line.get("message") == "SweepReport"]
    return {name: report[name] for report in reports for name in scenario.SWEEP}


def _swept_runs(log: list[dict[str, Any]]) -> Iterator[list[object]]:
    runs = [run for line in log for run in line.get("runs", [])]
    for run in sorted(runs, key=itemgetter("minutes")):
        stop = "requested" if run.get("stopRequested") else f"no: {run['notStopped']}"
        yield [run["jobName"], f"{run['minutes'] // 60:g} h", f"{run['dpuHoursAtMost']:.2f}", stop]


def _stop_metrics(log: list[dict[str, Any]]) -> list[list[str]]:
    """Summarise the embedded metrics of the stopped runs."""
    times = sorted(_values(log, "TimeToStop")) or [0.0]
    freed, consumed = sum(_values(log, "DpusReleased")), sum(_values(log, "DpuHoursConsumed"))
    spread = " / ".join(f"{seconds:.2f}" for seconds in (times[0], statistics.median(times), times[-1]))
    return [
        ["time to stop, in seconds: fastest / median / slowest", spread],
        ["DPUs released", f"{freed:g}"],
        ["DPU-hours consumed before they stopped", f"{consumed:.5f}"],
    ]


def _values(log: list[dict[str, Any]], metric: str) -> list[float]:
    return [value for line in log if "_aws" in line for value in line.get(metric, [])]


def _conclude(display: Display, seconds: float) -> int:
    rows = [[name, f"{taken:.1f}"] for name, taken in {**display.steps, "Total": seconds}.items()]
    display.table("Time", ["", "seconds"], rows)
    if display.differences:
        display.show("[bold red]Not as expected:[/] " + "; ".join(display.differences))
        return 1
    display.show("[bold green]Everything is as expected.[/]")
    return 0
