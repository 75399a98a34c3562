"""The characters that Glue and SQS refuse. Both accept all other characters."""

from __future__ import annotations

import re
from typing import Final

# Every cold start compiles both patterns. Negated patterns of allowed characters would take ten times as long.
_REFUSED_BY_GLUE: Final = re.compile(r"[\x00-\x08\x0A-\x1F\uD800-\uDFFF\uFFFE\uFFFF]")
_REFUSED_BY_SQS: Final = re.compile(r"[\x00-\x08\x0B\x0C\x0E-\x1F\uD800-\uDFFF\uFFFE\uFFFF]")


def refused_by_glue(text: str) -> re.Match[str] | None:
    """Return the first character that Glue refuses in a job name or a run id, None if there is none."""
    # None of these characters is printable, and `isprintable` takes a tenth of the time of the pattern.
    return None if text.isprintable() else _REFUSED_BY_GLUE.search(text)


def refused_by_sqs(text: str) -> re.Match[str] | None:
    """Return the first character that SQS refuses in a message, None if there is none."""
    return None if text.isprintable() else _REFUSED_BY_SQS.search(text)


def replaced(text: str) -> str:
    """Return the text with a replacement character for each character that SQS refuses."""
    return _REFUSED_BY_SQS.sub("\N{REPLACEMENT CHARACTER}", text)
