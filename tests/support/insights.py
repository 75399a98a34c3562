"""The fields that a CloudWatch Logs Insights query reads."""

import re
from typing import Final

_WORD: Final = re.compile(
    "and|as|asc|by|coalesce|count|count_distinct|desc|fields|filter|in|ispresent|latest|limit|parse|sort|stats|sum"
)


def fields_of(query: str) -> set[str]:
    """Return the fields that a query reads, without the names that it defines."""
    text = re.sub(r'^#.*$|"[^"]*"', "", query, flags=re.MULTILINE)
    defined = {*re.findall(r"\bas (\w+)", text), *re.findall(r"\(\?<(\w+)>", text)}
    without_patterns = re.sub(r"/.+/", "", text)
    names = set(re.findall(r"@?[A-Za-z_]\w*", without_patterns)) - defined - {"@timestamp"}
    return {name for name in names if not _WORD.fullmatch(name)}
