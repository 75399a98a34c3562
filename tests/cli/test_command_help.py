"""The help of every command can be read at once, at any width, and its examples can be run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import typer
from typer.testing import CliRunner

from gluebrake_cli import emulators
from gluebrake_cli.app import app
from gluebrake_cli.command_help import OTHER, Help
from gluebrake_cli.errors import OperatorError

WIDTHS: Final = (80, 100, 120)
PANEL: Final = re.compile(r"╭─ (.*?) ─")


def _walk(command: Any, *names: str) -> Iterator[tuple[str, ...]]:
    """Yield the names of a command and, under it, of each command of a group."""
    yield names
    for name, each in getattr(command, "commands", {}).items():
        yield from _walk(each, *names, name)


ROOT: Final[Any] = typer.main.get_command(app)
COMMANDS: Final = list(_walk(ROOT))
each_command = pytest.mark.parametrize("names", COMMANDS, ids=" ".join)


def _command(names: tuple[str, ...]) -> Any:
    command = ROOT
    for name in names:
        command = command.commands[name]
    return command


@pytest.fixture
def shown(names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> dict[int, str]:
    """Return what `--help` writes into a pipe, by the width of the terminal."""
    # In GitHub Actions, Typer writes colours into a pipe.
    monkeypatch.setattr("typer.rich_utils.FORCE_TERMINAL", None)
    return {width: _help(names, width) for width in WIDTHS}


@cache
def _help(names: tuple[str, ...], width: int) -> str:
    result = CliRunner().invoke(app, [*names, "--help"], env={"COLUMNS": str(width)}, color=True)
    assert result.exit_code == 0
    return result.stdout


def _invocation(example: str) -> list[str]:
    """Return the arguments of `gluebrake` in a command line, which may evaluate its output."""
    found = re.search(r"\$\(gluebrake (.*?)\)|^gluebrake(?: (.*))?$", example)
    return shlex.split(found[1] or found[2] or "") if found else []


@each_command
def test_help_names_values_by_their_meaning(shown: dict[int, str]) -> None:
    """No type of Python is shown, and no bracket around what must be given."""
    for text in shown.values():
        assert not re.search(r"<\w|[{}]", text)


@each_command
def test_each_parameter_is_explained(names: tuple[str, ...]) -> None:
    """An option that takes a value has a name for it, in upper case."""
    for parameter in _command(names).params:
        assert parameter.help, parameter.name
        if not getattr(parameter, "is_flag", False):
            assert re.fullmatch(r"[A-Z_]+(=[A-Z]+)?", parameter.metavar or ""), parameter.name


@each_command
def test_examples_follow_the_summary(shown: dict[int, str]) -> None:
    """They are before the explanation and the options. Each has a comment above it."""
    for text in shown.values():
        usage, summary, examples, *_ = re.split(r"\n(?: *\n)+", text.strip())
        assert usage.startswith("Usage: gluebrake")
        assert not PANEL.search(summary)
        heading, *lines = (line.strip() for line in examples.splitlines())
        assert heading == "Examples:"
        assert lines
        assert all(line.startswith("# ") for line in lines[::2])
        assert all("gluebrake" in line or "$STOP_QUEUE_URL" in line for line in lines[1::2])


@each_command
def test_help_is_legible_at_each_width(names: tuple[str, ...], shown: dict[int, str]) -> None:
    """A piped help has no colours, no line is too long, and no example or exit code is wrapped."""
    command = _command(names)
    examples = re.findall(r"\[not dim\](  \S.*)\[/\]", command.help)
    codes = re.findall(r"\[not dim\](  \d.*)\[/\]", command.epilog)
    assert examples
    assert codes
    for width, text in shown.items():
        assert "\x1b" not in text
        lines = [line.rstrip() for line in text.splitlines()]
        assert max(map(len, lines)) <= width
        assert {f" {line}" for line in [*examples, *codes]} <= set(lines)


@each_command
def test_help_has_the_exit_codes_at_its_end(shown: dict[int, str]) -> None:
    """A script needs them, with those that all commands have."""
    for text in shown.values():
        heading, *lines = (line.strip() for line in text.rpartition("Exit codes:")[2].splitlines())
        assert heading == ""
        codes = [line.split()[0] for line in lines if line]
        assert {"0", "1", "2", "130"} <= set(codes)
        assert codes == sorted(codes, key=int)


@each_command
def test_each_example_is_a_right_command_line(
    names: tuple[str, ...], shown: dict[int, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its command and its options exist: it ends only where it would call AWS, or read a file."""

    def fail(**_options: object) -> None:
        raise OperatorError("no AWS")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(emulators.VARIABLE, str(tmp_path / "none"))
    examples = re.split(r"\n(?: *\n)+", shown[120].strip())[2].splitlines()[2::2]
    invocations = [arguments for line in examples if (arguments := _invocation(line.strip()))]
    assert invocations
    for arguments in invocations:
        result = CliRunner().invoke(app, arguments, obj=fail)
        assert isinstance(result.exception, OperatorError), (arguments, result.output)
        if names:
            assert names[0] in arguments


@pytest.mark.parametrize("names", [()])
def test_commands_are_grouped_by_what_the_reader_wants(shown: dict[int, str]) -> None:
    """To stop runs is first. The group of commands stands where its panel needs it."""
    panels = PANEL.findall(shown[80])
    assert panels == [
        *("Which stack", "Which environments", OTHER),
        *("Stop runs", "See what happened", "Dead letters", "Set up and check"),
    ]
    after = shown[80].partition("Stop runs")[2]
    assert re.findall(r"^│ ([a-z-]+)  ", after, re.MULTILINE) == [
        *("stop", "sweep"),
        *("status", "history", "policies"),
        *("dead-letters", "redrive", "drop"),
        *("env", "verify", "doctor"),
    ]


@pytest.mark.parametrize("names", [("stop",)])
def test_options_are_grouped(shown: dict[int, str]) -> None:
    """The options that all commands have are last."""
    assert PANEL.findall(shown[80]) == [
        *("Arguments", "Which runs", "The stop request", "How to follow the runs", OTHER)
    ]


@pytest.mark.parametrize("names", [("doctor",)])
def test_few_options_have_one_panel(shown: dict[int, str]) -> None:
    """A command whose options have no panel of their own shows them together."""
    assert PANEL.findall(shown[80]) == ["Options"]


def test_paragraphs_are_wrapped_by_the_terminal() -> None:
    """The width of the source code does not break a line."""
    shown = Help(examples={"gluebrake x": "Do it."}, exit_codes={0: "done"}).of(
        """Do it.

        A long
        sentence.
        """
    )
    assert shown["help"].startswith("Do it.\n\n[not dim]Examples:")
    assert shown["help"].endswith("\n\nA long sentence.")
    assert shown["epilog"].splitlines()[1] == "[not dim]  0    done[/]"
