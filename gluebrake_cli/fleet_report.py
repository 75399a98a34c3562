"""The result of a command that reads one deployment, or the deployments of several environments at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import typer
from rich.console import Group as Lines
from rich.console import RenderableType
from rich.text import Text

from gluebrake.environments import Environment
from gluebrake.model import AwsEnvironment
from gluebrake_cli import fleet, output, tables
from gluebrake_cli.errors import NOT_OK
from gluebrake_cli.fleet import Found, Result
from gluebrake_cli.options import find_deployment, selection
from gluebrake_cli.records import Records
from gluebrake_cli.tables import counted, printable

if TYPE_CHECKING:
    from gluebrake_cli.stack import Deployment

T = TypeVar("T")

_COLUMNS = ("environment", "account", "Region", "result")
_NOT_READ = "not read"


@dataclass(frozen=True, kw_only=True)
class View(Generic[T]):
    """The functions that show a command's result, for a single deployment or one of several environments."""

    members: Callable[[Deployment, T], Mapping[str, Any]]
    """Returns the members of the JSON output."""
    screen: Callable[[Deployment, T], RenderableType]
    """Returns the screen of a single deployment."""
    problems: Callable[[T], Sequence[str]]
    """Returns the problems, one text each. With a problem, the exit code is 1."""
    line: Callable[[T], str]
    """Returns the result of an environment in a few words."""
    details: Callable[[Deployment, T], Sequence[RenderableType]]
    """Returns more about an environment, including its problems. Empty if the line is enough."""
    sums: Callable[[Sequence[T]], Iterable[str]]
    """Returns the sums of all environments that were read, one line each."""
    busy: str = ""
    """The text that is shown while a single deployment is read."""


class Row(NamedTuple):
    """The texts about an environment: its result in a line, and details, or only problems without details."""

    environment: Environment
    line: str
    details: Sequence[RenderableType] = ()
    problems: Sequence[str] = ()


def report(context: typer.Context, read: Callable[[Deployment], T], view: View[T], *, json: bool) -> None:
    """Read the selected deployments, and show the result. Exit with the code of the worst environment."""
    selected = selection(context)
    if selected.has_several:
        results = fleet.read(selected.sites(), lambda deployment, _: read(deployment))
        _show_several(results, view, json=json)
        raise typer.Exit(NOT_OK if any(_problems(result, view) for result in results) else 0)
    deployment = find_deployment(context)
    with output.stderr.status(view.busy) if view.busy else nullcontext():
        value = read(deployment)
    if json:
        members = {**selected.label, **view.members(deployment, value)}
        output.write_json(deployment.aws_environment, members)
    else:
        output.show(view.screen(deployment, value))
    raise typer.Exit(NOT_OK if view.problems(value) else 0)


def _show_several(results: Sequence[Result[Found[T]]], view: View[T], *, json: bool) -> None:
    if json:
        write_json([(result, _members(result, view), _problems(result, view)) for result in results])
        return
    read = [result.value.value for result in results if result.value]
    wrong = sum(bool(_problems(result, view)) for result in results if result.value)
    sums = [verdict(results, wrong), *(view.sums(read) if read else ())]
    output.show(screen([_row(result, view) for result in results], sums))


def _row(result: Result[Found[T]], view: View[T]) -> Row:
    """Return the texts about an environment."""
    if not result.value:
        return Row(result.environment, _NOT_READ, problems=[result.error])
    details = view.details(*result.value)
    problems = [] if details else view.problems(result.value.value)
    return Row(result.environment, view.line(result.value.value), details, problems)


def _problems(result: Result[Found[T]], view: View[T]) -> Sequence[str]:
    return view.problems(result.value.value) if result.value else [result.error]


def _members(result: Result[Found[T]], view: View[T]) -> Mapping[str, Any]:
    return view.members(*result.value) if result.value else {}


def screen(rows: Sequence[Row], sums: Iterable[str]) -> RenderableType:
    """Return the details of the environments, then a line for each environment, the problems, and the sums."""
    details = [part for row in rows if row.details for part in (*_heading(row), *row.details, Text())]
    cells = [
        [Text(each.name, style="bold"), Text(each.account), Text(each.region), Text(printable(row.line))]
        for row in rows
        for each in (row.environment,)
    ]
    problems = [
        Text(f"! {row.environment.name}: {printable(problem)}", style="red")
        for row in rows
        for problem in row.problems
    ]
    return Lines(*details, Records(_COLUMNS, cells), *problems, Text(), *map(Text, map(printable, sums)))


def _heading(row: Row) -> list[RenderableType]:
    environment = row.environment
    place = tables.place(AwsEnvironment(environment.account, environment.region))
    return [Text(f"{environment.name} {place}", style="bold")]


def verdict(results: Sequence[Result[Any]], wrong: int) -> str:
    """Return how many environments were read, how many of them have problems, and how many were not read."""
    failed = sum(result.value is None for result in results)
    well = len(results) - failed - wrong
    counts = {"without problems": well, "with problems": wrong, "not read": failed}
    texts = [f"{number} {words}" for words, number in counts.items() if number]
    return f"{counted(len(results), 'environment')}: {', '.join(texts)}."


def write_json(
    objects: Iterable[tuple[Result[Any], Mapping[str, Any], Sequence[str]]], wrong: Sequence[str] = ()
) -> None:
    """Write a JSON object for each environment, and the problems of all environments as texts."""
    found = [*objects]
    environments = [
        {
            "environment": result.environment.name,
            "account": result.environment.account,
            "region": result.environment.region,
            "error": result.error or None,
            **members,
        }
        for result, members, _ in found
    ]
    texts = [f"{result.environment.name}: {problem}" for result, _, problems in found for problem in problems]
    typer.echo(output.as_json({"environments": environments, "wrong": [*wrong, *texts]}))
