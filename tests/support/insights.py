"""The fields that a CloudWatch Logs Insights query reads."""

import re
from typing import Final

_WORD: Final = re.compile(
    "and|as|asc|by|count|count_distinct|desc|fields|filter|in|ispresent|latest|limit|sort|stats"
)


def fields_of(query: str) -> set[str]:
    """Return the fields that a query reads, without the names that it defines."""
    text = re.sub(r'^#.*$|"[^"]*"', "", query, flags=re.MULTILINE)
    defined = set(re.findall(r"\bas (\w+)", text))
    names = set(re.findall(r"@?[A-Za-z_]\w*", text)) - defined - {"@timestamp"}
    return {name for name in names if not _WORD.fullmatch(name)}
