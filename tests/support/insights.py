"""Which fields a query in the language of CloudWatch Logs Insights reads."""

import re
from typing import Final

_WORD: Final = re.compile(
    "and|as|asc|by|count|count_distinct|desc|fields|filter|in|ispresent|latest|limit|sort|stats"
)


def fields_of(query: str) -> set[str]:
    """Return the fields that a query names, less the names that it gives itself."""
    text = re.sub(r'^#.*$|"[^"]*"', "", query, flags=re.MULTILINE)
    given = set(re.findall(r"\bas (\w+)", text))
    names = set(re.findall(r"@?[A-Za-z_]\w*", text)) - given - {"@timestamp"}
    return {name for name in names if not _WORD.fullmatch(name)}
