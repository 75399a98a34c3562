"""The characters that Glue and SQS refuse. Both accept all other characters."""

from __future__ import annotations

import re
from typing import Final

# No printable text has one of these characters. So only a text that is not printable is searched, and only the
# first of these compiles a pattern, which takes a millisecond.
_REFUSED_BY_GLUE: Final = r"[\x00-\x08\x0A-\x1F\uD800-\uDFFF\uFFFE\uFFFF]"
_REFUSED_BY_SQS: Final = r"[\x00-\x08\x0B\x0C\x0E-\x1F\uD800-\uDFFF\uFFFE\uFFFF]"


def refused_by_glue(text: str) -> re.Match[str] | None:
    """Return the first character that Glue refuses in a job name or a run id, None if there is none."""
    return None if text.isprintable() else re.search(_REFUSED_BY_GLUE, text)


def refused_by_sqs(text: str) -> re.Match[str] | None:
    """Return the first character that SQS refuses in a message, None if there is none."""
    return None if text.isprintable() else re.search(_REFUSED_BY_SQS, text)


def replaced(text: str) -> str:
    """Return the text with a replacement character for each character that SQS refuses."""
    return text if text.isprintable() else re.sub(_REFUSED_BY_SQS, "\N{REPLACEMENT CHARACTER}", text)
