"""Tests of the characters that Glue and SQS refuse."""

from __future__ import annotations

import sys

from gluebrake import characters

TEXT = "".join(map(chr, range(sys.maxunicode + 1)))
CONTROLS = {chr(code) for code in range(0x20)}
NOT_UNICODE_TEXT = {*map(chr, range(0xD800, 0xE000)), "\ufffe", "\uffff"}


def test_glue_refuses_what_is_not_one_line() -> None:
    """Of all characters, Glue refuses control characters but the tab, and what is not Unicode text."""
    refused = {character for character in TEXT if characters.refused_by_glue(character)}
    assert refused == (CONTROLS - {"\t"}) | NOT_UNICODE_TEXT


def test_sqs_refuses_what_is_not_text() -> None:
    """Of all characters, SQS refuses control characters but tab and line ends, and what is not Unicode text."""
    refused = {character for character in TEXT if characters.refused_by_sqs(character)}
    assert refused == (CONTROLS - {"\t", "\n", "\r"}) | NOT_UNICODE_TEXT


def test_the_first_refused_character_is_found() -> None:
    """The match has the position, for the error message."""
    found = characters.refused_by_glue("a\tb\nc\n")
    assert found
    assert (found.start(), found[0]) == (3, "\n")


def test_refused_characters_are_replaced() -> None:
    """Each refused character, and no other one, becomes the replacement character."""
    assert characters.replaced("a\0b\n\ufffe") == "a\ufffdb\n\ufffd"
