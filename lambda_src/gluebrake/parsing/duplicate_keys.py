"""Objects in which a name stands twice: readers of JSON differ on which member counts, so none does."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Final

from gluebrake.parsing.errors import ReadingError

_LONGEST_NAME: Final = 128


def refuse(body: bytes) -> None:
    """Raise ReadingError if an object anywhere in the JSON has two members of the same name."""
    _decoder.decode(body.decode())


def _object(members: list[tuple[str, Any]]) -> None:
    if len(dict(members)) < len(members):
        ((name, _),) = Counter(name for name, _ in members).most_common(1)
        raise ReadingError(f"{name[:_LONGEST_NAME]}: stands twice in one object; say which is meant")


# Numbers stay text: Python reads no whole number of more than 4,300 digits.
_decoder: Final = json.JSONDecoder(object_pairs_hook=_object, parse_int=str, parse_float=str)
