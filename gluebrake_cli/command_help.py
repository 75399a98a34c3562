"""The help of each command: its summary, examples, explanation, options, and exit codes, in this order."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct
from typer.core import TyperCommand, TyperGroup

WHICH_RUNS: Final = "Which runs"
FOLLOW: Final = "How to follow the runs"
OTHER: Final = "Other options"
"""The panel of the options that several commands have."""

_COMMON_CODES: Final = {2: "the command line is wrong", 130: "interrupted by Ctrl-C"}


class Help(Struct, frozen=True, kw_only=True):
    """The parts of a command's help that are not in the docstring of its function.

    Typer dims all paragraphs but the first, and removes spaces at the beginning of lines. So each line that
    must keep its spaces begins with a style.
    """

    examples: Mapping[str, str]
    """The meaning of each example, by command line."""
    exit_codes: Mapping[int, str]
    """The meaning of each exit code, without the exit codes that all commands have."""

    def of(self, docstring: str | None) -> dict[str, Any]:
        """Return the arguments of `Typer.command`: the texts before and after the options."""
        summary, *paragraphs = inspect.cleandoc(docstring or "").split("\n\n")
        text = [_unwrapped(summary), self._shown_examples(), *map(_unwrapped, paragraphs)]
        return {"help": "\n\n".join(text), "epilog": self._shown_exit_codes()}

    def _shown_examples(self) -> str:
        lines = (f"[dim]  # {does}[/]\n[not dim]  {line}[/]" for line, does in self.examples.items())
        return "\n".join(["[not dim]Examples:[/]", *lines])

    def _shown_exit_codes(self) -> str:
        codes = sorted({**_COMMON_CODES, **self.exit_codes}.items())
        return "\n".join(["Exit codes:", *(f"[not dim]  {code:<3}  {meaning}[/]" for code, meaning in codes)])


class Command(TyperCommand):
    """A command whose help names values by their meaning, not by their type."""

    def get_params(self, ctx: Any) -> Any:
        """Return the parameters. Those without a panel follow the others, if any has one."""
        return _taught(super().get_params(ctx))

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words of the usage line."""
        return _plain(super().collect_usage_pieces(ctx))


class Group(TyperGroup):
    """A group of commands whose help names values by their meaning, not by their type."""

    def get_params(self, ctx: Any) -> Any:
        """Return the parameters. Those without a panel follow the others, if any has one."""
        return _taught(super().get_params(ctx))

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words of the usage line."""
        return _plain(super().collect_usage_pieces(ctx))


def _taught(parameters: Sequence[Any]) -> list[Any]:
    """Return the parameters without their types. Parameters with a panel are first."""
    options = [parameter for parameter in parameters if parameter.param_type_name == "option"]
    for parameter in parameters:
        if parameter not in options or parameter.is_flag:
            # Typer shows `<str>` after an argument and `<bool>` after a flag, and no setting turns this off.
            parameter.display_type_rich = _no_type
    if any(option.rich_help_panel for option in options):
        for option in options:
            option.rich_help_panel = option.rich_help_panel or OTHER
    return sorted(parameters, key=lambda parameter: parameter.rich_help_panel == OTHER)


def _no_type(ctx: Any) -> None:
    """Return no text for a parameter's type."""


def _plain(pieces: Iterable[str]) -> list[str]:
    # Typer writes a required argument as `{JOB}`.
    return [piece.replace("{", "").replace("}", "") for piece in pieces]


def _unwrapped(paragraph: str) -> str:
    """Join the lines of a paragraph, so that it is wrapped at the width of the terminal."""
    return " ".join(paragraph.split())
