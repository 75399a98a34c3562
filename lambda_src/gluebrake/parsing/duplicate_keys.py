"""Refuse JSON whose meaning is unclear: a name that occurs twice, or `DryRun` outside the stop request.

JSON parsers differ on which of two members counts. A `DryRun` in an envelope, also a misspelt
one, is a mistake of its sender: to ignore it would stop production.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any, Final

from gluebrake.parsing.errors import ParsingError

_LONGEST_NAME: Final = 128
_LIKE_DRY_RUN: Final = re.compile(r"dry[ _-]?run", re.IGNORECASE)


def refuse(body: bytes) -> None:
    """Raise ParsingError if an object anywhere in the JSON is unclear."""
    _decoder.decode(body.decode())


def _object(members: list[tuple[str, Any]]) -> None:
    if len(dict(members)) < len(members):
        ((name, _),) = Counter(name for name, _ in members).most_common(1)
        raise ParsingError(f"{name[:_LONGEST_NAME]}: occurs twice in one object; give it once")
    names = [name for name, _ in members]
    if "JobName" in names:
        return
    for name in filter(_LIKE_DRY_RUN.fullmatch, names):
        raise ParsingError(f"{name}: is outside the stop request; put DryRun beside JobName")


# Numbers stay text: Python parses no whole number of more than 4,300 digits.
_decoder: Final = json.JSONDecoder(object_pairs_hook=_object, parse_int=str, parse_float=str)
