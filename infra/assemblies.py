"""Cloud assemblies in build/, kept until their inputs change. Reading one does not import the slow CDK."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Final

from infra.build_directory import filled

_ROOT: Final = Path(__file__).parents[1]
_PARENT: Final = _ROOT / "build" / "assemblies"
_FILES: Final = ("app.py", "cdk.json", "cdk.context.json", "LICENSE", "lambda_src/requirements.txt")
_CODE: Final = ("infra", "lambda_src/gluebrake")
_DISTRIBUTIONS: Final = ("aws-cdk-lib", "cdk-nag", "constructs", "jsii", "msgspec", "uv")
_UNUSED_SECONDS: Final = 3600.0

Write = Callable[[Path], None]
"""Writes a cloud assembly to an empty directory."""


class _InputsChangedError(Exception):
    """An input changed before or while the assembly was written, so its version of the inputs is unknown."""


def inputs() -> str:
    """Return a hash of everything that an assembly depends on, except its configuration."""
    digest = sha256()
    for part in _inputs():
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:16]


def kept(key: str, write: Write, *, at: str, parent: Path = _PARENT) -> Path:
    """Return the kept assembly of a configuration, or the assembly that `write` writes.

    `key` is the configuration, and `at` is the hash of the inputs. If the inputs change while the assembly is
    written, it is not kept. Assemblies of other inputs are removed an hour after their last use.
    """
    assemblies = parent / at

    def write_to_keep(content: Path) -> None:
        _check_inputs(at)
        write(content)
        _check_inputs(at)
        _remove_unused(parent, used=assemblies)

    try:
        directory = filled(assemblies / sha256(key.encode()).hexdigest()[:16], write_to_keep)
    except _InputsChangedError:
        directory = Path(tempfile.mkdtemp(prefix="unkept-", dir=parent))
        write(directory)
    else:
        os.utime(assemblies)
    return directory


def _check_inputs(expected: str) -> None:
    if inputs() != expected:
        raise _InputsChangedError


def _inputs() -> Iterator[bytes]:
    yield f"{sys.version} {platform.machine()}".encode()
    yield from (f"{name} {version(name)}".encode() for name in _DISTRIBUTIONS)
    code = sorted(path for folder in _CODE for path in (_ROOT / folder).rglob("*.py"))
    for path in (*(_ROOT / name for name in _FILES), *code, Path.home() / ".cdk.json"):
        yield os.fsencode(path)
        yield path.read_bytes() if path.is_file() else b""


def _remove_unused(parent: Path, *, used: Path) -> None:
    oldest = time.time() - _UNUSED_SECONDS
    for other in parent.iterdir():
        if other != used and other.stat().st_mtime < oldest:
            shutil.rmtree(other, ignore_errors=True)
