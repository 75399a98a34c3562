"""A matcher for EventBridge's event patterns, with the filters that the stack's rules use."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any


def matches(pattern: Mapping[str, Any], event: Any) -> bool:
    """Return whether an event pattern matches an event. A field that is no object has no fields."""
    fields = event if isinstance(event, Mapping) else {}
    return all(_matches_field(expected, fields.get(key, [])) for key, expected in pattern.items())


def _matches_field(expected: Any, value: Any) -> bool:
    """Return whether a field matches. An absent field is an empty list here, as it has no value to compare."""
    if isinstance(expected, Mapping):
        return matches(expected, value)
    leaves = [item for item in (value if isinstance(value, list) else [value]) if not isinstance(item, Mapping)]
    return any(_accepts_any(event_filter, leaves) for event_filter in expected)


def _accepts_any(event_filter: Any, leaves: Sequence[Any]) -> bool:
    match event_filter:
        case {"exists": bool(expected)}:
            return expected is bool(leaves)
        case _:
            return any(accepts(event_filter, leaf) for leaf in leaves)


def accepts(event_filter: Any, value: str) -> bool:
    """Return whether a filter accepts a field's text. Raise ValueError if EventBridge rejects the filter."""
    match event_filter:
        case str():
            return event_filter == value
        case {"prefix": start}:
            return value.startswith(start)
        case {"suffix": end}:
            return value.endswith(end)
        case {"wildcard": wildcard}:
            return bool(re.fullmatch(_regex(wildcard), value, re.DOTALL))
        case {"anything-but": {"prefix": start}}:
            return not value.startswith(start)
        case _:
            raise ValueError(f"not a filter of EventBridge: {event_filter}")


def _regex(wildcard: str) -> str:
    """Return the regular expression of a wildcard filter, in which a backslash escapes `*` and itself."""
    symbols = re.findall(r"\\.?|[^\\]", wildcard, re.DOTALL)
    if ("*", "*") in pairwise(symbols):
        raise ValueError(f"consecutive wildcards: {wildcard}")
    if any(symbol[0] == "\\" and symbol not in {r"\*", r"\\"} for symbol in symbols):
        raise ValueError(f"invalid escape: {wildcard}")
    return "".join(".*" if symbol == "*" else re.escape(symbol[-1]) for symbol in symbols)
