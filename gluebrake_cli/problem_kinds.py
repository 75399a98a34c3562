"""The kinds of problems in the functions' logs. One alarm counts several kinds. Does not import boto3."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Final

from gluebrake.problems import PROBLEM_OF

PATTERN: Final = '{ $.level = "WARNING" || $.level = "ERROR" }'
"""The filter pattern for log lines about problems. The message of each line is the kind."""

WINDOW: Final = timedelta(hours=1)
"""How far back logs are searched. An alarm is in ALARM for minutes after its last problem."""


def count(messages: Iterable[str]) -> Mapping[str, Mapping[str, int]]:
    """Return the number of lines of each kind, by the name of the alarm that counts the kind."""
    kinds: dict[str, Counter[str]] = {}
    for message in messages:
        kind = _kind(message)
        if problem := PROBLEM_OF.get(kind):
            kinds.setdefault(problem.value, Counter())[kind] += 1
    return kinds


def in_words(kinds: Mapping[str, int]) -> str:
    """Return the kinds with their numbers of lines, the most frequent first."""
    return ", ".join(f"{kind} {lines}" for kind, lines in Counter(kinds).most_common())


def _kind(message: str) -> str:
    try:
        line = json.loads(message)
    except ValueError:
        return ""
    return str(line.get("message", "")) if isinstance(line, dict) else ""
