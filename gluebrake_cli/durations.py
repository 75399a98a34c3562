"""Durations on the command line: `2h`, `90m`, `1h30m`, or a plain number in the unit of the option."""

from __future__ import annotations

import re
from typing import Final

import typer

_SECONDS: Final = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_DURATION: Final = re.compile("".join(f"(?:([0-9]{{1,7}}){unit})?" for unit in _SECONDS))
_NUMBER: Final = re.compile(r"[0-9]{1,7}(?:\.[0-9]{1,6})?")


def seconds(text: str | float) -> float:
    """Return the seconds of a duration. A plain number is in seconds. Raise BadParameter for other texts."""
    found = _seconds(str(text), "s")
    if found is None:
        raise typer.BadParameter(f"{text}: must be a number of seconds, or such as 90s, 40m or 1h30m")
    return found


def minutes(text: str | float) -> int:
    """Return the minutes of a duration. A plain number is in minutes. Raise BadParameter for other texts."""
    found = _seconds(str(text), "m")
    if found is None or found % 60:
        raise typer.BadParameter(f"{text}: must be a number of minutes, or such as 90m, 2h, 1h30m or 1d")
    return int(found / 60)


def _seconds(text: str, unit: str) -> float | None:
    if _NUMBER.fullmatch(text):
        return float(text) * _SECONDS[unit]
    found = _DURATION.fullmatch(text)
    if not text or not found:
        return None
    return sum(
        int(count or 0) * length for count, length in zip(found.groups(), _SECONDS.values(), strict=True)
    )
