"""Removes modules of the functions' libraries that every cold start would import and no function uses.

The modules are botocore's renderer for the documentation of methods, and urllib3's version check for HTTP/2.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_NO_DOCUMENTATION: Final = '''"""Without documentation: Gluebrake cut it."""


class _Empty(str):
    def __new__(cls, **_):
        return super().__new__(cls)


ClientMethodDocstring = WaiterDocstring = PaginatorDocstring = _Empty
'''

_KEPT_OF_DOCS: Final = frozenset({"__init__.py", "docstring.py", "utils.py"})

_REPLACED: Final[Mapping[str, tuple[str, str]]] = {
    "botocore/docs/__init__.py": ("from botocore.docs.service import ServiceDocumenter\n", ""),
    "urllib3/http2/__init__.py": ("from importlib.metadata import version\n", ""),
}
"""The import statement to remove and its replacement, by file."""

_MOVED: Final[Mapping[str, tuple[str, str]]] = {
    "urllib3/http2/__init__.py": (
        '    h2_version = version("h2")\n',
        '    from importlib.metadata import version\n\n    h2_version = version("h2")\n',
    ),
}
"""The statement that needs a removed import, and the same statement after the import, by file."""


class CutError(RuntimeError):
    """A library has changed, so that a text to replace is not found."""


def cut_modules(content: Path) -> None:
    """Remove the modules from a directory of installed libraries. Raise CutError if a library has changed."""
    for changes in (_REPLACED, _MOVED):
        for name, (old, new) in changes.items():
            _replace(content / name, old, new)
    docs = content / "botocore" / "docs"
    for path in docs.iterdir():
        if path.name not in _KEPT_OF_DOCS:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (docs / "docstring.py").write_text(_NO_DOCUMENTATION)


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    if text.count(old) != 1:
        raise CutError(f"{path}: does not have {old.strip()!r} once; look at infra/module_cuts.py")
    path.write_text(text.replace(old, new))
