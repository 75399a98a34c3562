"""The demonstration: the story of `local.story` told as it happens, each expectation checked."""

from __future__ import annotations

import contextlib
import io
import json
import re
import statistics
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from local import jobs, scenario
from local.aws import Aws
from local.deployment import deploy, log_group, synthesise
from local.emulator import Emulator, running

PATIENCE_SECONDS: Final = 30.0
SOURCE: Final = "demo.guardrail"
STOP_REQUESTED: Final = "Glue Job Run Stop Requested"
PICTURED: Final = frozenset({"What is asked", "The runs", "The outcomes"})
"""The tables that stand in the picture as well: they say what the story is, and are the same each time."""

WIDTH: Final = 74

PICTURE: Final = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="The demo">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; }}
.{unique_id}-title {{ font-family: system-ui, "DejaVu Sans", sans-serif; font-size: 18px; font-weight: bold; }}
{styles}
</style>
{chrome}
<g class="{unique_id}-matrix" transform="translate({terminal_x}, {terminal_y})">{matrix}</g>
</svg>
"""
"""Rich's own format fetches a font from the web, and clips each piece of text."""


@dataclass(frozen=True, slots=True)
class Telling:
    """What the audience sees: tables, the time that each stage took, and what was not as expected."""

    console: Console = field(default_factory=Console)
    picture: Console = field(default_factory=lambda: Console(record=True, width=WIDTH, file=io.StringIO()))
    stages: dict[str, float] = field(default_factory=dict)
    surprises: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage of the story."""
        began = time.monotonic()
        self.console.print(f"[dim]{name} …[/]")
        yield
        self.stages[name] = time.monotonic() - began

    def table(self, title: str, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
        """Show a table."""
        self.show(_table(title, columns, rows))

    def show(self, shown: Table | str) -> None:
        """Show a table, in the picture too if it is one of those; or a last word."""
        self.console.print(shown)
        if isinstance(shown, str) or shown.title in PICTURED:
            self.picture.print(shown)

    def draw(self, file: Path) -> None:
        """Write the picture."""
        svg = self.picture.export_svg(title="make demo", code_format=PICTURE, unique_id="demo")
        file.write_text(re.sub(r' clip-path="[^"]*"', "", svg))

    def compare(self, title: str, expected: Mapping[str, int], **found: Mapping[str, int]) -> None:
        """Show counts beside the expected ones, and note where they differ."""
        names = dict.fromkeys(name for counts in (expected, *found.values()) for name in counts)
        rows = {name: [counts.get(name, 0) for counts in (expected, *found.values())] for name in names}
        wrong = {name for name, counts in rows.items() if len(set(counts)) > 1}
        self.surprises.extend(f"{title}: {name}" for name in rows if name in wrong)
        marked = [
            [name, *counts, "[red]no[/]" if name in wrong else "[green]yes[/]"] for name, counts in rows.items()
        ]
        self.table(title, ["", "expected", *found, "as expected"], marked)


@dataclass(frozen=True, slots=True)
class Scene:
    """The deployment that the story plays in, and its runs."""

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
        """Return the structured lines that the functions have logged."""
        return [json.loads(line) for line in self._lines() if line.startswith("{")]

    def plain_log(self) -> list[str]:
        """Return what stands between those lines: tracebacks, for one."""
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
    """Tell the story, and draw it into a file; return 0 when everything became what it had to, else 1."""
    began, telling = time.monotonic(), Telling()
    with contextlib.ExitStack() as stack:
        with telling.stage("The emulator starts"):
            emulator = stack.enter_context(running())
        scene = _set_up(emulator, telling)
        with telling.stage("The requests are sent"):
            telling.table("What is asked", ["by", "job", "ids", "it shows"], _send(scene))
        with telling.stage("The runs stop"):
            _watch(scene, telling)
        _show(scene, telling)
        if telling.surprises:
            telling.console.print("The functions' log:", *scene.plain_log(), sep="\n", markup=False)
        ending = time.monotonic()
    telling.stages["Everything ends"] = time.monotonic() - ending
    exit_code = _conclude(telling, time.monotonic() - began)
    if svg:
        telling.draw(svg)
    return exit_code


def _set_up(emulator: Emulator, telling: Telling) -> Scene:
    config = emulator.directory / "demo.json"
    config.write_text(json.dumps(scenario.CONFIG))
    synthesis = synthesise(emulator, config)
    with telling.stage("The runs start"):
        ids = _start_runs(emulator.aws)
    with telling.stage("The stack is synthesised"):
        assembly = synthesis.wait()
    with telling.stage("The stack is deployed"):
        outputs = deploy(emulator.aws, assembly)
    return Scene(emulator, outputs, ids)


def _start_runs(aws: Aws) -> scenario.Ids:
    jobs.create(aws, scenario.RUNS)
    ids: dict[tuple[str, scenario.Label], str] = {("nightly-etl", scenario.UNKNOWN): scenario.UNKNOWN_ID}
    for name, count in scenario.RUNS.items():
        ids |= {(name, number): run_id for number, run_id in enumerate(jobs.start(aws, name, count))}
    for (name, label), arguments in scenario.SPECIAL_RUNS.items():
        (ids[name, label],) = jobs.start(aws, name, 1, arguments)
    return ids


def _send(scene: Scene) -> Iterator[list[object]]:
    for request in scenario.REQUESTS:
        body = request.body(scene.ids)
        if request.via == "queue":
            scene.aws.sqs.send_message(QueueUrl=scene.outputs["StopQueueUrl"], MessageBody=body)
        else:
            _put(scene, body)
        yield [request.via, request.job, len(request.runs) or "", request.shows]


def _put(scene: Scene, detail: str) -> None:
    bus = scene.outputs["EventBusName"]
    scene.aws.events.put_events(
        Entries=[{"EventBusName": bus, "Source": SOURCE, "DetailType": STOP_REQUESTED, "Detail": detail}]
    )


def _watch(scene: Scene, telling: Telling) -> None:
    """Show the states until everything is as expected and at rest, or for as long as patience lasts."""
    wanted = (scenario.STATES, scenario.OUTCOMES, sum(scenario.DEAD_LETTERS.values()))
    deadline = time.monotonic() + PATIENCE_SECONDS
    with Live(console=telling.console, auto_refresh=False, transient=True) as live:
        while time.monotonic() < deadline:
            states = scene.states()
            live.update(_states(states), refresh=True)
            if (_total(states), _outcomes(scene.log()), scene.dead_letters()) == wanted:
                break
            time.sleep(0.2)
    telling.show(_states(scene.states()))


def _states(states: Mapping[str, Counter[str]]) -> Table:
    rows = [[name, *(counts[state] or "" for state in scenario.STATES)] for name, counts in states.items()]
    return _table("The runs", ["job", *scenario.STATES], rows)


def _show(scene: Scene, telling: Telling) -> None:
    log, calls, letters = scene.log(), scene.emulator.glue_calls("BatchStopJobRun"), _dead_letters(scene)
    telling.compare("The states of the runs", scenario.STATES, found=_total(scene.states()))
    telling.compare("The outcomes", scenario.OUTCOMES, logged=_outcomes(log), metrics=_metrics(log))
    telling.table("The runs that stopped", ["", ""], _measured(log))
    telling.table("The calls", ["job", "ids"], [[call["JobName"], len(call["JobRunIds"])] for call in calls])
    fewest = {"BatchStopJobRun": scenario.fewest_calls(scene.ids)}
    telling.compare("The calls against the fewest possible", fewest, made={"BatchStopJobRun": len(calls)})
    telling.table("The dead letters", ["reason", "in words", "message"], letters)
    telling.compare("Their reasons", scenario.DEAD_LETTERS, found=Counter(reason for reason, _, _ in letters))


def _dead_letters(scene: Scene) -> list[tuple[str, str, str]]:
    answer = scene.aws.sqs.receive_message(
        QueueUrl=scene.outputs["DeadLetterQueueUrl"], MaxNumberOfMessages=10, MessageAttributeNames=["All"]
    )
    return [
        (
            letter["MessageAttributes"]["ERROR_CODE"]["StringValue"],
            _readable(letter["MessageAttributes"]["ERROR_MESSAGE"]["StringValue"]),
            _readable(letter["Body"]),
        )
        for letter in answer.get("Messages", [])
    ]


def _readable(text: str) -> str:
    return escape(re.sub(r"(jr_.{8})[0-9a-f]{56}", r"\1…", text))


def _total(states: Mapping[str, Counter[str]]) -> Counter[str]:
    return sum(states.values(), Counter())


def _outcomes(log: list[dict[str, Any]]) -> Counter[str]:
    return Counter(
        line["outcome"] for line in log if line.get("outcome", scenario.UNCOUNTED) != scenario.UNCOUNTED
    )


def _metrics(log: list[dict[str, Any]]) -> Counter[str]:
    """Add up the outcomes in the log's embedded metrics, as CloudWatch would."""
    names = {*scenario.OUTCOMES, *_outcomes(log)}
    counts: Counter[str] = Counter()
    for line in log:
        if "_aws" in line:
            counts.update({name: int(sum(line[name])) for name in names & line.keys()})
    return counts


def _measured(log: list[dict[str, Any]]) -> list[list[str]]:
    """Sum up what the embedded metrics say of the runs that stopped."""
    times = sorted(_values(log, "TimeToStop")) or [0.0]
    freed, consumed = sum(_values(log, "DpusReleased")), sum(_values(log, "DpuHoursConsumed"))
    spread = " / ".join(f"{seconds:.2f}" for seconds in (times[0], statistics.median(times), times[-1]))
    return [
        ["time to stop, in seconds: fastest / median / slowest", spread],
        ["DPUs released", f"{freed:g}"],
        ["DPU-hours consumed until then", f"{consumed:.5f}"],
    ]


def _values(log: list[dict[str, Any]], metric: str) -> list[float]:
    return [value for line in log if "_aws" in line for value in line.get(metric, [])]


def _conclude(telling: Telling, seconds: float) -> int:
    rows = [[name, f"{taken:.1f}"] for name, taken in {**telling.stages, "In all": seconds}.items()]
    telling.table("The time it took", ["", "seconds"], rows)
    if telling.surprises:
        telling.show("[bold red]Not as expected:[/] " + "; ".join(telling.surprises))
        return 1
    telling.show("[bold green]Everything became what it had to.[/]")
    return 0


def _table(title: str, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold cyan", box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(str, row))
    return table
