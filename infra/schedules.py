"""The schedule expressions of EventBridge Scheduler: `rate(…)` and `cron(…)`.

Grammar: https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
A range may pass midnight, as in the example `20-2`:
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html
"""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Sequence
from functools import cache
from typing import Final, NamedTuple

from gluebrake.policies import rate_period

_CRON: Final = re.compile(r"cron\(([^()]+)\)")
_PART: Final = re.compile(
    r"(?P<first>\*|[0-9A-Za-z]+)(?:-(?P<last>[0-9A-Za-z]+))?(?:/(?P<step>[1-9][0-9]{0,3}))?"
)
_HOURS_IN_A_DAY: Final = 24

_MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS: Final = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


class _Field(NamedTuple):
    """A field of a cron expression: its least and greatest value, its names, and its special forms."""

    name: str
    least: int
    greatest: int
    names: Sequence[str] = ()
    special: str = r"(?!)"
    wraps: bool = True
    """Whether a range may start over at the least value after the greatest."""

    def values(self, text: str) -> set[int] | None:
        """Return the values of a text with lists, ranges and steps, None if the text is not valid."""
        values: set[int] = set()
        for part in text.split(","):
            numbers = self._part(part)
            if numbers is None:
                return None
            values |= numbers
        return values

    def is_valid(self, text: str) -> bool:
        """Return whether the text is valid for the field."""
        return re.fullmatch(self.special, text.upper()) is not None or self.values(text) is not None

    def _part(self, text: str) -> set[int] | None:
        found = _PART.fullmatch(text)
        if not found:
            return None
        step = int(found["step"] or 1)
        if step > self.greatest:
            return None
        if found["first"] == "*":
            return None if found["last"] else set(self._range(self.least, self.greatest)[::step])
        first = self._number(found["first"])
        last = self._number(found["last"]) if found["last"] else (self.greatest if found["step"] else first)
        if first is None or last is None or (first > last and not self.wraps):
            return None
        return set(self._range(first, last)[::step])

    def _range(self, first: int, last: int) -> list[int]:
        if first > last:
            return [*range(first, self.greatest + 1), *range(self.least, last + 1)]
        return [*range(first, last + 1)]

    def _number(self, text: str) -> int | None:
        if text.upper() in self.names:
            return self.names.index(text.upper()) + self.least
        return int(text) if text.isdecimal() and self.least <= int(text) <= self.greatest else None


_FIELDS: Final = (
    _Field("minutes", 0, 59),
    _Field("hours", 0, 23),
    _Field("day of month", 1, 31, special=r"\?|L|LW|([1-9]|[12][0-9]|3[01])W"),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 1, 7, _DAYS, special=r"\?|L|([1-7]|SUN|MON|TUE|WED|THU|FRI|SAT)(L|#[1-5])"),
    _Field("year", 1970, 2199, wraps=False),
)


def mistake(expression: str) -> str:
    """Return what is wrong with a schedule expression, empty if it is valid."""
    if rate_period(expression) is not None:
        return ""
    fields = _cron_fields(expression)
    if fields is None:
        return 'should be "rate(1 hour)" or the like, or "cron(…)"; one-time schedules are not allowed'
    if len(fields) != len(_FIELDS):
        names = ", ".join(field.name for field in _FIELDS)
        return f"a cron expression has {len(_FIELDS)} fields, {names}, not {len(fields)}"
    for field, text in zip(_FIELDS, fields, strict=True):
        if not field.is_valid(text):
            return f"{text!r} is no {field.name} of a cron expression"
    is_question = [fields[2] == "?", fields[4] == "?"]
    return "" if sum(is_question) == 1 else 'one of day of month and day of week must be "?", and only one'


def is_window(expression: str) -> bool:
    """Return whether a cron expression has plain hours, or lists or ranges of hours, but not all 24 hours."""
    fields = _cron_fields(expression)
    if fields is None or mistake(expression):
        return False
    hours = _FIELDS[1].values(fields[1]) or set()
    return re.fullmatch(r"[0-9,-]+", fields[1]) is not None and len(hours) < _HOURS_IN_A_DAY


def is_time_zone(name: str) -> bool:
    """Return whether the IANA database has the time zone. A machine without it uses the package tzdata."""
    return name in _time_zones()


@cache
def _time_zones() -> frozenset[str]:
    # These two names are only files on some machines. AWS does not have them.
    return frozenset(zoneinfo.available_timezones() - {"localtime", "Factory"})


def _cron_fields(expression: str) -> list[str] | None:
    found = _CRON.fullmatch(expression)
    return found[1].split() if found else None
