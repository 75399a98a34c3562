"""The text of the demo's scenes: each is derived from the scenario and from what was observed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from gluebrake.decisions.readable import count
from gluebrake.outcomes import Outcome
from gluebrake.prices import Prices
from local import scenario
from local.expectations import Comparison
from local.observation import LogLine, Observation, label

STORM: Final = "A storm of requests"
RUNAWAY: Final = "A runaway that no request names"
NOT_STOPPED: Final = "What was not stopped, and why"

STORM_JOBS: Final = ("nightly-etl", "hourly-report", "ad-hoc")
"""The jobs whose runs the requests stop."""

INDENT: Final = 3
JOB_WIDTH: Final = 17
PRICE: Final = Prices().standard or 0.0
"""What a DPU-hour costs in US dollars, because the scenario configures no other price."""

WAYS: Final[Mapping[scenario.Way, str]] = {
    "queue": "on the queue",
    "bus": "on the bus",
    "alarm": "from an alarm",
    "topic": "on the topic",
}


class Square(NamedTuple):
    """The square of a run, with the colour of its state, and a character for output without colours."""

    character: str
    style: str


SQUARES: Final[Mapping[str, Square]] = {
    "STOPPED": Square("■", "green"),
    "STOPPING": Square("▣", "yellow"),
    "RUNNING": Square("□", "bright_white"),
}

EXPLANATIONS: Final[Mapping[Outcome, tuple[str, str]]] = {
    Outcome.PROTECTED: ("in protectedJobs", "nothing"),
    Outcome.NOT_ALLOWED: ("matches none of jobs", "add it, redrive"),
    Outcome.ALREADY_FINISHED: ("had ended: {state}", "nothing"),
    Outcome.NOT_FOUND: ("Glue knows no such run", "fix the run id"),
    Outcome.STOP_TIMED_OUT: ("still {state} after {deadline} s", "redrive it"),
    Outcome.WOULD_STOP: ("a dry run stops nothing", "unset DryRun"),
    Outcome.INVALID_REQUEST: ("{detail}", "fix the sender"),
}
"""Why a request with this outcome stopped nothing, and what to do about it."""


def introduction() -> Text:
    """Return the location of the demo, and the number of its runs."""
    runs = sum(scenario.RUNS.values()) + len(scenario.SPECIAL_RUNS)
    return Text(f"Gluebrake on an emulator of AWS: {runs} runs of {len(scenario.RUNS)} Glue jobs.")


def heading(number: int, title: str) -> Text:
    """Return the title of a scene, after an empty line."""
    return Text(f"\n{number}  {title}", style="bold cyan")


def messages() -> Padding:
    """Return how many messages are sent, and in which ways."""
    sent = Counter(request.via for request in scenario.REQUESTS)
    ways = ", ".join(f"{sent[via]} {place}" for via, place in WAYS.items())
    return _line(f"{count(len(scenario.REQUESTS), 'message')}: {ways}")


def fleet(runs: Mapping[str, Mapping[str, str]]) -> Padding:
    """Return a square for each run of the jobs of the storm, and the number of runs in each state."""
    return _rows([job, _squares(runs[job].values()), _counts(runs[job].values())] for job in STORM_JOBS)


def storm(observed: Observation, ids: scenario.Ids) -> Padding:
    """Return how often the messages name a run, how many runs were stopped, and by how many calls."""
    named = [run_id for request in scenario.REQUESTS for run_id in request.run_ids(ids)]
    stopped = sum(Counter(observed.runs[job].values())["STOPPED"] for job in STORM_JOBS)
    calls = sum(call["JobName"] in STORM_JOBS for call in observed.calls_that_stopped)
    return _line(
        f"They name {len(set(named))} runs {len(named)} times. "
        f"{count(calls, 'call')} of BatchStopJobRun stopped {stopped} runs."
    )


def policy() -> Padding:
    """Return the condition of the policy."""
    name, hours = scenario.POLICY["name"], scenario.POLICY["maxMinutes"] // 60
    return _line(f'Policy "{name}": each hour, stop each run that is older than {hours} hours')


def swept(observed: Observation) -> Padding:
    """Return the runs that the policy matched, with their age, their cost, and whether they are stopped."""
    return _rows(_swept_row(run, observed) for run in observed.swept_runs)


def _swept_row(run: Mapping[str, Any], observed: Observation) -> list[str | Text]:
    runs = observed.runs[run["jobName"]]
    age, cost = f"{run['minutes'] // 60:.0f} h", f"cost ≤ ${run['estimatedCostUsdAtMost']:,.0f}"
    verdict = _verdict(run, runs[run["jobRunId"]])
    return [run["jobName"], _squares(runs.values()), age, cost, verdict]


def _verdict(run: Mapping[str, Any], state: str) -> Text:
    """Return whether a matched run is stopped, and why."""
    if state == "STOPPED":
        return Text.assemble(("stopped", "green"), f": {scenario.POLICY['reason']}")
    refusal = run.get("notStopped", state)
    reason = "has the protect tag" if refusal == Outcome.PROTECTED else refusal
    return Text.assemble(("not stopped", "bold"), f": {reason}")


def not_stopped(observed: Observation) -> Padding:
    """Return a line for each request that stopped nothing: the job, the outcome, the reason and what to do."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="underline")
    for column in ("job", "outcome", "why", "what to do"):
        table.add_column(column)
    for line in observed.not_stopped:
        name = label(line) if line["job_name"] else f'"{label(line)}"'
        why, remedy = explanation(line)
        table.add_row(name, Text(line["outcome"], style="bold"), why, remedy)
    return _indented(table)


def explanation(line: LogLine) -> tuple[str, str]:
    """Return why a request stopped nothing, and what to do about it."""
    why, remedy = EXPLANATIONS[Outcome(line["outcome"])]
    # The text in brackets is the JSON parser's message, which the story leaves out.
    detail = line["error_message"].partition(" (")[0].replace(": ", " ")
    deadline = scenario.CONFIG["confirmDeadlineSeconds"]
    return why.format(state=line["state"], deadline=deadline, detail=detail), remedy


def dead_letters(observed: Observation) -> Padding:
    """Return how many requests are dead letters, and the command that shows them."""
    number = count(len(observed.dead_letters), "dead letter")
    return _line(f"{number} keep these reasons: see `gluebrake dead-letters`.")


def headline(observed: Observation) -> Text:
    """Return the figures of all scenes."""
    dpus, calls = observed.total("DpusReleased"), len(observed.calls_that_stopped)
    saved = f"{dpus:,.0f} DPUs released, about ${dpus * PRICE:,.0f} an hour"
    stopped = f"{count(observed.states['STOPPED'], 'run')} stopped in {count(calls, 'call')}"
    rest = f"{count(len(observed.not_stopped), 'request')} stopped nothing, each for the reason above."
    return Text(f"\n{stopped}: {saved}.\n{rest}", style="bold green")


def checks(compared: Sequence[Comparison]) -> Text:
    """Return how many figures were compared with the expected figures, and how to see them."""
    number = sum(len(comparison.rows) for comparison in compared)
    return Text(f"All {number} figures are as expected: `make demo DEMO_OPTIONS=--verbose` shows them.\n")


def next_steps() -> Group:
    """Return what to try next."""
    steps = {
        "make local": "run this emulator until Ctrl-C",
        'eval "$(.venv/bin/gluebrake env --local)"': "use it, in another terminal",
        "docs/emulator.md": "what to do there",
    }
    return Group(Text("What to try next", style="bold cyan"), _rows(steps.items()))


def _rows(rows: Iterable[Iterable[str | Text]]) -> Padding:
    """Return rows in columns that begin at the same positions in each scene that shows jobs."""
    table = Table.grid(Column(min_width=JOB_WIDTH), padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(*row)
    return _indented(table)


def _line(text: str) -> Padding:
    return _indented(Text(text))


def _indented(content: RenderableType) -> Padding:
    """Indent by padding. Some viewers of the picture do not show spaces at the beginning of a text."""
    return Padding.indent(content, INDENT)


def _squares(states: Iterable[str]) -> Text:
    """Return a square for each run that was active, the stopped ones first."""
    numbers = Counter(states)
    return Text.assemble(
        *((square.character * numbers[state], square.style) for state, square in SQUARES.items())
    )


def _counts(states: Iterable[str]) -> str:
    numbers = Counter(states)
    return ", ".join(f"{numbers[state]} {state.lower()}" for state in SQUARES if numbers[state])
