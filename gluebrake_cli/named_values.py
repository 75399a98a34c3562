"""Options that can be given several times, each time with a text NAME=VALUE."""

from __future__ import annotations

from collections.abc import Iterable

import typer


def named_values(
    option: str, texts: Iterable[str], *, form: str, twice: str = "is given twice"
) -> dict[str, str]:
    """Return the values by their names. Raise BadParameter for a malformed text or a repeated name."""
    values: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise typer.BadParameter(f"{option} {text}: must be {form}")
        if name in values:
            raise typer.BadParameter(f"{option} {name}: {twice}")
        values[name] = value
    return values
