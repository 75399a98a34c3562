"""Numbers, durations and dollars for people, as notices and the operator's command show them."""

from __future__ import annotations

from typing import Final

_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_WHOLE_FROM: Final = 10
_DOLLARS_WITHOUT_CENTS: Final = 1000
_CENT: Final = 0.01
_LEAST: Final = 0.01


def number(value: float) -> str:
    """Return a number with two significant digits, or whole from 10 on."""
    if 0 < value < _LEAST:
        return f"less than {_LEAST}"
    return f"{value:,.0f}" if value >= _WHOLE_FROM else f"{value:.2g}"


def at_most(value: float) -> str:
    """Return a number that is an upper bound."""
    return number(value) if 0 < value < _LEAST else f"at most {number(value)}"


def dollars(usd: float) -> str:
    """Return US dollars, with cents below 1,000 dollars."""
    if 0 < usd < _CENT:
        return "less than $0.01"
    return f"${usd:,.0f}" if usd >= _DOLLARS_WITHOUT_CENTS else f"${usd:,.2f}"


def about(usd: float) -> str:
    """Return an amount of US dollars that is an estimate."""
    return dollars(usd) if 0 < usd < _CENT else f"about {dollars(usd)}"


def duration(seconds: float) -> str:
    """Return a duration in its largest unit and the next one."""
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return _two(whole, _MINUTE, "min", 1, "s")
    if whole < _DAY:
        return _two(whole, _HOUR, "h", _MINUTE, "min")
    return _two(whole, _DAY, "d", _HOUR, "h")


def count(number_of: int, noun: str) -> str:
    """Return a count with its noun, whose plural ends in "s"."""
    return f"{number_of:,} {noun}" + ("" if number_of == 1 else "s")


def _two(seconds: int, unit: int, name: str, next_unit: int, next_name: str) -> str:
    rest = seconds % unit // next_unit
    return f"{seconds // unit} {name}" + (f" {rest} {next_name}" if rest else "")
