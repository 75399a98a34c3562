"""A matcher for EventBridge's event patterns, with the filters that the stack's rules use."""

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any


def matches(pattern: Mapping[str, Any], event: Any) -> bool:
    """Return whether an event pattern matches an event."""
    return isinstance(event, Mapping) and all(
        key in event and _matches_field(expected, event[key]) for key, expected in pattern.items()
    )


def _matches_field(expected: Any, value: Any) -> bool:
    if isinstance(expected, Mapping):
        return matches(expected, value)
    items = value if isinstance(value, list) else [value]
    return any(accepts(event_filter, item) for event_filter in expected for item in items)


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
