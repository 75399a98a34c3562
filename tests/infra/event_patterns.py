"""EventBridge's pattern language, as far as our rules use it."""

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any


def matches(pattern: Mapping[str, Any], event: Any) -> bool:
    """Tell whether a rule with this event pattern takes an event."""
    return isinstance(event, Mapping) and all(
        key in event and _matches_field(asked, event[key]) for key, asked in pattern.items()
    )


def _matches_field(asked: Any, value: Any) -> bool:
    if isinstance(asked, Mapping):
        return matches(asked, value)
    return any(accepts(one, each) for one in asked for each in (value if isinstance(value, list) else [value]))


def accepts(one: Any, value: str) -> bool:
    """Tell whether a filter accepts a field's text; raise ValueError for one that EventBridge refuses."""
    match one:
        case str():
            return one == value
        case {"prefix": start}:
            return value.startswith(start)
        case {"suffix": end}:
            return value.endswith(end)
        case {"wildcard": wildcard}:
            return bool(re.fullmatch(_regex(wildcard), value, re.DOTALL))
        case {"anything-but": {"prefix": start}}:
            return not value.startswith(start)
        case _:
            raise ValueError(f"no filter of EventBridge: {one}")


def _regex(wildcard: str) -> str:
    """Read `*` as any text, and a backslash as what makes a `*` or a backslash a character of the name."""
    read = re.findall(r"\\.?|[^\\]", wildcard, re.DOTALL)
    if ("*", "*") in pairwise(read):
        raise ValueError(f"consecutive wildcards: {wildcard}")
    if any(one[0] == "\\" and one not in {r"\*", r"\\"} for one in read):
        raise ValueError(f"invalid escape: {wildcard}")
    return "".join(".*" if one == "*" else re.escape(one[-1]) for one in read)
