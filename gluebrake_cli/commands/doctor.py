"""`gluebrake doctor`: compare the deployed stack with its template, and print the commands that fix it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import typer

from gluebrake_cli import checks, output, tables
from gluebrake_cli.checks import CheckResult, Problem
from gluebrake_cli.errors import NOT_OK
from gluebrake_cli.facts import DeploymentFacts
from gluebrake_cli.options import AsJson, examples, find_deployment

if TYPE_CHECKING:
    from gluebrake_cli.stack import Deployment

EXAMPLES: Final = examples("gluebrake doctor", "gluebrake doctor --json")


def doctor(context: typer.Context, *, json: AsJson = False) -> None:
    """Check that the deployed stack is as its template has it. Changes nothing.

    Prints one line for each check and, for each problem, the command that fixes it. Exit code 1 means that
    something is wrong. A check that cannot be made is reported as not checked.
    """
    deployment = find_deployment(context)
    results = checks.examine(DeploymentFacts(deployment))
    wrong = [f"{result.name}: {problem.text}" for result in results for problem in result.problems]
    if json:
        shown = {"stack": deployment.stack, "checks": [_as_json(result, deployment) for result in results]}
        output.write_json(deployment.aws_environment, {**shown, "wrong": wrong})
    else:
        _print(results, deployment)
    raise typer.Exit(NOT_OK if wrong else 0)


def _print(results: Sequence[CheckResult], deployment: Deployment) -> None:
    output.show(f"{deployment.stack} {tables.place(deployment.aws_environment)}")
    for result in results:
        for text, fix in _lines(result, deployment):
            output.show_line(f"{result.state:<11}  {result.name}: {text}")
            if fix:
                output.show_line(f"    {fix}")
    counts = Counter(result.state for result in results)
    output.show(", ".join(f"{state}: {count}" for state, count in counts.items()))


def _lines(result: CheckResult, deployment: Deployment) -> Sequence[tuple[str, str]]:
    """Return what the check found, a text each, with the command that fixes it."""
    if result.state != "wrong":
        return [(result.text, "")]
    return [(problem.text, _fix(problem, deployment)) for problem in result.problems]


def _fix(problem: Problem, deployment: Deployment) -> str:
    return checks.command_line(problem.fix, deployment.aws_environment, deployment.profile)


def _as_json(result: CheckResult, deployment: Deployment) -> dict[str, Any]:
    problems = [{"text": problem.text, "fix": _fix(problem, deployment)} for problem in result.problems]
    return {"name": result.name, "state": result.state, "text": result.text, "problems": problems}
