"""`gluebrake doctor`: compare the deployed stack with its template, and print the commands that fix it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import typer
from rich.console import Group as Lines
from rich.console import RenderableType

from gluebrake_cli import checks, shell, tables
from gluebrake_cli.checks import CheckResult
from gluebrake_cli.command_help import Help
from gluebrake_cli.facts import DeploymentFacts
from gluebrake_cli.fleet_report import View, report
from gluebrake_cli.options import AsJson
from gluebrake_cli.shell import Command

if TYPE_CHECKING:
    from gluebrake_cli.stack import Deployment

HELP: Final = Help(
    examples={
        "gluebrake doctor": "Is the stack as it was deployed? If not, which command fixes it?",
        "gluebrake doctor --json": "For a script.",
        "gluebrake --environment all doctor": "Count the checks of each environment, and show the problems.",
    },
    exit_codes={0: "no check found a problem", 1: "something is wrong, or an error"},
)


def doctor(context: typer.Context, *, json: AsJson = False) -> None:
    """Check that the deployed stack is as its template has it. Changes nothing.

    Prints one line for each check and, for each problem, the command that fixes it. A check that cannot be
    made is reported as not checked.
    """
    view = View(
        members=_members,
        screen=_screen,
        problems=_problems,
        line=_counts,
        details=_details,
        sums=lambda found: [_counts([result for results in found for result in results])],
    )
    report(context, lambda deployment: checks.examine(DeploymentFacts(deployment)), view, json=json)


def _problems(results: Sequence[CheckResult]) -> list[str]:
    return [f"{result.name}: {problem.text}" for result in results for problem in result.problems]


def _screen(deployment: Deployment, results: Sequence[CheckResult]) -> RenderableType:
    place = tables.place(deployment.aws_environment)
    return Lines(f"{deployment.stack} {place}", *_lines(deployment, results), _counts(results))


def _details(deployment: Deployment, results: Sequence[CheckResult]) -> list[RenderableType]:
    """Return the checks that found a fault or were not made."""
    return [*_lines(deployment, [result for result in results if result.state != "right"])]


def _lines(deployment: Deployment, results: Iterable[CheckResult]) -> Iterator[RenderableType]:
    """Yield a line for each check, and below each problem the command that fixes it."""
    for result in results:
        for text, fix in _texts(result, deployment):
            yield tables.unfolded(f"{result.state:<11}  {result.name}: {text}")
            if fix:
                yield tables.unfolded(f"    {fix}")


def _counts(results: Sequence[CheckResult]) -> str:
    """Return the number of checks in each state. A check can find several problems."""
    counts = Counter(result.state for result in results)
    problems = sum(len(result.problems) for result in results)
    found = {"wrong": f" ({tables.counted(problems, 'problem')})"}
    states = (f"{count} {state}{found.get(state, '')}" for state, count in counts.items())
    return f"{tables.counted(len(results), 'check')}: {', '.join(states)}"


def _texts(result: CheckResult, deployment: Deployment) -> Sequence[tuple[str, str]]:
    """Return the problems that the check found, each with the command that fixes it."""
    if result.state != "wrong":
        return [(result.text, "")]
    return [(problem.text, _fix(problem.fix, deployment)) for problem in result.problems]


def _fix(command: Command, deployment: Deployment) -> str:
    """Return the command. A deployment without the options of the last one would change the configuration."""
    prefix = "with your configuration: " if command[0] == "make" else ""
    return prefix + shell.command_line(command, deployment)


def _members(deployment: Deployment, results: Sequence[CheckResult]) -> dict[str, Any]:
    shown = [_as_json(result, deployment) for result in results]
    return {"stack": deployment.stack, "checks": shown, "wrong": _problems(results)}


def _as_json(result: CheckResult, deployment: Deployment) -> dict[str, Any]:
    problems = [
        {"text": problem.text, "fix": shell.command_line(problem.fix, deployment)}
        for problem in result.problems
    ]
    return {"name": result.name, "state": result.state, "text": result.text, "problems": problems}
