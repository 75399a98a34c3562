"""Words that make readers stumble stay out of code, tests and documents."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
FOLDERS: Final = ("benchmarks", "docs", "gluebrake_cli", "infra", "lambda_src", "local", "tests")

# A word or phrase, and what to write instead. Case does not matter; an underscore counts as a space.
WORDS: Final[Mapping[str, str]] = {
    "anew": "again",
    "anybody": "the sender, the operator",
    "befalls?": "happens to",
    "borne": "the thing's own name",
    "by turns": "alternately",
    "came": "arrived, was sent",
    "com(e|es|ing) back": "is redelivered",
    "(?<!on-)demands?": "target",
    "goes off": "fires",
    "hand(s|ed|ing)? on": "sends on",
    "in vain": "unsuccessfully",
    "let(s|ting)? in": "allows",
    "mend(s|ed|ing)?": "fix",
    "nobody": "no caller, no message",
    "of note": "notable",
    "plight": "fault",
    "reckon(s|ed|ing)?": "count, calculate",
    "said": "the thing's own name",
    "somebody": "the sender, the operator",
    "suspects?": "poison pill candidate",
    "thrice": "three times",
    "told": "reported, returned, configured",
    "whoever": "the sender, the caller",
    "work(s|ed|ing)? off": "consumes",
}

# Where a word may stay, by path, with the reason.
EXCEPTIONS: Final[Mapping[str, str]] = {
    "CHANGELOG.md": "it names what was renamed",
    "tests/unit/test_words.py": "it holds the list",
}

_BANNED: Final = re.compile(rf"\b({'|'.join(word.replace(' ', '[ _]') for word in WORDS)})\b", re.IGNORECASE)


def _files() -> Iterator[str]:
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob(".github/**/*.md")):
        yield path.relative_to(ROOT).as_posix()
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix()


def _found(text: str) -> list[str]:
    # An identifier's parts are words as well: `_told_of_run` holds `told`.
    words = re.sub(r"_", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text))
    return [
        f"line {number}: {match[0]!r}"
        for number, line in enumerate(words.splitlines(), start=1)
        for match in _BANNED.finditer(line)
    ]


@pytest.mark.parametrize("word", ["told", "Whoever", "hand_on", "comes back", "_told_of_run", "lets in"])
def test_a_word_of_the_list_is_found(word: str) -> None:
    """Words are found in prose and in identifiers, in any case."""
    assert _found(f"x = {word}")


def test_no_file_has_a_word_of_the_list() -> None:
    """Each file is free of the words, or it is an exception with a reason."""
    found = {name: _found((ROOT / name).read_text()) for name in _files() if name not in EXCEPTIONS}
    assert {name: places for name, places in found.items() if places} == {}


def test_each_exception_is_still_needed() -> None:
    """An exception whose file is free of the words is removed."""
    assert all(_found((ROOT / name).read_text()) for name in EXCEPTIONS)
