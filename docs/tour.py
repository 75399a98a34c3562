"""The links of the contributor's tour: each names a symbol of the code and the line that defines it."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).parents[1]
_LINK: Final = re.compile(r"\[`(?P<name>[\w.]+)`\]\(\.\./(?P<file>[\w/]+\.py)#L\d+\)")


def numbered(text: str) -> str:
    """Return a page in which each link has the line where its symbol is defined now.

    A link is ``[`name`](../path/to/module.py#L1)``. Raises KeyError if the module does not define the name.
    """
    return _LINK.sub(_link, text)


def links(text: str) -> list[tuple[str, str]]:
    """Return the file and the symbol of each link, in their order."""
    return [(found["file"], found["name"]) for found in _LINK.finditer(text)]


def _link(found: re.Match[str]) -> str:
    return f"[`{found['name']}`](../{found['file']}#L{_lines(found['file'])[found['name']]})"


@cache
def _lines(file: str) -> dict[str, int]:
    """Return the line of each function, class, method and module-level name of a file."""
    lines: dict[str, int] = {}
    for node in ast.parse((_ROOT / file).read_text()).body:
        lines |= _defined(node)
        if isinstance(node, ast.ClassDef):
            lines |= {
                f"{node.name}.{name}": line for inner in node.body for name, line in _defined(inner).items()
            }
    return lines


def _defined(node: ast.stmt) -> dict[str, int]:
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return {name: node.lineno}
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
            return {name: node.lineno}
        case _:
            return {}
