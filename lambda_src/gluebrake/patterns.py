"""Patterns of job names: `*` matches any text, and every other character matches itself."""

from __future__ import annotations

from collections.abc import Iterable


def matches_any(patterns: Iterable[str], name: str) -> bool:
    """Return whether `name` matches one of the patterns."""
    return any(matches(pattern, name) for pattern in patterns)


def matches(pattern: str, name: str) -> bool:
    """Return whether `name` matches. `*` matches any text, and every other character matches itself."""
    first, *middle, last = pattern.split("*") if "*" in pattern else (pattern, None)
    if last is None:
        return name == first
    end = len(name) - len(last)
    at = len(first)
    for part in middle:
        found = name.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return at <= end and name.startswith(first) and name.endswith(last)
