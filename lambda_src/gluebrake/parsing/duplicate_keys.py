"""Refuse ambiguous JSON: a name that occurs twice in an object, or `DryRun` outside the stop request.

JSON parsers differ on which of two equal names counts. A `DryRun` in an envelope, even if misspelt, is a
mistake of the sender. If Gluebrake ignored it, runs would be stopped that the sender did not want to stop.
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
    """Raise ParsingError if any object in the JSON is ambiguous."""
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


# Numbers stay text, because Python refuses to parse a whole number of more than 4,300 digits.
_decoder: Final = json.JSONDecoder(object_pairs_hook=_object, parse_int=str, parse_float=str)
